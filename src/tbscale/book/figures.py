"""The figures of a profile, drawn from a record: time by step, memory over time."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from tbscale.bench.schema import Repeat
from tbscale.book import formats
from tbscale.book.drawing import (
    BLUE,
    GREEN,
    INK,
    LINE,
    ORANGE,
    PINK,
    SKY,
    SOFT,
    Drawing,
    csv_of,
    finish,
    new_axes,
    styled,
)
from tbscale.book.shelf import Entry

GIB = 1024**3
KINDS = {
    "files": (BLUE, ("read", "write", "table")),
    "preparing": (SKY, ("convert", "normalise", "tile")),
    "network": (ORANGE, ("network", "blend")),
    "from flows to cells": (GREEN, ("follow", "seeds", "flow_qc", "fill")),
    "display": (PINK, ("display",)),
}
STEP_KIND = {step: kind for kind, (_, steps) in KINDS.items() for step in steps}
LABELLED_SHARE = 0.08  # narrower steps carry no name above the curve


def colour_of(step: str) -> str:
    """The colour of a step's kind."""
    return KINDS[STEP_KIND[step]][0]


def described(entry: Entry) -> str:
    """What was measured, for a caption: dataset, stand-in or real, engine."""
    data = entry.record.dataset
    origin = "stand-in of " if data.origin == "stand-in" else ""
    return f"{origin}{data.name}, engine {entry.ran}"


def steps_drawing(entry: Entry) -> Drawing:
    """Bars of the median wall time of each step, in the order of a run; a dot for each repeat."""
    names = list(entry.steps)
    medians = [entry.steps[name].median for name in names]
    with styled():
        figure, axes = new_axes(0.75 + 0.31 * len(names))
        rows = range(len(names))
        axes.barh(rows, medians, height=0.66, color=[colour_of(name) for name in names])
        _dot_repeats(axes, entry, names)
        for row, median in zip(rows, medians, strict=True):
            text = f"{formats.seconds(median)}  ({formats.share(median / entry.wall.median)})"
            reach = max(median, entry.steps[names[row]].largest)
            axes.annotate(
                text, (reach, row), (7, 0), textcoords="offset points", va="center", color=SOFT
            )
        axes.set_yticks(rows, names)
        axes.tick_params(length=0)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.42 * max(one.largest for one in entry.steps.values()))
        axes.set_xlabel("wall time, s")
        axes.spines["left"].set_visible(False)
        _add_legend(axes, names)
        return finish(figure, f"{entry.address}-steps", _steps_alt(entry), _steps_csv(entry))


def _dot_repeats(axes: Axes, entry: Entry, names: list[str]) -> None:
    for repeat in entry.record.plain.measured:
        times = [repeat.steps.get(name, 0.0) for name in names]
        axes.plot(times, range(len(names)), "o", color=INK, markersize=2.6, alpha=0.75)


def _add_legend(axes: Axes, names: list[str]) -> None:
    present = [kind for kind in KINDS if any(STEP_KIND[name] == kind for name in names)]
    patches = [Patch(color=KINDS[kind][0], label=kind) for kind in present]
    axes.legend(handles=patches, loc="lower right", fontsize=9, labelcolor=SOFT)


def _steps_alt(entry: Entry) -> str:
    parts = [
        f"{name} {formats.seconds(one.median)}"
        for name, one in sorted(entry.steps.items(), key=lambda item: -item[1].median)[:5]
    ]
    return (
        f"Bar chart of wall time by step for {described(entry)}: {', '.join(parts)}; "
        f"{formats.seconds(entry.wall.median)} in all."
    )


def _steps_csv(entry: Entry) -> str:
    rows: list[tuple[object, ...]] = [
        (name, number, repeat.steps.get(name, 0.0))
        for number, repeat in enumerate(entry.record.plain.measured, 1)
        for name in entry.steps
    ]
    return csv_of(("step", "repeat", "wall_s"), rows)


def memory_drawing(entry: Entry) -> Drawing:
    """Resident memory over one typical repeat, filled by the step that was running."""
    repeat = entry.typical_repeat()
    times, levels = list(repeat.rss_time_s), [one / GIB for one in repeat.rss_bytes]
    with styled():
        figure, axes = new_axes(3.3)
        for span in repeat.spans if times else ():
            _fill_span(axes, span.step, span.start_s, span.stop_s, times, levels)
        axes.plot(times, levels, color=INK, linewidth=1.3)
        axes.set_xlim(0, repeat.wall_s)
        axes.set_ylim(0, 1.22 * max(levels, default=1.0))
        _name_steps(axes, repeat)
        axes.set_xlabel("time since the start of the run, s")
        axes.set_ylabel("resident memory, GiB")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.tick_params(length=0, labelcolor=SOFT)
        return finish(figure, f"{entry.address}-memory", _memory_alt(entry), _memory_csv(repeat))


def _fill_span(
    axes: Axes, step: str, start_s: float, stop_s: float, times: list[float], levels: list[float]
) -> None:
    """Fill under the curve during one interval; its ends lie between the samples."""
    inside = [time for time in times if start_s < time < stop_s]
    xs = [start_s, *inside, stop_s]
    ys = np.interp(xs, times, levels)
    axes.fill_between(xs, ys, color=colour_of(step), alpha=0.55, linewidth=0)


def _name_steps(axes: Axes, repeat: Repeat) -> None:
    """Name the steps that are wide enough, above the curve, with a line where they begin."""
    top = axes.get_ylim()[1]
    for span in repeat.spans:
        width = span.stop_s - span.start_s
        if width < LABELLED_SHARE * repeat.wall_s:
            continue
        axes.axvline(span.start_s, color=LINE, linewidth=0.8, zorder=0)
        middle = span.start_s + width / 2
        axes.text(middle, 0.965 * top, span.step, ha="center", va="top", fontsize=9.5, color=SOFT)


def _memory_alt(entry: Entry) -> str:
    repeat = entry.typical_repeat()
    peaks = repeat.step_peak_rss_bytes
    worst = max(peaks, key=lambda step: peaks[step]) if peaks else "no single step"
    return (
        f"Resident memory over time for {described(entry)}: largest "
        f"{formats.memory(repeat.peak_rss_bytes)}, reached during {worst}, "
        f"in a run of {formats.seconds(repeat.wall_s)}."
    )


def _memory_csv(repeat: Repeat) -> str:
    rows: list[tuple[object, ...]] = [
        (time, level, _step_at(repeat, time))
        for time, level in zip(repeat.rss_time_s, repeat.rss_bytes, strict=True)
    ]
    return csv_of(("time_s", "rss_bytes", "step"), rows)


def _step_at(repeat: Repeat, time_s: float) -> str:
    inside = (span.step for span in repeat.spans if span.start_s <= time_s <= span.stop_s)
    return next(inside, "")
