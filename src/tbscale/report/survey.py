"""Look at a whole plane in bounded memory: its cells, a small picture, where to look closer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Region, plan_blocks
from tbscale.engine.table.measure import Shapes, measure_cells
from tbscale.images.cached_plane import cache_chunks, row_of_chunks_bytes
from tbscale.images.plane import Plane
from tbscale.report.source import Source

OVERVIEW_PX = 1000
CROP_PX = 256
BINS = 72  # of the density, along the longer side
SMALLEST_BIN_PX = 24
READ_PX = 1024


@dataclass(frozen=True)
class Survey:
    """What one pass over labels and pixels found.

    Attributes
    ----------
    shapes, means : of every cell; means float64 (n,) of the segmented channel
    picture : float32 (H, W), the plane, each pixel the mean of a square of it
    density : float64 (h, w), cells in each bin
    bin_px : side of a bin
    """

    shapes: Shapes
    means: NDArray[np.float64]
    picture: NDArray[np.float32]
    density: NDArray[np.float64]
    bin_px: int


def survey(source: Source) -> Survey:
    """Measure every cell and shrink the plane; memory is that of the cells and a few windows."""
    shapes, means = measure_cells(source.labels, source.pixels, source.largest_id)
    there = shapes.area > 0
    shapes, means = shapes.of(there), means[there]
    bin_px = max(SMALLEST_BIN_PX, math.ceil(max(source.labels.shape) / BINS))
    return Survey(
        shapes,
        means,
        shrink(source.overview, OVERVIEW_PX),
        count_in_bins(shapes, source.labels.shape, bin_px),
        bin_px,
    )


def shrink(plane: Plane, longest_px: int) -> NDArray[np.float32]:
    """Means of squares of a plane, so that its longer side has at most `longest_px`; float32."""
    step = math.ceil(max(plane.shape) / longest_px)
    side = step * max(1, READ_PX // step)
    out = np.zeros([-(-size // step) for size in plane.shape], np.float32)
    cached = cache_chunks(plane, row_of_chunks_bytes(plane))
    for block in plan_blocks(plane.shape, side):
        y, x = block.core
        rows, columns = (np.arange(0, s.stop - s.start, step) for s in block.core)
        pixels = cached.read(y, x).astype(np.float32)
        sums = np.add.reduceat(np.add.reduceat(pixels, rows, axis=0), columns, axis=1)
        heights = np.diff([*rows, pixels.shape[0]])[:, None]
        widths = np.diff([*columns, pixels.shape[1]])[None]
        top, left = y.start // step, x.start // step
        out[top : top + len(rows), left : left + len(columns)] = sums / (heights * widths)
    return out


def count_in_bins(shapes: Shapes, plane_shape: tuple[int, int], bin_px: int) -> NDArray[np.float64]:
    """Cells by the bin of their centroid, float64 (h, w)."""
    height, width = (-(-size // bin_px) for size in plane_shape)
    rows = (shapes.centroid_y // bin_px).astype(np.int64)
    columns = (shapes.centroid_x // bin_px).astype(np.int64)
    counts = np.bincount(rows * width + columns, minlength=height * width)
    return counts.reshape(height, width).astype(np.float64)


@dataclass(frozen=True)
class Place:
    """A window to look at in full resolution.

    Attributes
    ----------
    title : why it was chosen
    region : slices of the plane
    borders_y, borders_x : rows and columns of the plane at which blocks meet in it
    """

    title: str
    region: Region
    borders_y: tuple[int, ...] = ()
    borders_x: tuple[int, ...] = ()


def around(y: int, x: int, plane_shape: tuple[int, int], side_px: int = CROP_PX) -> Region:
    """A square around a point, moved into the plane, smaller where the plane is."""
    starts = [
        max(0, min(centre - side_px // 2, size - side_px))
        for centre, size in zip((y, x), plane_shape, strict=True)
    ]
    stops = [min(s + side_px, size) for s, size in zip(starts, plane_shape, strict=True)]
    return slice(starts[0], stops[0]), slice(starts[1], stops[1])


def choose_places(shapes: Shapes, plane_shape: tuple[int, int], core_px: int | None) -> list[Place]:
    """Where cells are many, where they are few, and where blocks met."""
    counts = count_in_bins(shapes, plane_shape, CROP_PX)
    places = []
    if counts.any():
        filled = np.argwhere(counts > 0)
        order = np.argsort(counts[counts > 0], kind="stable")
        for title, rank in (("Dense", -1), ("Sparse", len(order) // 10)):
            row, column = filled[order[rank]] * CROP_PX + CROP_PX // 2
            places.append(Place(title, around(int(row), int(column), plane_shape)))
    crossing = busiest_border(shapes, plane_shape, core_px) if core_px else None
    if crossing is not None and core_px:
        region = around(*crossing, plane_shape)
        places.append(
            Place(
                "Where blocks met",
                region,
                tuple(y for y in inner_borders(plane_shape[0], core_px) if inside(y, region[0])),
                tuple(x for x in inner_borders(plane_shape[1], core_px) if inside(x, region[1])),
            )
        )
    return places


def inside(position: int, part: slice) -> bool:
    """Whether a border lies within a slice, not at its edge."""
    return bool(part.start < position < part.stop)


def inner_borders(size_px: int, core_px: int) -> range:
    """Positions along an axis at which two cores meet."""
    return range(core_px, size_px, core_px)


def busiest_border(
    shapes: Shapes, plane_shape: tuple[int, int], core_px: int
) -> tuple[int, int] | None:
    """The point on a border of blocks around which most cells cross it; None without borders.

    A corner of four blocks where there is one, else a point along the only border.
    """
    ys: list[int] = list(inner_borders(plane_shape[0], core_px))
    xs: list[int] = list(inner_borders(plane_shape[1], core_px))
    if not ys and not xs:
        return None
    half = CROP_PX // 2
    ys = ys or list(range(min(half, plane_shape[0] // 2), plane_shape[0], CROP_PX))
    xs = xs or list(range(min(half, plane_shape[1] // 2), plane_shape[1], CROP_PX))
    best, most = (ys[0], xs[0]), -1
    for y in ys:
        strip = np.flatnonzero((shapes.box[:, 1] > y - half) & (shapes.box[:, 0] < y + half))
        box = shapes.box[strip]
        for x in xs:
            near = (box[:, 3] > x - half) & (box[:, 2] < x + half)
            over_y = (y % core_px == 0) & (box[:, 0] < y) & (box[:, 1] > y)
            over_x = (x % core_px == 0) & (box[:, 2] < x) & (box[:, 3] > x)
            crossing = int(np.count_nonzero(near & (over_y | over_x)))
            if crossing > most:
                best, most = (y, x), crossing
    return best
