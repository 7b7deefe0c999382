"""What faster settings gain and give up: ratios of pairs, beside agreement."""

from __future__ import annotations

from tbscale.bench.schema import Record
from tbscale.bench.statistics import Summary, summarise
from tbscale.book import formats
from tbscale.book.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    SOFT,
    Drawing,
    csv_of,
    finish,
    new_axes,
    styled,
)
from tbscale.book.markdown import number, table, text
from tbscale.book.questions.measures import median_of, paired_ratios, ratio_cell, subjects_of
from tbscale.book.shelf import Entry

BASELINE = "default"
WORDS = {
    "default": "default",
    "niter-100": "`niter=100`",
    "niter-50": "`niter=50`",
    "no-flow-check": "`flow_threshold=0`: no flow check",
    "no-interpolation": "`interp=False`: nearest flow",
    "less-overlap": "`tile_overlap=0.05`",
    "batch-1": "`batch_size=1`",
    "batch-32": "`batch_size=32`",
    "all-faster": "fewer iterations, no check, less overlap",
    "resample-off": "`resample=False`, the `fast_mode` of 2022",
    "network-exact": "`tbscale`, network `exact`",
    "network-fast": "`tbscale`, network `fast`: other rounding",
    "network-half": "`tbscale`, network `half`: bfloat16 where the CPU has it",
}


def groups(record: Record) -> list[str]:
    """Groups that the record has variants of."""
    return [one for one in ("native", "rescaled") if variants(record, one)]


def variants(record: Record, group: str) -> list[str]:
    """Names of the variants of a group, as they were run."""
    return [one.split("/")[1] for one in subjects_of(record, group)]


def words_of(variant: str) -> str:
    """A variant in words."""
    return WORDS.get(variant, f"`{variant}`")


def ratio_of(record: Record, group: str, variant: str) -> Summary:
    """Time of a variant over that of the baseline, pair by pair."""
    return summarise(paired_ratios(record, f"{group}/{variant}", f"{group}/{BASELINE}"))


def gain_of(ratio: Summary) -> str:
    """Whether the pairs say faster, slower, or neither."""
    if ratio.largest < 1:
        return "faster"
    return "slower" if ratio.smallest > 1 else "within the spread"


def settings_table(record: Record, group: str) -> str:
    """One row for each variant: ratio of times, agreement with the baseline and with the truth."""
    rows = []
    for variant in variants(record, group):
        subject = f"{group}/{variant}"
        ratio = ratio_of(record, group, variant)
        first = variant == BASELINE
        change = median_of(record, "cells", subject) / median_of(record, "cells-default", subject)
        rows.append(
            [
                words_of(variant),
                "1" if first else ratio_cell(ratio),
                "–" if first else gain_of(ratio),
                *(_ap(record, subject, BASELINE, one) for one in ("0.5", "0.9")),
                "–" if first else f"{100 * (change - 1):+.1f}{formats.NBSP}%",
                *(_ap(record, subject, "truth", one) for one in ("0.5", "0.9")),
                formats.memory(median_of(record, "peak", subject)),
            ]
        )
    heads = ("AP to default, IoU 0.5", "0.9", "cells", "AP to truth, IoU 0.5", "0.9", "peak memory")
    columns = [text("setting"), number("time, of the default"), text("so it is")]
    return table([*columns, *(number(one) for one in heads)], rows)


def _ap(record: Record, subject: str, reference: str, threshold: str) -> str:
    if reference == BASELINE and median_of(record, f"equal-{BASELINE}", subject) == 1:
        return "same cells"
    return f"{median_of(record, f'ap-{threshold}-{reference}', subject):.3f}"


def changes_nothing(record: Record, group: str) -> list[str]:
    """Variants that give the same cells as the baseline, in words."""
    return [
        words_of(one)
        for one in variants(record, group)
        if one != BASELINE and median_of(record, f"equal-{BASELINE}", f"{group}/{one}") == 1
    ]


def gains(record: Record, group: str) -> list[str]:
    """Variants that every pair says are faster, the fastest first, with their ratio."""
    found = [(ratio_of(record, group, one), one) for one in variants(record, group)]
    faster = sorted((r.median, one) for r, one in found if one != BASELINE and r.largest < 1)
    return [f"{words_of(one)} ({formats.three_digits(ratio)})" for ratio, one in faster]


def settings_drawing(entry: Entry, group: str) -> Drawing:
    """Time against agreement: a mark for each variant, with the range of its pairs."""
    record = entry.record
    rows: list[tuple[object, ...]] = []
    names = variants(record, group)
    with styled():
        figure, axes = new_axes(1.3 + 0.33 * len(names))
        for row, variant in enumerate(names):
            subject = f"{group}/{variant}"
            ratio = ratio_of(record, group, variant)
            axes.plot([ratio.smallest, ratio.largest], [row, row], color=ORANGE, linewidth=3)
            axes.plot(ratio.median, row, "o", color=ORANGE, markersize=7, zorder=3)
            ap = median_of(record, f"ap-0.9-{BASELINE}", subject)
            axes.plot(ap, row, "D", color=BLUE, markersize=5.5, zorder=4)
            truth = median_of(record, "ap-0.5-truth", subject)
            axes.plot(truth, row, "s", color=GREEN, markersize=5)
            rows.append((variant, ratio.median, ratio.smallest, ratio.largest, ap, truth))
        axes.axvline(1, color=SOFT, linewidth=0.9, zorder=0)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("of the default (time), or average precision")
        axes.tick_params(length=0)
        axes.plot([], [], "o", color=ORANGE, label="time")
        axes.plot([], [], "D", color=BLUE, label="AP to default, IoU 0.9")
        axes.plot([], [], "s", color=GREEN, label="AP to truth, IoU 0.5")
        figure.legend(loc="outside lower center", ncols=3, fontsize=9, labelcolor=INK)
        header = ("variant", "time_ratio", "smallest", "largest", "ap_0.9_default", "ap_0.5_truth")
        csv = csv_of(header, rows)
        return finish(figure, f"{entry.address}-settings-{group}", _alt(rows), csv)


def _alt(rows: list[tuple[object, ...]]) -> str:
    parts = [f"{name}: time {ratio:.2f}, AP {ap:.3f}" for name, ratio, _, _, ap, _ in rows]
    return (
        "Time of each setting as a ratio to the default, with average precision at IoU 0.9 "
        f"against the default. {'; '.join(parts)}."
    )
