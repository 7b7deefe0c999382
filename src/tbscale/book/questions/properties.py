"""Which images cost more: density, size of cells, background."""

from __future__ import annotations

from collections.abc import Sequence

from tbscale.bench.schema import Record
from tbscale.bench.statistics import differs
from tbscale.book import formats
from tbscale.book.drawing import INK, SOFT, Drawing, csv_of, finish, new_axes, styled
from tbscale.book.figures import KINDS, STEP_KIND
from tbscale.book.markdown import number, table
from tbscale.book.questions.measures import (
    median_of,
    seconds_cell,
    steps_of,
    subjects_of,
    summary_of,
)
from tbscale.book.shelf import Entry

MEGA = 1_000_000
PROPERTIES = {
    "density": "nuclei a megapixel",
    "diameter": "diameter, px",
    "background": "background",
}


def measured(record: Record, engine: str = "stock") -> list[str]:
    """The properties that the record has images of."""
    return [which for which in PROPERTIES if cases(record, engine, which)]


def cases(record: Record, engine: str, which: str) -> list[str]:
    """The cases of one property, without their engine, as they were run."""
    prefix = f"{engine}/{which}"
    return [one.removeprefix(f"{engine}/") for one in subjects_of(record, prefix)]


def drawn(record: Record, which: str, case: str) -> float:
    """The property as the true labels say it, or the diameter that was drawn and given."""
    if which == "density":
        side = _number(record.parameters["size_px"])
        return median_of(record, "true-cells", case) * MEGA / side**2
    if which == "background":
        return 1 - median_of(record, "true-foreground", case)
    return float(case.split("/")[1])


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def drawn_words(which: str, value: float) -> str:
    """The property in words."""
    if which == "background":
        return formats.share(value)
    return formats.count(round(value)) if which == "density" else f"{value:g}{formats.NBSP}px"


def kinds_of(record: Record, subject: str) -> dict[str, float]:
    """Median seconds by kind of step."""
    out = dict.fromkeys(KINDS, 0.0)
    for step, seconds in steps_of(record, subject).items():
        out[STEP_KIND[step]] += seconds
    return out


def property_table(record: Record, which: str, engine: str = "stock") -> str:
    """One row for each image: what was drawn, time of the run and of its kinds of step, memory."""
    rows = []
    for case in cases(record, engine, which):
        subject = f"{engine}/{case}"
        kinds = kinds_of(record, subject)
        rows.append(
            [
                drawn_words(which, drawn(record, which, case)),
                formats.count(int(median_of(record, "cells", subject))),
                seconds_cell(summary_of(record, "wall", subject)),
                formats.seconds(kinds["network"]),
                formats.seconds(kinds["from flows to cells"]),
                formats.memory(median_of(record, "peak", subject)),
            ]
        )
    heads = ("cells found", "whole run", "network", "from flows to cells", "peak memory")
    return table([number(PROPERTIES[which]), *(number(one) for one in heads)], rows)


def range_of(record: Record, which: str, engine: str = "stock") -> tuple[float, str, str] | None:
    """Dearest over cheapest image of a property, and both in words; None within the spread.

    Single runs have no spread, so they say nothing.
    """
    found = {case: summary_of(record, "wall", f"{engine}/{case}") for case in
             cases(record, engine, which)}  # fmt: skip
    low = min(found, key=lambda case: found[case].median)
    high = max(found, key=lambda case: found[case].median)
    if min(found[low].n, found[high].n) < 2 or not differs(found[low], found[high]):
        return None
    words = [drawn_words(which, drawn(record, which, case)) for case in (high, low)]
    return found[high].median / found[low].median, words[0], words[1]


def extremes(record: Record, which: str, engine: str = "stock") -> str:
    """What the dearest and the cheapest image of a property cost, in a sentence."""
    found = range_of(record, which, engine)
    if found is None:
        return "The times of these images cannot be ranked: they lie within the spread."
    ratio, dear, cheap = found
    times = formats.ratio(ratio)
    return f"The dearest image ({dear}) takes {times} as long as the cheapest ({cheap})."


def ranking(record: Record, engine: str = "stock") -> str:
    """How much each property moves the time of a run, the most first, in a sentence."""
    found = {which: range_of(record, which, engine) for which in measured(record, engine)}
    ranked = sorted(((one[0], which) for which, one in found.items() if one), reverse=True)
    still = [which for which, one in found.items() if one is None]
    parts = [f"{which} by {formats.ratio(ratio)}" for ratio, which in ranked]
    moved = f"Between its extremes each property moves the time of a run: {', '.join(parts)}. "
    unmoved = f"No difference beyond the spread: {', '.join(still)}." if still else ""
    return (moved if parts else "") + unmoved


def properties_drawing(entry: Entry, which: str, engine: str = "stock") -> Drawing:
    """Bars of the seconds of each kind of step, one for each image of a property."""
    record = entry.record
    found = cases(record, engine, which)
    kinds = [kinds_of(record, f"{engine}/{case}") for case in found]
    names = [drawn_words(which, drawn(record, which, case)) for case in found]
    with styled():
        figure, axes = new_axes(1.6 + 0.36 * len(found))
        left = [0.0] * len(found)
        for kind, (colour, _) in KINDS.items():
            widths = [one[kind] for one in kinds]
            if max(widths, default=0.0) > 0:
                axes.barh(range(len(found)), widths, left=left, color=colour, label=kind)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.set_yticks(range(len(found)), names)
        axes.invert_yaxis()
        axes.set_xlabel("wall time, s")
        axes.set_ylabel(PROPERTIES[which], color=SOFT)
        axes.tick_params(length=0)
        figure.legend(loc="outside lower center", ncols=3, fontsize=9, labelcolor=INK)
        rows = _rows(names, kinds)
        csv = csv_of((which, "kind", "wall_s"), rows)
        return finish(figure, f"{entry.address}-{which}", _alt(which, names, kinds), csv)


def _rows(names: Sequence[str], kinds: Sequence[dict[str, float]]) -> list[tuple[object, ...]]:
    plain = [name.replace(",", "").replace(formats.NBSP, " ") for name in names]
    pairs = zip(plain, kinds, strict=True)
    return [(name, kind, one[kind]) for name, one in pairs for kind in KINDS]


def _alt(which: str, names: Sequence[str], kinds: Sequence[dict[str, float]]) -> str:
    parts = [
        f"{name}: {formats.seconds(sum(one.values()))}, of which from flows to cells "
        f"{formats.seconds(one['from flows to cells'])}"
        for name, one in zip(names, kinds, strict=True)
    ]
    return f"Wall time by kind of step against {PROPERTIES[which]}. {'; '.join(parts)}."
