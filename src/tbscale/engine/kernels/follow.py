"""Follow each foreground pixel along the flow to its sink.

The reference (Cellpose 3.1.1.3, `dynamics.steps_interp` on a CPU) moves all pixels one iteration
at a time: positions are float32 in plane coordinates, the step is rounded to float32 before it is
added, and the bilinear interpolation is of mixed precision. As numba types the reference, a weight
w is float32 but 1 - w is float64, so a product is rounded to float32 until it meets a 1 - w. Both
kinds of rounding are kept: all float32 or all float64 moves some pixels to another cell.

Here the pixels of one small tile are followed together, so the flow around them stays in cache and
the processor works on many of them at once, none waiting for another. A pixel stops at an exact
fixed point or an exact cycle of two, where the remaining iterations change nothing but the phase:
most need a dozen of the reference's 200.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from tbscale.images.compiled import compiled_with

NO_SINK = np.int32(-2147483648)  # background, or a pixel that left the region
TILE_Y, TILE_X = 16, 64  # pixels followed together: their state stays in the first-level cache


@njit(nogil=True, inline="always")
def _mix(upper_left, upper_right, lower_left, lower_right, wy, wx):  # type: ignore[no-untyped-def]
    """Bilinear interpolation in the mixed precision of the reference; all values float32."""
    uy, ux = 1 - np.float64(wy), 1 - np.float64(wx)
    lower = np.float32(lower_left * wy)
    corner = np.float32(np.float32(lower_right * wy) * wx)
    return np.float32(
        np.float64(upper_left) * uy * ux
        + np.float64(upper_right) * uy * np.float64(wx)
        + np.float64(lower) * ux
        + np.float64(corner)
    )


@njit(nogil=True)
def _advance(flow, width, origin, last, seen, here, there, gone, n):  # type: ignore[no-untyped-def]
    """Move `n` pixels by one iteration, from `here` to `there`, both float32 (2, capacity).

    `flow` is flat, `width` that of the region; `last` is the plane's and `seen` the region's last
    pixel (y, x). A pixel that needs flow from beyond the region is marked in `gone`. Indices are
    unsigned and clipped, so that no access needs a check and the loop has no branch.
    """
    y0, x0 = np.int32(origin[0]), np.int32(origin[1])
    plane_y, plane_x = np.int32(last[0] - origin[0]), np.int32(last[1] - origin[1])
    bottom, right = np.float32(last[0]), np.float32(last[1])
    end_y, end_x = np.int32(seen[0]), np.int32(seen[1])
    one, two, pitch = np.uintp(1), np.uintp(2), np.uintp(2 * width)
    none, zero = np.int32(0), np.float32(0)
    for k in range(n):
        y, x = here[0, k], here[1, k]
        fy, fx = np.int32(y), np.int32(x)
        wy, wx = np.float32(y - np.float32(fy)), np.float32(x - np.float32(fx))
        a, b = np.int32(fy - y0), np.int32(fx - x0)
        c, d = min(plane_y, np.int32(a + 1)), min(plane_x, np.int32(b + 1))
        gone[k] = (a < 0) | (b < 0) | (c > end_y) | (d > end_x)
        upper = np.uintp(min(max(a, none), end_y)) * pitch
        lower = np.uintp(min(max(c, none), end_y)) * pitch
        left = np.uintp(min(max(b, none), end_x)) * two
        right_ = np.uintp(min(max(d, none), end_x)) * two
        p, q, r, s = upper + left, upper + right_, lower + left, lower + right_
        ny = np.float32(y + _mix(flow[p], flow[q], flow[r], flow[s], wy, wx))
        nx = np.float32(
            x + _mix(flow[p + one], flow[q + one], flow[r + one], flow[s + one], wy, wx)
        )
        there[0, k] = min(bottom, max(zero, ny))
        there[1, k] = min(right, max(zero, nx))


@njit(nogil=True)
def _settle(left, who, before, here, there, gone, n, sinks):  # type: ignore[no-untyped-def]
    """Write the sinks of the pixels that have come to rest, close the ranks of the others.

    `left` is the number of iterations left. Returns (pixels still moving, pixels that escaped).
    """
    moving, escaped = 0, 0
    columns = sinks.shape[2]
    for k in range(n):
        y, x = there[0, k], there[1, k]
        oy, ox = here[0, k], here[1, k]
        fixed = (y == oy) & (x == ox)
        cycle = (y == before[0, k]) & (x == before[1, k])
        if gone[k]:
            escaped += 1
        elif fixed | cycle | (left == 0):
            if cycle & (left % 2 == 1):
                y, x = oy, ox
            sinks[0, who[k] // columns, who[k] % columns] = np.int32(y)
            sinks[1, who[k] // columns, who[k] % columns] = np.int32(x)
        else:
            who[moving] = who[k]
            before[0, moving], before[1, moving] = oy, ox
            here[0, moving], here[1, moving] = y, x
            moving += 1
    return moving, escaped


@njit(nogil=True)
def _gather(foreground, origin, core, tile, who, before, here, columns):  # type: ignore[no-untyped-def]
    """Collect the foreground of a tile, (first row, stop, first column, stop) of the core."""
    n = 0
    for r in range(tile[0], tile[1]):
        for k in range(tile[2], tile[3]):
            y, x = core[0] + r, core[1] + k
            if foreground[y - origin[0], x - origin[1]]:
                who[n] = r * columns + k
                here[0, n], here[1, n] = y, x
                before[0, n], before[1, n] = -1, -1
                n += 1
    return n


@compiled_with(parallel=True)
def _follow(flow, foreground, origin, last, core, niter, sinks):  # type: ignore[no-untyped-def]
    """Fill `sinks` over the core; returns (escaped, pixel-iterations) for each row of tiles."""
    rows, columns = sinks.shape[1:]
    strips = (rows + TILE_Y - 1) // TILE_Y
    escaped, work = np.zeros(strips, np.int64), np.zeros(strips, np.int64)
    flat, width = flow.reshape(-1), flow.shape[1]
    seen = (flow.shape[0] - 1, flow.shape[1] - 1)
    for strip in prange(strips):
        who = np.empty(TILE_Y * TILE_X, np.int64)
        gone = np.empty(TILE_Y * TILE_X, np.bool_)
        before, here, there = (
            np.empty((2, TILE_Y * TILE_X), np.float32),
            np.empty((2, TILE_Y * TILE_X), np.float32),
            np.empty((2, TILE_Y * TILE_X), np.float32),
        )
        top = strip * TILE_Y
        for left in range(0, columns, TILE_X):
            tile = (top, min(top + TILE_Y, rows), left, min(left + TILE_X, columns))
            n = _gather(foreground, origin, core, tile, who, before, here, columns)
            t = 0
            while n > 0 and t < niter:
                t += 1
                work[strip] += n
                _advance(flat, width, origin, last, seen, here, there, gone, n)
                n, lost = _settle(niter - t, who, before, here, there, gone, n, sinks)
                escaped[strip] += lost
    return escaped, work


@compiled_with(parallel=True)
def _reach(sinks, core):  # type: ignore[no-untyped-def]
    """Largest distance from a pixel to its sink along either axis, for each row of the core."""
    rows, columns = sinks.shape[1:]
    reach = np.zeros(rows, np.int64)
    for r in prange(rows):
        furthest = np.int64(0)
        for k in range(columns):
            if sinks[0, r, k] != NO_SINK:
                dy = abs(np.int64(sinks[0, r, k]) - (core[0] + r))
                dx = abs(np.int64(sinks[1, r, k]) - (core[1] + k))
                furthest = max(furthest, dy, dx)
        reach[r] = furthest
    return reach


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
    sinks, escaped, _ = follow_counted(flow, foreground, origin, plane_shape, core, niter)
    start = (core[0].start, core[1].start)
    return sinks, escaped, int(_reach(sinks, start).max(initial=0))


def follow_counted(
    flow: NDArray[np.float32],
    foreground: NDArray[np.bool_],
    origin: tuple[int, int],
    plane_shape: tuple[int, int],
    core: tuple[slice, slice],
    niter: int,
) -> tuple[NDArray[np.int32], int, int]:
    """`follow` with the work it took: sinks, escaped, and pixels times iterations."""
    shape = (core[0].stop - core[0].start, core[1].stop - core[1].start)
    sinks = np.full((2, *shape), NO_SINK, np.int32)
    last = (plane_shape[0] - 1, plane_shape[1] - 1)
    start = (core[0].start, core[1].start)
    flow = np.ascontiguousarray(flow)
    escaped, work = _follow(flow, foreground, origin, last, start, niter, sinks)
    return sinks, int(escaped.sum()), int(work.sum())
