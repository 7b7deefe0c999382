"""Rows of the frame that the network sees: read, normalised, resized where needed, padded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.grid import TileGrid
from tbscale.engine.normalise import Limits
from tbscale.engine.rescale import SLAB_ROWS, Scaling, into_frame
from tbscale.engine.strips import ROWS_AT_ONCE, ReadRows
from tbscale.images.plane import Plane
from tbscale.steps import StepClock

# rows [start, stop) of the planes or of the frame, normalised: float32 (channels, rows, X)
ReadFrame = Callable[[int, int], NDArray[np.float32]]


def read_normalised(planes: list[Plane], limits: list[Limits], clock: StepClock) -> ReadFrame:
    """Make the function that reads rows of the planes at their own scale."""
    width = planes[0].shape[1]

    def read(start: int, stop: int) -> NDArray[np.float32]:
        out = np.empty((len(planes), stop - start, width), np.float32)
        for k, (plane, limit) in enumerate(zip(planes, limits, strict=True)):
            with clock.step("read"):
                pixels = plane.read(slice(start, stop), slice(0, width))
            with clock.step("normalise"):
                out[k] = limit.apply(pixels)
        return out

    return read


def read_scaled(
    read: ReadFrame, shape: tuple[int, int], scaling: Scaling, clock: StepClock
) -> ReadFrame:
    """Make the function that reads rows of the frame, resized from those that `read` gives.

    At most SLAB_ROWS rows of the plane, or those of one row of the frame, are held at once.
    """
    if not scaling.is_needed:
        return read
    frame = scaling.frame(shape)
    resize = into_frame(shape, frame)
    at_once = max(1, int((SLAB_ROWS - 2) * frame[0] / shape[0]))

    def part(start: int, stop: int) -> NDArray[np.float32]:
        top, bottom = resize.source_rows(start, stop)
        source = read(top, bottom)
        with clock.step("tile"):
            return resize.apply(source, top, start, stop)

    def scaled(start: int, stop: int) -> NDArray[np.float32]:
        starts = range(start, stop, at_once)
        return np.concatenate([part(s, min(s + at_once, stop)) for s in starts], axis=1)

    return scaled


def pad_rows(read: ReadFrame, grid: TileGrid, channels: int) -> ReadRows:
    """Make the function that reads padded rows of the frame: float32 (channels, rows, padded X)."""
    before, size = grid.y.pad_before_px, grid.y.size_px
    columns = slice(grid.x.pad_before_px, grid.x.pad_before_px + grid.x.size_px)

    def padded(start: int, stop: int) -> NDArray[np.float32]:
        out = np.zeros((channels, stop - start, grid.x.padded_px), np.float32)
        first, last = max(start - before, 0), min(stop - before, size)
        for row in range(first, last, ROWS_AT_ONCE):
            end = min(row + ROWS_AT_ONCE, last)
            top = row + before - start
            out[:, top : top + end - row, columns] = read(row, end)
        return out

    return padded
