"""Which kind of step takes the time: our records beside the profile of 2022."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from tbscale.bench.reference import CPU
from tbscale.book import formats
from tbscale.book.drawing import INK, LINE, Drawing, csv_of, finish, new_axes, styled
from tbscale.book.figures import KINDS, STEP_KIND
from tbscale.book.markdown import cell, number, table, text
from tbscale.book.shelf import Entry, Shelf

REST = "not broken down"
POST = ("follow_flows", "flow check", "get_masks")
LABELLED_SHARE = 0.09
SHOWN = ("network", "from flows to cells", "files")


@dataclass(frozen=True)
class Bar:
    """One run, its seconds by kind of step."""

    name: str
    seconds: Mapping[str, float]

    @property
    def whole_s(self) -> float:
        """Seconds of the run."""
        return sum(self.seconds.values())

    def share(self, kind: str) -> float:
        """Share of a kind; 0 where it did not run."""
        return self.seconds.get(kind, 0.0) / self.whole_s


def profile_2022() -> dict[str, Any]:
    """The published figures of 2022, from the file that names their source."""
    found = files("tbscale.book").joinpath("cited", "profile-2022.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(found)
    return document


def bar_2022() -> Bar:
    """The 2022 profile by kind of step; what was not published is a kind of its own."""
    one = profile_2022()
    parts = one["functions_s"]
    post = sum(parts[name] for name in POST)
    rest = one["wall_s"] - parts["network"] - post
    seconds = {"network": parts["network"], "from flows to cells": post, REST: rest}
    return Bar(f"{one['image']}, {one['instrument']}", seconds)


def bar_of(entry: Entry) -> Bar:
    """A record by kind of step; what no step claims counts as not broken down."""
    seconds: dict[str, float] = {}
    for step, one in entry.steps.items():
        kind = STEP_KIND[step]
        seconds[kind] = seconds.get(kind, 0.0) + one.median
    seconds[REST] = max(0.0, entry.wall.median - sum(seconds.values()))
    data = entry.record.dataset
    origin = "" if data.origin == "real" else ", stand-in"
    return Bar(f"{data.name}{origin}, {entry.ran}", seconds)


def profiled(shelf: Shelf) -> list[Entry]:
    """The leading completed record of every whole plane and engine."""
    whole = [one for one in shelf.profile_sets if one.crop is None and one.leading.completed]
    return [one.leading for one in whole]


def kinds_drawing(entries: Sequence[Entry]) -> Drawing:
    """Stacked bars of the share of each kind of step: 2022 on top, then every profile."""
    bars = [bar_2022(), *map(bar_of, entries)]
    names = ["2022: " + bars[0].name, *(one.name for one in bars[1:])]
    colours = {kind: colour for kind, (colour, _) in KINDS.items()} | {REST: LINE}
    with styled():
        figure, axes = new_axes(1.5 + 0.52 * len(bars))
        for row, bar in enumerate(bars):
            _stack(axes, row, bar, colours)
            axes.text(0, row - 0.36, names[row], va="bottom", fontsize=9.5, color=INK)
        axes.set_xlim(0, 1)
        axes.set_ylim(len(bars) - 0.5, -0.9)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("share of the run")
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        handles, labels = axes.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        figure.legend(once.values(), once, loc="outside lower center", ncols=3, fontsize=9)
        return finish(figure, "bottleneck-kinds", _alt(bars), _csv(bars))


def _stack(axes: Any, row: int, bar: Bar, colours: dict[str, str]) -> None:
    left = 0.0
    for kind, colour in colours.items():
        share = bar.share(kind)
        if share:
            axes.barh(row, share, left=left, height=0.6, color=colour, label=kind)
        if share >= LABELLED_SHARE:
            words = f"{100 * share:.0f} %"
            axes.text(left + share / 2, row, words, ha="center", va="center", fontsize=9)
        left += share


def _alt(bars: Sequence[Bar]) -> str:
    parts = []
    for bar in bars:
        shares = [
            f"{kind} {formats.share(bar.share(kind))}" for kind in SHOWN if kind in bar.seconds
        ]
        parts.append(f"{bar.name}: {', '.join(shares)}")
    return f"Share of a run by kind of step. {'; '.join(parts)}. The first is of 2022."


def largest_kind(bar: Bar) -> str:
    """The kind of step that takes most."""
    return max(bar.seconds, key=bar.share)


def verdict(entries: Sequence[Entry]) -> str:
    """Which kind of step is the bottleneck of how many runs on a CPU, in words."""
    bars = [bar_of(entry) for entry in entries if entry.device == CPU]
    if not bars:
        return "No whole plane has been profiled on a CPU yet."
    kinds = [largest_kind(bar) for bar in bars]
    ranked = sorted(set(kinds), key=kinds.count, reverse=True)
    parts = [f"*{kind}* in {kinds.count(kind)}" for kind in ranked]
    reading = max(bar.share("files") for bar in bars)
    after = max(bar.share("from flows to cells") for bar in bars)
    return (
        f"Of these {len(bars)} runs on a CPU the largest part is {', '.join(parts)}. "
        f"What turns flows into cells takes at most {formats.share(after)} of one of them, "
        f"files at most {formats.share(reading)}."
    )


def on_accelerator(entry: Entry) -> str:
    """A run whose network is small: the shares of its kinds of step, and its largest step."""
    bar = bar_of(entry)
    shares = ", ".join(f"{kind} {formats.share(bar.share(kind))}" for kind in SHOWN)
    largest = max(entry.steps, key=entry.step_share)
    return (
        f"{bar.name}: {formats.seconds(entry.wall.median)}; {shares}; "
        f"its largest step is `{largest}`, {formats.share(entry.step_share(largest))}"
    )


def _csv(bars: Sequence[Bar]) -> str:
    rows: list[tuple[object, ...]] = [
        (bar.name.replace(",", ""), kind, seconds)
        for bar in bars
        for kind, seconds in bar.seconds.items()
    ]
    return csv_of(("run", "kind", "wall_s"), rows)


def kinds_table(entries: Sequence[Entry]) -> str:
    """Seconds of each kind of step, 2022 first."""
    bars = [bar_2022(), *map(bar_of, entries)]
    kinds = ["files", "network", "from flows to cells"]
    rows = [
        [
            cell(bar.name if number_ else f"2022: {bar.name}"),
            *(_seconds(bar, kind) for kind in kinds),
            formats.seconds(bar.whole_s),
            largest_kind(bar),
        ]
        for number_, bar in enumerate(bars)
    ]
    heads = [number(kind) for kind in (*kinds, "whole run")]
    return table([text("run"), *heads, text("bottleneck")], rows)


def _seconds(bar: Bar, kind: str) -> str:
    if kind not in bar.seconds:
        return "not published" if bar.name == bar_2022().name else "–"
    return f"{formats.seconds(bar.seconds[kind])} ({formats.share(bar.share(kind))})"
