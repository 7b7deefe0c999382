"""Measure every cell of a plane, window by window, in memory that grows with the cells alone.

Sums of integers are exact in any order, so a window is added by the thread that has just decoded
it. Sums of real numbers depend on the order in which they are added, so those windows take turns;
and they are fixed: they do not follow the blocks of the run that made the labels.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Region, plan_blocks
from tbscale.engine.table.runs import add_cells, has_cells
from tbscale.errors import ImageError
from tbscale.images.cached_plane import cache_chunks, rows_of_chunks_bytes
from tbscale.images.plane import Plane
from tbscale.images.workers import ahead, each

WINDOW_PX = 1024
MOST_LEFT = 2  # windows to another thread: the projection counts one a worker and three more


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


def windows(shape: tuple[int, int]) -> Iterator[Region]:
    """The windows in which a plane is measured, row after row."""
    return (block.core for block in plan_blocks(shape, WINDOW_PX))


def _check_ids(beyond: int, count: int) -> None:
    """Refuse labels with an id above `count`.

    Raises
    ------
    ImageError : `beyond` is one
    """
    if beyond:
        raise ImageError(
            f"the labels hold the id {beyond}, and their metadata says {count} is the "
            "largest; segment again"
        )


def sum_type(dtype: np.dtype[Any]) -> type[np.int64] | type[np.float64]:
    """The type in which pixels are summed: exact for integers of up to 32 bits."""
    exact = dtype.kind == "b" or (dtype.kind in "iu" and dtype.itemsize <= 4)
    return np.int64 if exact else np.float64


_Window = tuple[Region, NDArray[np.uint32], NDArray[Any]]  # labels and pixels of a region
Add = Callable[[Region, NDArray[np.uint32], NDArray[Any]], int]  # gives an id without a place, or 0


class _Windows:
    """Reads the windows of labels, and of pixels where a window has cells, in several threads."""

    def __init__(self, labels: LabelReader, plane: Plane | None) -> None:
        self._labels = labels
        self._plane = plane if plane is None else cache_chunks(plane, cache_bytes(plane))
        self._any_order = plane is None or sum_type(plane.dtype) is np.int64

    def add(self, add: Add) -> int:
        """Add every window that has cells, one at a time; the largest id without a place, or 0."""
        if self._any_order:
            return self._add_where_read(add)
        loaded = ahead(self._load, windows(self._labels.shape))
        return max((add(*one) for one in loaded if one is not None), default=0)

    def _add_where_read(self, add: Add) -> int:
        """Add each window in the thread that read it, whose caches have its pixels.

        Who finds another adding leaves its window to that one and reads on, if few are left so.
        """
        turn = threading.Lock()
        left: deque[_Window] = deque()
        beyond = [0]

        def load_and_add(region: Region) -> None:
            loaded = self._load(region)
            if loaded is None:
                return
            left.append(loaded)
            if turn.acquire(blocking=len(left) > MOST_LEFT):
                try:
                    add_left()
                finally:
                    turn.release()

        def add_left() -> None:
            while left:
                beyond.append(add(*left.popleft()))

        each(load_and_add, list(windows(self._labels.shape)))
        add_left()  # one may have been left when the last adder had just looked
        return max(beyond)

    def _load(self, region: Region) -> _Window | None:
        labels = np.ascontiguousarray(self._labels.read(*region), np.uint32)
        if not has_cells(labels):
            return None
        if self._plane is None:
            return region, labels, np.empty((labels.shape[0], 0), np.uint8)
        return region, labels, _countable(self._plane.read(*region))


def _countable(pixels: NDArray[Any]) -> NDArray[Any]:
    """The same values in a type that kernels take: they know neither bool nor float16."""
    if pixels.dtype == np.float16:
        return pixels.astype(np.float32)
    return pixels.view(np.uint8) if pixels.dtype == bool else pixels


def cache_bytes(plane: Plane) -> int:
    """Decoded chunks to keep so that each is decoded once; 0 where each lies in one window."""
    crossing = any(
        WINDOW_PX % chunk and side > WINDOW_PX
        for chunk, side in zip(plane.chunk_shape, plane.shape, strict=True)
    )
    return rows_of_chunks_bytes(plane, WINDOW_PX) if crossing else 0


def measure_shapes(labels: LabelReader, count: int) -> Shapes:
    """Area, centroid and bounding box of every cell, in one pass.

    Parameters
    ----------
    count : the largest id

    Raises
    ------
    ImageError : an id above `count`
    """
    return _measure(labels, None, count)[0]


def measure_cells(
    labels: LabelReader, plane: Plane, count: int
) -> tuple[Shapes, NDArray[np.float64]]:
    """What `measure_shapes` and `measure_means` find, in one pass.

    Raises
    ------
    ImageError : an id above `count`
    """
    shapes, total = _measure(labels, plane, count)
    return shapes, _means(total, shapes.area)


def _measure(labels: LabelReader, plane: Plane | None, count: int) -> tuple[Shapes, NDArray[Any]]:
    """Shapes, and sums of pixels (n,) in `sum_type`, 0 without a plane."""
    shapes = _no_pixels(count)
    arrays = _arrays(shapes)
    total = np.zeros(count, np.int64 if plane is None else sum_type(plane.dtype))

    def add(region: Region, window: NDArray[np.uint32], pixels: NDArray[Any]) -> int:
        y, x = region
        return int(add_cells(window, pixels, y.start, x.start, *arrays, total))

    _check_ids(_Windows(labels, plane).add(add), count)
    return shapes, total


def _arrays(shapes: Shapes) -> tuple[NDArray[Any], ...]:
    """The same memory, as the kernel takes it."""
    return shapes.area, shapes.sum_y, shapes.sum_x, shapes.box


def _no_pixels(count: int) -> Shapes:
    """Shapes of cells before any window is added."""
    area, sum_y, sum_x = (np.zeros(count, np.int64) for _ in range(3))
    box = np.zeros((count, 4), np.int32)
    box[:, (0, 2)] = np.iinfo(np.int32).max
    return Shapes(area, sum_y, sum_x, box)


def measure_means(
    labels: LabelReader, plane: Plane, area: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean of a channel's pixels in every cell, float64 (n,), in one pass.

    Parameters
    ----------
    area : int64 (n,), pixels of each cell

    Raises
    ------
    ImageError : an id above n
    """
    total = np.zeros(len(area), sum_type(plane.dtype))
    stay = _arrays(_no_pixels(0))

    def add(_: Region, window: NDArray[np.uint32], pixels: NDArray[Any]) -> int:
        return int(add_cells(window, pixels, 0, 0, *stay, total))

    _check_ids(_Windows(labels, plane).add(add), len(area))
    return _means(total, area)


def _means(total: NDArray[Any], area: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(total / np.maximum(area, 1), np.float64)
