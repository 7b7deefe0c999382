"""The figure of a guideline: one bar a variant, dots for the rounds, images in groups."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from matplotlib.axes import Axes

from tbscale.book import formats
from tbscale.book.drawing import (
    BLUE,
    GREEN,
    INK,
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
from tbscale.book.guidelines.model import Chart, Guideline
from tbscale.book.guidelines.series import rounds_of
from tbscale.book.guidelines.verdicts import Finding

COLOURS = (ORANGE, BLUE, GREEN, SKY, PINK)
ROW_IN = 0.27


@dataclass(frozen=True)
class Bar:
    """One bar: the image, the variant, and every round, in the unit of the axis."""

    image: str
    variant: str
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The length of the bar."""
        return statistics.median(self.rounds)


def image_name(finding: Finding) -> str:
    """The image of a record in a few words."""
    record = finding.entry.record
    kind = " (stand-in)" if record.dataset.origin == "stand-in" else ""
    engine = f", {finding.entry.ran}" if record.passes else ""
    return f"{record.dataset.name}{kind}{engine}"


def bars_of(guideline: Guideline, findings: tuple[Finding, ...]) -> list[Bar]:
    """The bars of a figure, image after image."""
    chart = guideline.chart
    if chart is None:
        return [
            Bar(image_name(one), guideline.claims[0].what, (one.spans[0].median,))
            for one in findings
        ]
    return [
        Bar(image_name(one), variant, tuple(chart.scale * value for value in rounds))
        for one in findings
        for variant, rounds in rounds_of(one.entry.record, chart.measure).items()
    ]


def draw(guideline: Guideline, findings: tuple[Finding, ...]) -> Drawing:
    """Draw the evidence of one machine."""
    chart = guideline.chart or Chart("", "measured")
    bars = bars_of(guideline, findings)
    images = list(dict.fromkeys(bar.image for bar in bars))
    variants = list(dict.fromkeys(bar.variant for bar in bars))
    with styled():
        figure, axes = new_axes(0.9 + ROW_IN * (len(bars) + 1.1 * len(images)))
        row = 0.0
        ticks = []
        for image in images:
            axes.text(0.01, row, image, transform=axes.get_yaxis_transform(), va="center",
                      color=INK, fontweight="bold", fontsize=9.5)  # fmt: skip
            row += 1.05
            for bar in (one for one in bars if one.image == image):
                _draw_bar(axes, bar, row, COLOURS[variants.index(bar.variant) % len(COLOURS)])
                ticks.append((row, bar.variant))
                row += 1.0
            row += 0.1
        axes.set_yticks([y for y, _ in ticks], [_short(words) for _, words in ticks])
        axes.tick_params(length=0, labelsize=9, labelcolor=SOFT)
        axes.set_ylim(row - 0.4, -0.7)
        _set_scale(axes, chart, bars)
        axes.set_xlabel(chart.axis)
        axes.spines["left"].set_visible(False)
        address = findings[0].entry.address
        return finish(figure, f"{guideline.key}-{address}", _alt(guideline, bars), _csv(bars))


def _short(words: str) -> str:
    return words.replace(", ", ",\n", 1) if len(words) > 30 else words


def _draw_bar(axes: Axes, bar: Bar, row: float, colour: str) -> None:
    axes.barh([row], [bar.median], height=0.66, color=colour)
    if len(bar.rounds) > 1:
        axes.plot(bar.rounds, [row] * len(bar.rounds), "o", color=INK, markersize=2.4, alpha=0.75)
    text = formats.compact(bar.median)
    axes.annotate(text, (max(*bar.rounds, bar.median), row), (5, 0), textcoords="offset points",
                  va="center", color=SOFT, fontsize=9)  # fmt: skip


def _set_scale(axes: Axes, chart: Chart, bars: list[Bar]) -> None:
    values = [value for bar in bars for value in bar.rounds]
    positive = [value for value in values if value > 0]
    if chart.log and positive:
        axes.set_xscale("log")
        axes.set_xlim(min(positive) / 3, max(positive) * 6)
    else:
        axes.set_xlim(0, 1.25 * max(values, default=1.0) or 1.0)


def _alt(guideline: Guideline, bars: list[Bar]) -> str:
    axis = guideline.chart.axis if guideline.chart else "measured"
    parts = [f"{bar.image}, {bar.variant}: {formats.compact(bar.median)}" for bar in bars[:8]]
    more = f"; and {len(bars) - 8} more bars" if len(bars) > 8 else ""
    return f"Bar chart of {axis}. {'; '.join(parts)}{more}."


def _csv(bars: list[Bar]) -> str:
    rows: list[tuple[object, ...]] = [
        (f'"{bar.image}"', f'"{bar.variant}"', number, value)
        for bar in bars
        for number, value in enumerate(bar.rounds, 1)
    ]
    return csv_of(("image", "variant", "round", "value"), rows)
