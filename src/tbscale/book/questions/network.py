"""What can run the network on a CPU: time of a tile in interleaved rounds, and how it rounds."""

from __future__ import annotations

from tbscale.bench.schema import Record
from tbscale.bench.statistics import Summary
from tbscale.book import formats
from tbscale.book.drawing import BLUE, INK, ORANGE, SOFT, Drawing, csv_of, finish, new_axes, styled
from tbscale.book.markdown import number, table, text
from tbscale.book.questions.measures import (
    median_of,
    seconds_cell,
    subjects_of,
    summary_of,
)
from tbscale.book.shelf import Entry

REFERENCE, OURS = "reference", "winograd"
WORDS = {
    "reference": "as Cellpose runs it: torch, oneDNN's layout",
    "winograd": "`tbscale`, network `fast`: Winograd convolutions",
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


def network_table(record: Record) -> str:
    """One row a candidate: a tile's time, its ratio to the reference, start, and rounding."""
    rows = []
    for name in candidates(record):
        speedup = speedup_of(record, name)
        low, high = (formats.three_digits(one) for one in (speedup.smallest, speedup.largest))
        rows.append(
            [
                words_of(name),
                seconds_cell(summary_of(record, "tile", name)),
                f"{formats.three_digits(speedup.median)} ({low} to {high})",
                "–" if name == REFERENCE else verdict_of(speedup),
                formats.seconds(median_of(record, "ready", name)),
                f"{median_of(record, 'largest-error', name):.1e}",
            ]
        )
    return table(
        [
            text("what runs the network"),
            number("time of a tile"),
            number("times as fast"),
            text("so it is"),
            number("until the first batch"),
            number("largest error"),
        ],
        rows,
    )


def points_table(record: Record) -> str:
    """Rounding of Winograd's transforms by the points they evaluate, the smallest first."""
    found = subjects_of(record, "points", "winograd-rounding")
    rounding = sorted((median_of(record, "winograd-rounding", one), one) for one in found)
    rows = [[one.removeprefix("points/").replace(",", ", "), f"{r:.2e}"] for r, one in rounding]
    return table([text("points besides zero and infinity, plus and minus"), number("error")], rows)


def network_drawing(entry: Entry) -> Drawing:
    """How many times as fast as the reference each candidate is, with the range of the rounds."""
    record = entry.record
    names = candidates(record)
    rows: list[tuple[object, ...]] = []
    with styled():
        figure, axes = new_axes(1.0 + 0.33 * len(names))
        for row, name in enumerate(names):
            speedup = speedup_of(record, name)
            colour = ORANGE if name == OURS else BLUE
            axes.plot([speedup.smallest, speedup.largest], [row, row], color=colour, linewidth=3)
            axes.plot(speedup.median, row, "o", color=colour, markersize=7, zorder=3)
            rows.append((name, speedup.median, speedup.smallest, speedup.largest))
        axes.axvline(1, color=SOFT, linewidth=0.9, zorder=0)
        axes.set_yticks(range(len(names)), names, color=INK)
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("times as fast as Cellpose runs the network")
        axes.tick_params(length=0)
        csv = csv_of(("candidate", "speedup", "smallest", "largest"), rows)
        alt = "Times as fast as Cellpose runs the network. " + "; ".join(
            f"{name} {median:.2f}" for name, median, _, _ in rows
        )
        return finish(figure, f"{entry.address}-network", alt, csv)
