"""A figure of ratios: a dot at each median, a bar over the range of its rounds, a line at one."""

from __future__ import annotations

from collections.abc import Callable

from tbscale.bench.statistics import Summary
from tbscale.book.drawing import BLUE, INK, ORANGE, SOFT, Drawing, csv_of, finish, new_axes, styled


def ranges_drawing(
    name: str,
    ratios: dict[str, Summary],
    axis: str,
    alt: str,
    say: Callable[[float], str],
    ours: str | None = None,
) -> Drawing:
    """Draw ratios, the first on top.

    Parameters
    ----------
    name : of the figure's files
    axis, alt : words of the axis, and the sentence that begins the alternative text
    say : how a median is written
    ours : the ratio that stands out
    """
    with styled():
        figure, axes = new_axes(1.0 + 0.33 * len(ratios))
        for row, (label, ratio) in enumerate(ratios.items()):
            colour = ORANGE if label == ours else BLUE
            axes.plot([ratio.smallest, ratio.largest], [row, row], color=colour, linewidth=3)
            axes.plot(ratio.median, row, "o", color=colour, markersize=7, zorder=3)
        axes.axvline(1, color=SOFT, linewidth=0.9, zorder=0)
        axes.set_yticks(range(len(ratios)), list(ratios), color=INK)
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel(axis)
        axes.tick_params(length=0)
        rows: list[tuple[object, ...]] = [
            (label, one.median, one.smallest, one.largest) for label, one in ratios.items()
        ]
        csv = csv_of(("what", "median", "smallest", "largest"), rows)
        said = "; ".join(f"{label} {say(one.median)}" for label, one in ratios.items())
        return finish(figure, name, f"{alt} {said}", csv)
