"""The figures of a report: overview, density, distributions, time and memory by step."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from tbscale.book import formats
from tbscale.book.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    SKY,
    SOFT,
    Drawing,
    finish,
    new_axes,
    styled,
)
from tbscale.book.figures import colour_of
from tbscale.report.crops import to_grey
from tbscale.report.survey import Place, Survey

GIB = 1024**3
HISTOGRAM_BINS = 48
MM2_UM2 = 1e6
MEGAPIXEL = 1e6


def overview_drawing(survey: Survey, plane_shape: tuple[int, int], places: list[Place]) -> Drawing:
    """The whole plane in grey, with the places of the crops."""
    low, high = (float(v) for v in np.nanpercentile(survey.picture, (1, 99.7)))
    height, width = plane_shape
    with styled():
        figure, axes = new_axes(_height_in(plane_shape))
        axes.imshow(
            to_grey(survey.picture, low, high),
            cmap="gray",
            vmin=0,
            vmax=255,
            extent=(0, width, height, 0),
        )
        for number, place in enumerate(places, 1):
            y, x = place.region
            corner, size = (x.start, y.start), (x.stop - x.start, y.stop - y.start)
            axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=ORANGE, linewidth=1.4))
            axes.annotate(
                str(number),
                corner,
                (5, -5),
                textcoords="offset points",
                va="top",
                color="white",
                weight="bold",
                bbox={"facecolor": "#12181d", "edgecolor": ORANGE, "pad": 2},
            )
        _name_axes(axes)
        named = ", ".join(f"{k} {p.title.lower()}" for k, p in enumerate(places, 1)) or "none"
        alt = f"The whole plane in grey, {formats.shape(plane_shape)}; crops marked: {named}."
        return finish(figure, "overview", alt, "")


def _height_in(plane_shape: tuple[int, int]) -> float:
    return float(np.clip(5.4 * plane_shape[0] / plane_shape[1], 2.0, 8.0))


def _name_axes(axes: Any) -> None:
    axes.set_xlabel("x, px")
    axes.set_ylabel("y, px")
    axes.tick_params(labelcolor=SOFT)


def density_drawing(
    survey: Survey, plane_shape: tuple[int, int], pixel_size_um: tuple[float, float] | None
) -> Drawing:
    """Cells for each area, by bins of the plane."""
    unit, per_px2 = density_unit(pixel_size_um)
    height, width = plane_shape
    tall, wide = (
        np.diff(np.minimum(np.arange(n + 1) * survey.bin_px, size))
        for n, size in zip(survey.density.shape, plane_shape, strict=True)
    )
    values = survey.density / (tall[:, None] * wide[None]) * per_px2
    with styled():
        figure, axes = new_axes(_height_in(plane_shape))
        extent = (0, survey.bin_px * values.shape[1], survey.bin_px * values.shape[0], 0)
        top = float(np.percentile(values, 99.5)) or 1.0
        shown = axes.imshow(values, cmap="viridis", extent=extent, vmin=0, vmax=top)
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        bar = figure.colorbar(shown, ax=axes, location="top", shrink=0.8, aspect=30)
        bar.set_label(f"cells per {unit}")
        bar.ax.tick_params(labelcolor=SOFT)
        _name_axes(axes)
        alt = (
            f"Cell density over the plane in bins of {survey.bin_px} px: up to "
            f"{formats.three_digits(float(values.max(initial=0)))} cells per {unit}, none in "
            f"{formats.share(float(np.mean(survey.density == 0)))} of the bins."
        )
        return finish(figure, "density", alt, "")


def density_unit(pixel_size_um: tuple[float, float] | None) -> tuple[str, float]:
    """The area that densities are given for, and how many square pixels it has."""
    if pixel_size_um is None:
        return "megapixel", MEGAPIXEL
    return "mm²", MM2_UM2 / (pixel_size_um[0] * pixel_size_um[1])


def size_drawing(area_px: NDArray[np.int64], pixel_size_um: tuple[float, float] | None) -> Drawing:
    """The areas of all cells."""
    unit, factor = "px", 1.0
    if pixel_size_um is not None:
        unit, factor = "µm²", pixel_size_um[0] * pixel_size_um[1]
    return _histogram(area_px * factor, "size", "area of a cell", unit, GREEN)


def intensity_drawing(means: NDArray[np.float64], channel_name: str) -> Drawing:
    """The mean intensity of all cells in the segmented channel."""
    return _histogram(means, "intensity", f"mean intensity in {channel_name}", "", BLUE)


def _histogram(values: NDArray[Any], name: str, what: str, unit: str, colour: str) -> Drawing:
    values = values[np.isfinite(values)]
    top = float(np.percentile(values, 99.5)) if len(values) else 1.0
    counts, edges = np.histogram(np.minimum(values, top), HISTOGRAM_BINS)
    behind = f" {unit}" if unit else ""
    with styled():
        figure, axes = new_axes(2.5)
        axes.stairs(counts, edges, fill=True, color=colour, alpha=0.85)
        alt = f"Histogram: {what}; no cells."
        if len(values):
            low, middle, high = np.percentile(values, (5, 50, 95))
            axes.axvline(middle, color=INK, linewidth=1.2)
            text = f"median {formats.three_digits(middle)}{behind}"
            axes.annotate(
                text, (middle, 1), (5, -10), ("data", "axes fraction"), "offset points", color=INK
            )
            alt = (
                f"Histogram: {what}; median {formats.three_digits(middle)}{behind}, 90 % of the "
                f"cells from {formats.three_digits(low)} to {formats.three_digits(high)}{behind}."
            )
        axes.set_xlabel(f"{what}, {unit}" if unit else what)
        axes.set_ylabel("cells")
        axes.tick_params(length=0, labelcolor=SOFT)
        return finish(figure, name, alt, "")


def time_drawing(steps: dict[str, dict[str, Any]], wall_s: float) -> Drawing:
    """Bars of the wall time of each step."""
    names = list(steps)
    times = [float(steps[name]["wall_s"]) for name in names]
    with styled():
        figure, axes = new_axes(0.7 + 0.3 * len(names))
        axes.barh(range(len(names)), times, height=0.66, color=[colour_of(n) for n in names])
        for row, spent in enumerate(times):
            text = f"{formats.seconds(spent)}  ({formats.share(spent / max(wall_s, 1e-9))})"
            axes.annotate(
                text, (spent, row), (6, 0), textcoords="offset points", va="center", color=SOFT
            )
        _finish_bars(axes, names, 1.45 * max(times, default=1.0))
        axes.set_xlabel("wall time, s")
        parts = ", ".join(f"{n} {formats.seconds(t)}" for n, t in zip(names, times, strict=True))
        return finish(figure, "time", f"Wall time by step: {parts}.", "")


def memory_drawing(steps: dict[str, dict[str, Any]], plan: dict[str, Any]) -> Drawing:
    """Bars of the largest memory seen in each step, and the plan's projection."""
    peaks = {n: s["peak_rss_bytes"] for n, s in steps.items() if s.get("peak_rss_bytes")}
    names = list(peaks)
    projected = float(plan["projected_peak_bytes"]) / GIB
    with styled():
        figure, axes = new_axes(0.95 + 0.3 * len(names))
        values = [peak / GIB for peak in peaks.values()]
        axes.barh(range(len(names)), values, height=0.66, color=SKY)
        for row, value in enumerate(values):
            axes.annotate(
                formats.memory(value * GIB),
                (0, row),
                (6, 0),
                textcoords="offset points",
                va="center",
                color="black",
            )
        axes.axvline(projected, color=INK, linewidth=1.3)
        axes.annotate(
            f"projected {formats.memory(projected * GIB)}",
            (projected, 1),
            (-4, 4),
            ("data", "axes fraction"),
            "offset points",
            ha="right",
            va="bottom",
            color=INK,
        )
        _finish_bars(axes, names, 1.12 * max([projected, *values]))
        axes.set_xlabel("largest resident memory, GiB")
        parts = ", ".join(f"{n} {formats.memory(peak)}" for n, peak in peaks.items())
        alt = f"Largest memory by step: {parts}; projected {formats.memory(projected * GIB)}."
        return finish(figure, "memory", alt, "")


def _finish_bars(axes: Any, names: list[str], limit: float) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, limit)
    axes.spines["left"].set_visible(False)
