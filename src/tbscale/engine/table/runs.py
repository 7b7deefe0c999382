"""Kernels that add a window of labels to the sums of its cells, run by run.

A run is the pixels of one label that follow each other in a row: a row of a cell is one run, or
a few. Where runs end is found eight pixels at a time, so that background and the insides of cells
cost little. Places are counted without a sign in the inner loops: a place that may be negative is
checked at each use.
"""

from __future__ import annotations

import numpy as np

from tbscale.images.compiled import compiled, inlined


@compiled
def find_runs(row, changed, ends):  # type: ignore[no-untyped-def]
    """Cut a row of labels into its runs.

    Parameters
    ----------
    row : uint32 (W,)
    changed : uint8, scratch as `scratch_for_runs` gives it
    ends : int64 (W + 1,), gets the column behind each run

    Returns
    -------
    count : int, of runs
    """
    before, after, marks = row[:-1], row[1:], changed[1:]
    for x in range(after.size):
        marks[x] = after[x] != before[x]
    count, width = np.uint64(0), np.uint64(8)
    eights = changed.view(np.uint64)
    for eight in range(np.uint64(eights.size)):
        if eights[eight] != 0:
            for x in range(width * eight, width * eight + width):
                ends[count] = x
                count += np.uint64(changed[x])
    return np.int64(count)


@compiled
def scratch_for_runs(width):  # type: ignore[no-untyped-def]
    """Memory for `find_runs`: marks of changes, in eights, with the end of the row marked; ends."""
    changed = np.zeros(8 * (width // 8 + 1), np.uint8)
    changed[width] = 1
    return changed, np.empty(width + 1, np.int64)


@inlined
def _add_pixels(k, values, x, end, total):  # type: ignore[no-untyped-def]
    """Add the pixels from `x` to `end` to the sum of cell `k`."""
    added = total[k]
    # one after the other: sums of reals depend on the order
    for i in range(np.uint64(x), np.uint64(end)):
        added += values[i]
    total[k] = added


@inlined
def _add_shape(k, y, x, end, area, sum_y, sum_x, box):  # type: ignore[no-untyped-def]
    """Add the pixels from `x` to `end` of row `y` of the plane to cell `k`."""
    n = end - x
    area[k] += n
    sum_y[k] += n * y
    sum_x[k] += n * (x + end - 1) // 2
    box[k, 0] = min(box[k, 0], y)
    box[k, 1] = max(box[k, 1], y + 1)
    box[k, 2] = min(box[k, 2], x)
    box[k, 3] = max(box[k, 3], end)


@compiled
def add_cells(labels, pixels, top, left, area, sum_y, sum_x, box, total):  # type: ignore[no-untyped-def]
    """Add a window at (`top`, `left`) to the arrays of `Shapes`, and its pixels.

    Parameters
    ----------
    labels : uint32 (H, W)
    pixels : (H, W); where they have no width, `total` stays
    area, sum_y, sum_x, box : of all cells, cell `label_id` at `label_id - 1`; or of none, to stay
    total : of all cells

    Returns
    -------
    beyond : int, an id that the arrays have no place for, 0 if there is none
    """
    last, beyond = np.uint32(total.size), np.uint32(0)  # an id is compared as it is stored
    changed, ends = scratch_for_runs(labels.shape[1])
    for y in range(labels.shape[0]):
        row, values = labels[y], pixels[y]
        start = 0
        for run in range(find_runs(row, changed, ends)):
            here, end = row[start], ends[run]
            if here > last:
                beyond = max(beyond, here)
            elif here != 0:
                k = np.int64(here) - 1
                if area.size > 0:
                    _add_shape(k, top + y, left + start, left + end, area, sum_y, sum_x, box)
                if values.size > 0:
                    _add_pixels(k, values, start, end, total)
            start = end
    return beyond


@compiled
def has_cells(labels):  # type: ignore[no-untyped-def]
    """Whether a window has a label at all."""
    for y in range(labels.shape[0]):
        largest = labels[y, 0]
        for x in range(labels.shape[1]):
            largest |= labels[y, x]
        if largest != 0:
            return True
    return False
