"""What each step after the network costs in three programs, on the same flows."""

from __future__ import annotations

from tbscale.bench.schema import Record
from tbscale.bench.statistics import Summary, summarise
from tbscale.book import formats
from tbscale.book.drawing import Drawing
from tbscale.book.markdown import number, table, text
from tbscale.book.questions.measures import (
    grade_cell,
    median_of,
    ratio_cell,
    seconds_cell,
    subjects_of,
    values_of,
)
from tbscale.book.questions.ranges import ranges_drawing
from tbscale.book.shelf import Entry

THREE, FOUR, FAST, PLAIN = "cellpose-3", "cellpose-4", "fast", "plain"
OTHERS = {THREE: "Cellpose 3", FOUR: "Cellpose 4"}
STEPS = {
    "follow": "follow: every pixel to its sink",
    "seeds": "seeds and labels",
    "flow_qc": "flow check",
    "fill": "fill holes, drop small cells",
    "together": "**all of them**",
}
COUNTS = (
    ("foreground-pixels", "plane", "pixels of the foreground, which is followed"),
    ("flow-bytes", "plane", "bytes of the flow field"),
    ("pixel-iterations", "follow/cellpose-3", "steps of pixels that Cellpose takes"),
    ("pixel-iterations", "follow/fast", "steps of pixels until each is at its fixed point"),
    ("seeds", "seeds", "seeds"),
    ("diffusion-updates", "flow_qc", "pixel updates of the diffusion in the flow check"),
    ("cells-checked", "flow_qc/fast", "cells whose flow is checked"),
)


def walls_of(record: Record, step: str, engine: str) -> list[float]:
    """Seconds of a step, round by round; empty where the engine was not measured."""
    subjects = subjects_of(record, f"{step}/{engine}")
    return [value for one in subjects for value in values_of(record, "wall", one)]


def ratio_of(record: Record, step: str, engine: str, other: str) -> Summary | None:
    """Time of `other` over that of `engine`, of the same rounds; None where either is missing."""
    pair = walls_of(record, step, other), walls_of(record, step, engine)
    if not all(pair):
        return None
    return summarise([theirs / own for theirs, own in zip(*pair, strict=True)])


def times_cell(ratio: Summary | None) -> str:
    """Times as fast, with the range of the rounds; a dash where it was not measured."""
    return "–" if ratio is None else ratio_cell(ratio)


def wall_cell(record: Record, step: str, engine: str) -> str:
    """Seconds of a step; a dash where the engine was not measured."""
    walls = walls_of(record, step, engine)
    return seconds_cell(summarise(walls)) if walls else "–"


def memory_cell(record: Record, step: str, engine: str) -> str:
    """How far a step raised the peak of its process; a dash where that was not measured."""
    subject = f"{step}/{engine}"
    if not values_of(record, "peak-growth", subject):
        return "–"
    return formats.memory(median_of(record, "peak-growth", subject))


def seconds_table(record: Record) -> str:
    """One row a step: seconds in each program."""
    rows = [
        [words, *(wall_cell(record, step, engine) for engine in (THREE, FOUR, FAST))]
        for step, words in STEPS.items()
    ]
    names = (*OTHERS.values(), "`tbscale`")
    return table([text("step"), *(number(one) for one in names)], rows)


def times_table(record: Record) -> str:
    """One row a step: times as fast as each Cellpose, and the grade."""
    rows = [
        [
            words,
            *(times_cell(ratio_of(record, step, FAST, other)) for other in OTHERS),
            grade_cell(record, f"{step}/{FAST}"),
        ]
        for step, words in STEPS.items()
    ]
    columns = [number(f"times as fast as {name}") for name in OTHERS.values()]
    return table([text("step"), *columns, text("grade")], rows)


def memory_table(record: Record) -> str:
    """One row a step: how far it raised the peak, in Cellpose and here."""
    engines = {THREE: "Cellpose 3", FAST: "`tbscale`", PLAIN: "`tbscale --plain`"}
    rows = [
        [words, *(memory_cell(record, step, engine) for engine in engines)]
        for step, words in STEPS.items()
    ]
    return table([text("step"), *(number(name) for name in engines.values())], rows)


def plain_table(record: Record) -> str:
    """One row a step: the plain path beside the fast one."""
    rows = [
        [
            words,
            wall_cell(record, step, PLAIN),
            times_cell(ratio_of(record, step, FAST, PLAIN)),
            grade_cell(record, f"{step}/{PLAIN}"),
        ]
        for step, words in STEPS.items()
    ]
    columns = [text("step"), number("plain"), number("fast, times as fast"), text("grade of plain")]
    return table(columns, rows)


def counts_table(record: Record) -> str:
    """What does not depend on the machine: how much there is to do."""
    rows = [
        [words, formats.compact(median_of(record, name, subject))]
        for name, subject, words in COUNTS
        if values_of(record, name, subject)
    ]
    return table([text("what is counted"), number("on this plane")], rows)


def times_drawing(entry: Entry) -> Drawing:
    """How many times as fast as each Cellpose every step is, with the range of the rounds."""
    ratios = {}
    for step, words in STEPS.items():
        for other, name in OTHERS.items():
            ratio = ratio_of(entry.record, step, FAST, other)
            if ratio is not None:
                ratios[f"{words.strip('*').partition(':')[0]}, {name}"] = ratio
    return ranges_drawing(
        f"{entry.address}-steps",
        ratios,
        "times as fast",
        "Times as fast as Cellpose, by step.",
        "{:.1f}".format,
    )
