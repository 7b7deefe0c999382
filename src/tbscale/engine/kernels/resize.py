"""Bilinear resizing of rows of a plane, equal to `cv2.resize` of the whole plane.

The reference resizes with `cv2.resize(..., interpolation=cv2.INTER_LINEAR)`, float32: two channels
on the way to the network, three on the way back. OpenCV computes them in different ways, found by
comparison with 5.0.0 on x86-64, where it is built with IPP:

- PLAIN, two channels, or a source of a single row or column: positions rounded to float32,
  a (1 - w) + b w. At the border a column is clamped with its weight, a row without.
- MEAN, two channels, both axes exactly halved: the four pixels added in raster order, times 1/4.
- FUSED, three channels, computed by IPP: positions in float64, a + w (b - a) in one rounding.

One case is left: where columns are enlarged threefold or more, IPP rounds some pixels of the
outermost columns otherwise (last bit). Where OpenCV has no IPP, or the processor no fused product
and sum, FUSED differs in rounding. `tbscale.engine.rescale.measured_grade` asks the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, prange, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from tbscale.images.compiled import compiled_with

PLAIN, MEAN, FUSED = 0, 1, 2
QUARTER = np.float32(0.25)


@dataclass(frozen=True)
class Taps:
    """Which two source pixels make each pixel along one axis.

    Attributes
    ----------
    low, high : int64 (n,), source pixels; high is low or the next one
    weight : float32 (n,), share of `high`
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    weight: NDArray[np.float32]


def plan_taps(source_px: int, target_px: int, arithmetic: int, is_column: bool) -> Taps:
    """The taps of one axis.

    Parameters
    ----------
    source_px, target_px : pixels along the axis before and after
    arithmetic : PLAIN, MEAN or FUSED
    is_column : whether the axis is X, whose weights PLAIN clamps at the border

    >>> plan_taps(4, 2, MEAN, False).low
    array([0, 2])
    """
    target = np.arange(target_px)
    if arithmetic == MEAN:
        return Taps(2 * target, 2 * target + 1, np.full(target_px, 0.5, np.float32))
    if arithmetic == FUSED:
        position = (target + 0.5) * (source_px / target_px) - 0.5
    else:
        exact = (target + 0.5) * (1.0 / (target_px / source_px)) - 0.5
        position = exact.astype(np.float32)
    low = np.floor(position)
    weight = (position - low).astype(np.float32)
    if arithmetic == FUSED or is_column:
        weight[(low < 0) | (low >= source_px - 1)] = 0
    low = low.astype(np.int64)
    last = source_px - 1
    return Taps(np.clip(low, 0, last), np.clip(low + 1, 0, last), weight)


@intrinsic  # type: ignore[untyped-decorator]
def _fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """A product and a sum in float32, rounded once."""
    signature = types.float32(types.float32, types.float32, types.float32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return signature, generate


@njit(nogil=True, inline="always")
def _mix(a, b, weight, arithmetic):  # type: ignore[no-untyped-def]
    """Interpolate between two pixels, float32."""
    if arithmetic == FUSED:
        return _fma(weight, np.float32(b - a), a)
    rest = np.float32(np.float32(1) - weight)
    return np.float32(np.float32(a * rest) + np.float32(b * weight))


@compiled_with(parallel=True)
def _resize(source, top, y_low, y_high, y_weight, x_low, x_high, x_weight, arithmetic, out):  # type: ignore[no-untyped-def]
    """Fill `out` from a window of source rows whose first is row `top` of the plane."""
    channels, rows, columns = out.shape
    for y in prange(rows):
        upper, lower = y_low[y] - top, y_high[y] - top
        for c in range(channels):
            for x in range(columns):
                left, right, weight = x_low[x], x_high[x], x_weight[x]
                a, b = source[c, upper, left], source[c, upper, right]
                p, q = source[c, lower, left], source[c, lower, right]
                if arithmetic == MEAN:
                    three = np.float32(np.float32(a + b) + p)
                    out[c, y, x] = np.float32(np.float32(three + q) * QUARTER)
                else:
                    first = _mix(a, b, weight, arithmetic)
                    second = _mix(p, q, weight, arithmetic)
                    out[c, y, x] = _mix(first, second, y_weight[y], arithmetic)


def resize_rows(
    source: NDArray[np.float32], top: int, rows: Taps, columns: Taps, arithmetic: int
) -> NDArray[np.float32]:
    """Resize to the rows that `rows` describes.

    Parameters
    ----------
    source : float32 (channels, height, X), rows of the source from row `top` on
    rows, columns : taps in the coordinates of the whole source

    Returns
    -------
    float32 (channels, len(rows.low), len(columns.low))
    """
    out = np.empty((source.shape[0], len(rows.low), len(columns.low)), np.float32)
    _resize(
        source,
        top,
        rows.low,
        rows.high,
        rows.weight,
        columns.low,
        columns.high,
        columns.weight,
        arithmetic,
        out,
    )
    return out
