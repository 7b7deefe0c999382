"""Follow each foreground pixel along the flow to its sink.

The reference (Cellpose 3.1.1.3, `dynamics.steps_interp` on a CPU) moves all pixels one iteration
at a time: positions are float32 in plane coordinates, the step is rounded to float32 before it is
added, and the bilinear interpolation is of mixed precision. As numba types the reference, a weight
w is float32 but 1 - w is float64, so a product is rounded to float32 until it meets a 1 - w. Both
kinds of rounding are kept: all float32 or all float64 moves some pixels to another cell.

Here each pixel is followed on its own with the same arithmetic, so the flow around one cell stays
in cache, and it stops at an exact fixed point or an exact cycle of two, where the remaining
iterations change nothing but the phase.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

NO_SINK = np.int32(-2147483648)  # background, or a pixel that left the region


@njit(nogil=True, inline="always")
def _interpolate(flow, a, b, c, d, k, wy, wx):  # type: ignore[no-untyped-def]
    """Bilinear interpolation of component k, in the mixed precision of the reference."""
    uy, ux = 1 - np.float64(wy), 1 - np.float64(wx)
    lower = np.float32(flow[c, b, k] * wy)
    corner = np.float32(np.float32(flow[c, d, k] * wy) * wx)
    return np.float32(
        np.float64(flow[a, b, k]) * uy * ux
        + np.float64(flow[a, d, k]) * uy * np.float64(wx)
        + np.float64(lower) * ux
        + np.float64(corner)
    )


@njit(nogil=True, inline="always")
def _follow_one(flow, y0, x0, plane_y, plane_x, y, x, niter):  # type: ignore[no-untyped-def]
    """Follow one pixel; returns (sink_y, sink_x, inside)."""
    height, width = flow.shape[:2]
    py, px = np.float32(y), np.float32(x)
    before_y, before_x = np.float32(-1), np.float32(-1)
    bottom, right = np.float32(plane_y - 1), np.float32(plane_x - 1)
    zero = np.float32(0)
    t = 0
    while t < niter:
        fy, fx = np.int32(py), np.int32(px)
        wy, wx = np.float32(py - np.float32(fy)), np.float32(px - np.float32(fx))
        a, b = fy - y0, fx - x0
        c, d = min(plane_y - 1, fy + 1) - y0, min(plane_x - 1, fx + 1) - x0
        if a < 0 or b < 0 or c >= height or d >= width:
            return 0, 0, False
        step_y = _interpolate(flow, a, b, c, d, 0, wy, wx)
        step_x = _interpolate(flow, a, b, c, d, 1, wy, wx)
        ny = min(bottom, max(zero, np.float32(py + step_y)))
        nx = min(right, max(zero, np.float32(px + step_x)))
        t += 1
        if ny == py and nx == px:
            break
        if ny == before_y and nx == before_x:
            if (niter - t) % 2 == 0:
                py, px = ny, nx
            break
        before_y, before_x = py, px
        py, px = ny, nx
    return np.int32(py), np.int32(px), True


@njit(nogil=True, parallel=True, cache=True)
def _follow(flow, foreground, y0, x0, plane_y, plane_x, core, niter, sinks):  # type: ignore[no-untyped-def]
    """Fill `sinks` over the core; returns (escaped, reach) for each row of the core."""
    rows, columns = sinks.shape[1:]
    escaped = np.zeros(rows, np.int64)
    reach = np.zeros(rows, np.int64)
    for r in prange(rows):
        for k in range(columns):
            y, x = core[0] + r, core[1] + k
            if not foreground[y - y0, x - x0]:
                continue
            sy, sx, inside = _follow_one(flow, y0, x0, plane_y, plane_x, y, x, niter)
            if inside:
                sinks[0, r, k] = sy
                sinks[1, r, k] = sx
                reach[r] = max(reach[r], abs(sy - y), abs(sx - x))
            else:
                escaped[r] += 1
    return escaped, reach


def follow(
    flow: NDArray[np.float32],
    foreground: NDArray[np.bool_],
    origin: tuple[int, int],
    plane_shape: tuple[int, int],
    core: tuple[slice, slice],
    niter: int,
) -> tuple[NDArray[np.int32], int, int]:
    """Follow the foreground pixels of a core through the flow of the region around it.

    Parameters
    ----------
    flow : float32 (H, W, 2), (dy, dx) in pixels an iteration, zero outside the foreground
    foreground : bool (H, W)
    origin : (y, x) in the plane of the region's first pixel
    plane_shape : (Y, X)
    core : slices of the plane, inside the region
    niter : iterations

    Returns
    -------
    sinks : int32 (2, core height, core width), plane coordinates (y, x), or NO_SINK
    escaped : pixels whose path left the region, so that their sink is unknown
    reach_px : largest distance, along either axis, from a pixel to its sink
    """
    shape = (core[0].stop - core[0].start, core[1].stop - core[1].start)
    sinks = np.full((2, *shape), NO_SINK, np.int32)
    if not foreground.any():
        return sinks, 0, 0
    escaped, reach = _follow(
        flow,
        foreground,
        *origin,
        *plane_shape,
        np.array([core[0].start, core[1].start]),
        niter,
        sinks,
    )
    return sinks, int(escaped.sum()), int(reach.max(initial=0))
