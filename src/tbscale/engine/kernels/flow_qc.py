"""Compare the flow of each cell with the flow that its own shape would have.

The reference (Cellpose 3.1.1.3, `metrics.flow_error` over `dynamics.masks_to_flows_cpu`) diffuses
heat from the pixel nearest to the centroid, in float64, and takes the mean squared difference.
Sums run in raster order as there, so the errors are equal to the last bit.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import prange
from numpy.typing import NDArray

from tbscale.engine.kernels.runs import above
from tbscale.images.compiled import compiled, compiled_with

PIXELS_A_COUNT = 8  # at least, so that the counts of all strips take a byte a pixel
_AT_ONCE_PX = 4096  # looked through at once for those with a label


@compiled_with(parallel=True)
def _count_labels(flat, counts):  # type: ignore[no-untyped-def]
    """Count the pixels of each label in each of the strips that `counts` has rows for."""
    strips = counts.shape[0]
    for strip in prange(strips):
        at = np.empty(_AT_ONCE_PX, np.int64)
        end = flat.size * (strip + 1) // strips
        for left in range(flat.size * strip // strips, end, _AT_ONCE_PX):
            row = flat[left : min(left + _AT_ONCE_PX, end)]
            for k in at[: above(row, 0, row, at)]:
                counts[strip, row[k]] += 1


@compiled_with(parallel=True)
def _list_pixels(flat, write, listed):  # type: ignore[no-untyped-def]
    """List each label's pixels from where its strip may write on."""
    strips = write.shape[0]
    for strip in prange(strips):
        at = np.empty(_AT_ONCE_PX, np.int64)
        end = flat.size * (strip + 1) // strips
        for left in range(flat.size * strip // strips, end, _AT_ONCE_PX):
            row = flat[left : min(left + _AT_ONCE_PX, end)]
            for k in at[: above(row, 0, row, at)]:
                label = row[k]
                listed[write[strip, label]] = left + k
                write[strip, label] += 1


def pixels_by_label(
    labels: NDArray[np.uint32], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the pixels of each label in raster order.

    Returns
    -------
    start : int64 (n + 1,), pixels of label k are at[start[k - 1]:start[k]]
    at : int64, raster index within `labels`
    """
    flat = labels.ravel()
    strips = min(numba.get_num_threads(), flat.size // (PIXELS_A_COUNT * (n + 1)))
    counts = np.zeros((max(1, strips), n + 1), np.int64)
    _count_labels(flat, counts)
    total = counts.sum(axis=0)
    start = np.cumsum(total)
    write = start - total + np.cumsum(counts, axis=0) - counts  # after the strips above
    at = np.empty(start[n], np.int64)
    _list_pixels(flat, write, at)
    return start, at


@compiled
def _centre(y, x):  # type: ignore[no-untyped-def]
    """Index of the first pixel nearest to the centroid."""
    sum_y, sum_x = 0, 0
    for k in range(y.size):
        sum_y += y[k]
        sum_x += x[k]
    my, mx = sum_y / y.size, sum_x / y.size
    best, nearest = 0, np.inf
    for k in range(y.size):
        distance = (x[k] - mx) * (x[k] - mx) + (y[k] - my) * (y[k] - my)
        if distance < nearest:
            best, nearest = k, distance
    return best


@compiled
def _diffuse(place, centre, width, size, niter):  # type: ignore[no-untyped-def]
    """Heat after `niter` steps from the centre; float64 (size,), zero outside the cell."""
    heat = np.zeros(size, np.float64)
    new = np.empty(place.size, np.float64)
    ninth = 1 / 9.0
    for _ in range(niter):
        heat[place[centre]] += 1
        for k in range(place.size):
            p = place[k]
            new[k] = ninth * (
                heat[p]
                + heat[p - width]
                + heat[p + width]
                + heat[p - 1]
                + heat[p + 1]
                + heat[p - width - 1]
                + heat[p - width + 1]
                + heat[p + width - 1]
                + heat[p + width + 1]
            )
        for k in range(place.size):
            heat[place[k]] = new[k]
    return heat


@compiled
def _error(at, flow, region_width):  # type: ignore[no-untyped-def]
    """Flow error of one cell with pixels `at`; flow float32 (H, W, 2)."""
    y = at // region_width
    x = at % region_width
    top, left = y.min(), x.min()
    ry, rx = y - top + 1, x - left + 1  # as the reference: one pixel of margin
    height, width = y.max() - top + 3, x.max() - left + 3
    place = ry * width + rx
    niter = 2 * (height + width)
    heat = _diffuse(place, _centre(ry, rx), width, height * width, niter)
    total_y, total_x = 0.0, 0.0
    for k in range(at.size):
        p = place[k]
        dy = heat[p + width] - heat[p - width]
        dx = heat[p + 1] - heat[p - 1]
        norm = 1e-60 + np.sqrt(dy * dy + dx * dx)
        ey = dy / norm - np.float64(flow[y[k], x[k], 0])
        ex = dx / norm - np.float64(flow[y[k], x[k], 1])
        total_y += ey * ey
        total_x += ex * ex
    return total_y / at.size + total_x / at.size


@compiled_with(parallel=True)
def _errors(start, at, flow):  # type: ignore[no-untyped-def]
    n = start.size - 1
    errors = np.zeros(n, np.float64)
    for k in prange(n):
        if start[k + 1] > start[k]:
            errors[k] = _error(at[start[k] : start[k + 1]], flow, flow.shape[1])
    return errors


def flow_errors(
    labels: NDArray[np.uint32], n: int, flow: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Flow error of each cell, as `cellpose.metrics.flow_error` computes it.

    Parameters
    ----------
    labels : uint32 (H, W), every cell whole
    n : number of labels
    flow : float32 (H, W, 2), (dy, dx), the network's flow divided by 5

    Returns
    -------
    errors : float64 (n,), 0 for a label without pixels
    """
    start, at = pixels_by_label(labels, n)
    errors: NDArray[np.float64] = _errors(start, at, flow)
    return errors
