"""What channels, inputs and other networks cost."""

from __future__ import annotations

from tbscale.bench.schema import Record
from tbscale.bench.statistics import summarise
from tbscale.book import formats
from tbscale.book.drawing import (
    BLUE,
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
from tbscale.book.questions.measures import (
    median_of,
    paired_ratios,
    ratio_cell,
    seconds_cell,
    subjects_of,
    summary_of,
)
from tbscale.book.shelf import Entry

REFERENCE_WIDTH = "width/32"


def _channels(subject: str) -> int:
    return int(subject.split("/")[1])


def reading_table(record: Record) -> str:
    """Reading one channel by region beside reading the whole file."""
    rows = []
    for subject in subjects_of(record, "reading", "file"):
        ratio = summarise(paired_ratios_of(record, subject))
        rows.append(
            [
                str(_channels(subject)),
                formats.memory(median_of(record, "file", subject)),
                formats.memory(median_of(record, "one-channel-bytes", subject)),
                seconds_cell(summary_of(record, "one-channel", subject)),
                seconds_cell(summary_of(record, "whole-file", subject)),
                ratio_cell(ratio),
            ]
        )
    heads = ("file", "read for one", "one channel", "whole file", "whole over one")
    return table([number("channels"), *(number(one) for one in heads)], rows)


def paired_ratios_of(record: Record, subject: str) -> list[float]:
    """Seconds of the whole file over those of one channel, reading by reading."""
    one = [m.value for m in record.measures if (m.name, m.subject) == ("one-channel", subject)]
    all_ = [m.value for m in record.measures if (m.name, m.subject) == ("whole-file", subject)]
    return [a / b for a, b in zip(all_, one, strict=True)]


def inputs_ratio(record: Record) -> str:
    """Time with a second input over that with one, pair by pair."""
    return ratio_cell(summarise(paired_ratios(record, "inputs/2", "inputs/1")))


def inputs_table(record: Record) -> str:
    """One input beside two."""
    rows = [
        [
            words,
            seconds_cell(summary_of(record, "wall", subject)),
            seconds_cell(summary_of(record, "step-network", subject)),
            formats.memory(median_of(record, "peak", subject)),
        ]
        for subject, words in (("inputs/1", "one channel"), ("inputs/2", "two channels"))
    ]
    heads = ("whole run", "network", "peak memory")
    return table([text("input of the network"), *(number(one) for one in heads)], rows)


def nets_table(record: Record) -> str:
    """Networks alone: wider and narrower ones, and several averaged."""
    rows = []
    for subject in [*subjects_of(record, "width"), *subjects_of(record, "nets")]:
        kind, value = subject.split("/")
        published = median_of(record, "wall", REFERENCE_WIDTH)
        ratio = median_of(record, "wall", subject) / published
        words = f"first layer of {value} features" if kind == "width" else f"{value} averaged"
        if subject == REFERENCE_WIDTH:
            words += ", as published"
        rows.append(
            [
                words,
                formats.count(int(median_of(record, "weights", subject))),
                seconds_cell(summary_of(record, "wall", subject)),
                formats.ratio(ratio),
            ]
        )
    heads = ("weights (random)", "one batch", "of the published network")
    return table([text("networks"), *(number(one) for one in heads)], rows)


def reading_drawing(entry: Entry) -> Drawing:
    """Seconds to read one channel and the whole file against the number of channels."""
    record = entry.record
    subjects = subjects_of(record, "reading", "file")
    counts = [_channels(one) for one in subjects]
    with styled():
        figure, axes = new_axes(2.8)
        rows: list[tuple[object, ...]] = []
        for name, words, colour in (
            ("whole-file", "whole file", ORANGE),
            ("one-channel", "one channel, by region", BLUE),
        ):
            found = [summary_of(record, name, one) for one in subjects]
            axes.plot(counts, [one.median for one in found], "o-", color=colour, label=words)
            axes.fill_between(
                counts, [one.smallest for one in found], [one.largest for one in found],
                color=colour, alpha=0.25, linewidth=0,
            )  # fmt: skip
            rows += [(words.split(",")[0], c, s.median) for c, s in zip(counts, found, strict=True)]
        axes.set_ylim(bottom=0)
        axes.set_xlabel("channels in the file")
        axes.set_ylabel("time to read, s")
        axes.tick_params(labelcolor=SOFT)
        axes.legend(fontsize=9, labelcolor=INK)
        csv = csv_of(("read", "channels", "wall_s"), rows)
        return finish(figure, f"{entry.address}-reading", _alt(record, subjects), csv)


def _alt(record: Record, subjects: list[str]) -> str:
    parts = [
        f"{_channels(one)} channels: one {formats.seconds(median_of(record, 'one-channel', one))}, "
        f"whole file {formats.seconds(median_of(record, 'whole-file', one))}"
        for one in subjects
    ]
    return f"Time to read against the number of channels in the file. {'; '.join(parts)}."
