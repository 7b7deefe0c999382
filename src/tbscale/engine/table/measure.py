"""Measure every cell of a plane, window by window, in memory that grows with the cells alone.

Sums of integers are exact in any order. Sums of real numbers depend on the order in which they are
added, so the windows are fixed: they do not follow the blocks of the run that made the labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Region, plan_blocks
from tbscale.errors import ImageError
from tbscale.images.cached_plane import cache_chunks, row_of_chunks_bytes
from tbscale.images.compiled import compiled
from tbscale.images.plane import Plane
from tbscale.images.workers import ahead

WINDOW_PX = 1024


class LabelReader(Protocol):
    """Final labels of a plane, read by region: a stored plane, or a writer before it finishes."""

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X), pixels."""
        ...

    def read(self, y: slice, x: slice) -> NDArray[Any]:
        """Labels (H, W) of a region, 0 = background."""
        ...


@dataclass(frozen=True)
class Shapes:
    """Where each cell is; cell `label_id` at `label_id - 1`.

    Attributes
    ----------
    area : int64 (n,), pixels; 0 for an id that no pixel has
    sum_y, sum_x : int64 (n,), sums of the pixels' coordinates
    box : int32 (n, 4), y0, y1, x0, x1 in the plane, half open
    """

    area: NDArray[np.int64]
    sum_y: NDArray[np.int64]
    sum_x: NDArray[np.int64]
    box: NDArray[np.int32]

    @property
    def centroid_y(self) -> NDArray[np.float64]:
        """Mean row of each cell's pixels, float64 (n,)."""
        return np.asarray(self.sum_y / np.maximum(self.area, 1), np.float64)

    @property
    def centroid_x(self) -> NDArray[np.float64]:
        """Mean column of each cell's pixels, float64 (n,)."""
        return np.asarray(self.sum_x / np.maximum(self.area, 1), np.float64)

    def of(self, chosen: NDArray[np.bool_]) -> Shapes:
        """Some of the cells, bool (n,)."""
        return Shapes(self.area[chosen], self.sum_y[chosen], self.sum_x[chosen], self.box[chosen])


@compiled
def _add_shapes(labels, top, left, area, sum_y, sum_x, box):  # type: ignore[no-untyped-def]
    """Add the pixels of a window at (`top`, `left`) to the arrays of `Shapes`."""
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            if labels[y, x] == 0:
                continue
            k = np.int64(labels[y, x]) - 1
            row, column = top + y, left + x
            area[k] += 1
            sum_y[k] += row
            sum_x[k] += column
            box[k, 0] = min(box[k, 0], row)
            box[k, 1] = max(box[k, 1], row + 1)
            box[k, 2] = min(box[k, 2], column)
            box[k, 3] = max(box[k, 3], column + 1)


@compiled
def _add_values(labels, pixels, total):  # type: ignore[no-untyped-def]
    """Add the pixels of a window to the sum of their cell, row after row."""
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            if labels[y, x] != 0:
                total[np.int64(labels[y, x]) - 1] += pixels[y, x]


def windows(shape: tuple[int, int]) -> Iterator[Region]:
    """The windows in which a plane is measured, row after row."""
    return (block.core for block in plan_blocks(shape, WINDOW_PX))


def read_labels(labels: LabelReader, region: Region, count: int) -> NDArray[np.uint32]:
    """Labels uint32 (H, W) of a region.

    Raises
    ------
    ImageError : an id above `count`
    """
    found = np.asarray(labels.read(*region), np.uint32)
    if found.size and int(found.max()) > count:
        raise ImageError(
            f"the labels hold the id {int(found.max())}, and their metadata says {count} is the "
            "largest; segment again"
        )
    return found


def measure_shapes(labels: LabelReader, count: int) -> Shapes:
    """Area, centroid and bounding box of every cell, in one pass.

    Parameters
    ----------
    count : the largest id
    """
    area, sum_y, sum_x = (np.zeros(count, np.int64) for _ in range(3))
    box = np.zeros((count, 4), np.int32)
    box[:, (0, 2)] = np.iinfo(np.int32).max

    def load(region: Region) -> tuple[Region, NDArray[np.uint32]]:
        return region, read_labels(labels, region, count)

    for (y, x), window in ahead(load, windows(labels.shape)):
        _add_shapes(window, y.start, x.start, area, sum_y, sum_x, box)
    return Shapes(area, sum_y, sum_x, box)


def sum_type(dtype: np.dtype[Any]) -> type[np.int64] | type[np.float64]:
    """The type in which pixels are summed: exact for integers of up to 32 bits."""
    exact = dtype.kind == "b" or (dtype.kind in "iu" and dtype.itemsize <= 4)
    return np.int64 if exact else np.float64


def measure_means(
    labels: LabelReader, plane: Plane, area: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean of a channel's pixels in every cell, float64 (n,), in one pass.

    Parameters
    ----------
    area : int64 (n,), pixels of each cell
    """
    kind = sum_type(plane.dtype)
    total = np.zeros(len(area), kind)
    plane = cache_chunks(plane, row_of_chunks_bytes(plane))

    def load(region: Region) -> tuple[NDArray[np.uint32], NDArray[Any] | None]:
        window = read_labels(labels, region, len(area))
        return window, plane.read(*region).astype(kind) if window.any() else None

    for window, pixels in ahead(load, windows(labels.shape)):  # in order: sums of floats too
        if pixels is not None:
            _add_values(window, pixels, total)
    return np.asarray(total / np.maximum(area, 1), np.float64)
