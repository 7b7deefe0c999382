"""How much faster whole runs are than stock Cellpose, pair by pair, and what their labels share."""

from __future__ import annotations

from tbscale.bench.reference import REFERENCE_ENGINE
from tbscale.bench.schema import Record
from tbscale.bench.statistics import Summary, summarise
from tbscale.book import formats
from tbscale.book.drawing import Drawing
from tbscale.book.markdown import code, number, table, text
from tbscale.book.questions.measures import (
    grade_cell,
    image_of,
    median_of,
    paired_ratios,
    ratio_cell,
    seconds_cell,
    summary_of,
)
from tbscale.book.questions.ranges import ranges_drawing
from tbscale.book.shelf import Entry, Shelf

EXPERIMENT = "speedup"


def current(shelf: Shelf) -> list[Entry]:
    """The newest record of the same pixels on each machine, by the name of the image."""
    newest = {
        (one.record.dataset.name.lower(), one.record.dataset.sha256, one.machine): one
        for one in shelf.of_experiment(EXPERIMENT)
    }
    return [newest[key] for key in sorted(newest)]


def engines_of(record: Record) -> list[str]:
    """The engines that were set beside stock Cellpose, as they were asked for."""
    found = (one.subject for one in record.measures if one.name == "ap-0.5")
    return list(dict.fromkeys(found))


def times_as_fast(record: Record, engine: str) -> Summary:
    """Time of stock Cellpose over that of an engine, round by round."""
    return summarise(paired_ratios(record, REFERENCE_ENGINE, engine))


def speedup_table(record: Record) -> str:
    """One row an engine: seconds, times as fast as stock, memory."""
    rows = []
    for engine in (REFERENCE_ENGINE, *engines_of(record)):
        wall, peak = summary_of(record, "wall", engine), median_of(record, "peak", engine)
        times = "1" if engine == REFERENCE_ENGINE else ratio_cell(times_as_fast(record, engine))
        rows.append([code(engine), seconds_cell(wall), times, formats.memory(peak)])
    heads = ("wall time", "times as fast", "peak memory")
    return table([text("engine"), *(number(one) for one in heads)], rows)


def agreement_table(record: Record) -> str:
    """One row an engine: how its labels stand to those of stock Cellpose."""
    rows = []
    for engine in engines_of(record):
        ap = [f"{median_of(record, f'ap-{one}', engine):.3f}" for one in ("0.75", "0.9")]
        differing = _differing(median_of(record, "differing-share", engine))
        cells = formats.count(round(median_of(record, "cells", engine)))
        rows.append([code(engine), grade_cell(record, engine), cells, *ap, differing])
    heads = ("cells", "AP, IoU 0.75", "AP, IoU 0.9", "pixels that differ")
    return table([text("engine"), text("grade"), *(number(one) for one in heads)], rows)


def _differing(share: float) -> str:
    """Foreground pixels that differ, in a million: shares of them are mostly below a percent."""
    return "0" if share == 0 else f"{formats.three_digits(1e6 * share)} in a million"


def speedup_drawing(entry: Entry) -> Drawing:
    """How many times as fast each engine is, with the range of the rounds."""
    record = entry.record
    return ranges_drawing(
        f"{entry.address}-speedup",
        {
            REFERENCE_ENGINE: summarise([1.0]),
            **{engine: times_as_fast(record, engine) for engine in engines_of(record)},
        },
        "times as fast as stock Cellpose",
        f"Whole runs on {image_of(record)}: how many times as fast as stock Cellpose.",
        formats.three_digits,
    )


def slowest(shelf: Shelf) -> dict[str, float]:
    """For each engine the lowest ratio of any pair on any image: what it is at least."""
    least: dict[str, float] = {}
    for entry in current(shelf):
        for engine in engines_of(entry.record):
            found = times_as_fast(entry.record, engine).smallest
            least[engine] = min(found, least.get(engine, found))
    return least


def answer(shelf: Shelf) -> str:
    """What each engine was at least, in every pair of every image."""
    parts = [f"`{engine}` {formats.ratio(least)}" for engine, least in slowest(shelf).items()]
    return f"In every pair above, {', '.join(parts)} as fast as stock Cellpose, or more."
