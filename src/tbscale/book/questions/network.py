"""What can run the network on a CPU: time of a tile in interleaved rounds, and how it rounds."""

from __future__ import annotations

import statistics

from tbscale.bench.schema import Record
from tbscale.bench.statistics import Summary
from tbscale.book import formats
from tbscale.book.drawing import Drawing
from tbscale.book.markdown import cell, number, table, text
from tbscale.book.questions.measures import (
    median_of,
    ratio_cell,
    seconds_cell,
    subjects_of,
    summary_of,
    values_of,
)
from tbscale.book.questions.ranges import ranges_drawing
from tbscale.book.shelf import Entry

REFERENCE, OURS = "reference", "winograd"
WORDS = {
    "reference": "as Cellpose runs it: torch, oneDNN's layout",
    "reference-memory-kept": "the same, freed memory kept, as by `exact`",
    "winograd": "`tbscale`, network `fast`: Winograd convolutions",
    "winograd-bfloat16": "`tbscale`, network `half`: the same, products of bfloat16",
    "channels-last": "torch, `channels_last`",
    "channels-last-bfloat16": "torch, `channels_last`, bfloat16",
    "compiled": "torch, `channels_last`, compiled",
    "compiled-bfloat16": "torch, `channels_last`, compiled, bfloat16",
    "onnx-runtime": "ONNX Runtime, float32",
    "onnx-runtime-int8": "ONNX Runtime, 8 bits",
    "openvino": "OpenVINO, float32",
    "openvino-bfloat16": "OpenVINO, bfloat16 where the CPU has it",
}


def candidates(record: Record) -> list[str]:
    """What was timed, in the order of the record."""
    return list(dict.fromkeys(one.subject for one in record.measures if one.name == "tile"))


def words_of(name: str) -> str:
    """A candidate in words."""
    return WORDS.get(name, f"`{name}`")


def speedup_of(record: Record, name: str) -> Summary:
    """Time of the reference over that of a candidate, round by round."""
    return summary_of(record, "speedup", name)


def verdict_of(speedup: Summary) -> str:
    """Whether every round says faster, slower, or neither."""
    if speedup.smallest > 1:
        return "faster"
    return "slower" if speedup.largest < 1 else "within the spread"


def faults_cell(record: Record, name: str) -> str:
    """Pages that the system handed out during a batch; a dash in records that did not count."""
    faults = values_of(record, "page-faults", name)
    return formats.count(round(statistics.median(faults))) if faults else "–"


def network_table(record: Record) -> str:
    """One row a candidate: a tile's time, and its ratio to the reference."""
    rows = []
    for name in candidates(record):
        speedup = speedup_of(record, name)
        rows.append(
            [
                words_of(name),
                seconds_cell(summary_of(record, "tile", name)),
                ratio_cell(speedup),
                "–" if name == REFERENCE else verdict_of(speedup),
            ]
        )
    columns = [text("what runs the network"), number("time of a tile"), number("times as fast")]
    return table([*columns, text("so it is")], rows)


def price_table(record: Record) -> str:
    """One row a candidate: what it takes to start, how it rounds, and what it asks the system."""
    rows = [
        [
            words_of(name),
            formats.seconds(median_of(record, "ready", name)),
            f"{median_of(record, 'largest-error', name):.1e}",
            faults_cell(record, name),
        ]
        for name in candidates(record)
    ]
    columns = [text("what runs the network"), number("until the first batch")]
    columns += [number("largest error"), number("page faults of a batch")]
    return table(columns, rows)


def milliseconds_cell(summary: Summary) -> str:
    """Median and range in milliseconds, for what takes less than a tenth of a second."""
    middle, low, high = (
        formats.three_digits(1e3 * one)
        for one in (summary.median, summary.smallest, summary.largest)
    )
    return f"{middle} ms ({low} to {high})"


def batch_table(record: Record) -> str:
    """One row a network and form: a tile of a batch on the device, and with its way there and back.

    Errors are to float64 for Cellpose 3, and to float32 without TF32 for Cellpose 4.
    """
    rows = []
    for name in candidates(record):
        peak = values_of(record, "gpu-peak", name)
        error = values_of(record, "largest-error", name) or values_of(
            record, "error-to-float32", name
        )
        rows.append(
            [
                cell(name),
                milliseconds_cell(summary_of(record, "tile", name)),
                milliseconds_cell(summary_of(record, "tile-with-copies", name)),
                formats.memory(int(peak[0])) if peak else "–",
                f"{error[0]:.1e}",
            ]
        )
    columns = [text("network"), number("a tile"), number("and its way there and back")]
    return table([*columns, number("most memory of the GPU"), number("largest error")], rows)


def points_table(record: Record) -> str:
    """Rounding of Winograd's transforms by the points they evaluate, the smallest first."""
    found = subjects_of(record, "points", "winograd-rounding")
    rounding = sorted((median_of(record, "winograd-rounding", one), one) for one in found)
    rows = [[one.removeprefix("points/").replace(",", ", "), f"{r:.2e}"] for r, one in rounding]
    return table([text("points besides zero and infinity, plus and minus"), number("error")], rows)


def network_drawing(entry: Entry) -> Drawing:
    """How many times as fast as the reference each candidate is, with the range of the rounds."""
    return ranges_drawing(
        f"{entry.address}-network",
        {name: speedup_of(entry.record, name) for name in candidates(entry.record)},
        "times as fast as Cellpose runs the network",
        "Times as fast as Cellpose runs the network.",
        "{:.2f}".format,
        OURS,
    )
