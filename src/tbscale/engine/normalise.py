"""Intensity limits of a whole plane in one streamed pass, equal to the reference's.

Cellpose 3.1.1.3 (`transforms.normalize99`) takes the 1st and 99th percentile of the float32 plane;
above 224^3 pixels of every k-th row and column only. Those pixels are few, so they are gathered
and given to the same numpy function: equal by construction, in bounded memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbscale.errors import ImageError
from tbscale.images.plane import Plane

SAMPLED_ABOVE_PX = 224**3
SAMPLES_PER_AXIS = 224
LOWER, UPPER = 1.0, 99.0
MIN_SPAN = 1e-3
ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Limits:
    """What becomes 0 and what becomes 1.

    Attributes
    ----------
    low, high : float32; None for a constant plane, which the reference leaves as it is
    """

    low: np.float32 | None
    high: np.float32 | None

    def apply(self, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
        """Normalise a region; float32, any shape, in the arithmetic of the reference."""
        out = pixels.astype(np.float32)
        if self.low is None or self.high is None:
            return out
        if self.high - self.low > MIN_SPAN:
            out -= self.low
            out /= self.high - self.low
        else:
            out[:] = 0
        return out


def sampling(shape: tuple[int, int]) -> tuple[int, int]:
    """Every how many rows and columns the reference looks at."""
    if shape[0] * shape[1] <= SAMPLED_ABOVE_PX:
        return 1, 1
    return max(1, shape[0] // SAMPLES_PER_AXIS), max(1, shape[1] // SAMPLES_PER_AXIS)


def intensity_limits(plane: Plane) -> Limits:
    """Find the limits of a plane, reading it once, row of chunks by row of chunks.

    Raises
    ------
    ImageError : a pixel is not a finite number
    """
    height, width = plane.shape
    step_y, step_x = sampling(plane.shape)
    rows = max(1, ROWS_AT_ONCE // plane.chunk_shape[0]) * plane.chunk_shape[0]
    sample: list[NDArray[np.float32]] = []
    lowest, highest = np.inf, -np.inf
    for start in range(0, height, rows):
        pixels = plane.read(slice(start, min(start + rows, height)), slice(0, width))
        low, high = float(pixels.min()), float(pixels.max())  # NaN where any pixel is
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ImageError(
                f"rows {start} to {start + len(pixels)} hold a pixel that is not a finite number; "
                "replace it before segmenting"
            )
        lowest, highest = min(lowest, low), max(highest, high)
        sample.append(pixels[-start % step_y :: step_y, ::step_x].astype(np.float32))
    if lowest == highest:
        return Limits(None, None)
    gathered = np.concatenate(sample)
    return Limits(
        np.float32(np.percentile(gathered, LOWER)), np.float32(np.percentile(gathered, UPPER))
    )
