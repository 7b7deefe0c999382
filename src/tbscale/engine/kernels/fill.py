"""Find the holes of cells: background that cannot reach the border of a cell's bounding box.

The reference fills each cell by `fill_voids`, in the order of the label ids; background pixels
touch at their sides, not at their corners.
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from tbscale.images.compiled import compiled, compiled_with


@compiled
def _hole_mask(window, label):  # type: ignore[no-untyped-def]
    """True where `window` has a hole of `label`; bool like `window`, a cell's bounding box."""
    height, width = window.shape
    open_ = np.zeros((height, width), np.bool_)
    stack = np.empty(height * width, np.int64)
    depth = 0
    for y in range(height):
        for x in range(width):
            border = y == 0 or x == 0 or y == height - 1 or x == width - 1
            if border and window[y, x] != label:
                open_[y, x] = True
                stack[depth] = y * width + x
                depth += 1
    while depth:
        depth -= 1
        y, x = stack[depth] // width, stack[depth] % width
        for k in range(4):
            a = y + (1 if k == 0 else -1 if k == 1 else 0)
            b = x + (1 if k == 2 else -1 if k == 3 else 0)
            if 0 <= a < height and 0 <= b < width and not open_[a, b] and window[a, b] != label:
                open_[a, b] = True
                stack[depth] = a * width + b
                depth += 1
    for y in range(height):
        for x in range(width):
            open_[y, x] = not open_[y, x] and window[y, x] != label
    return open_


def hole_mask(window: NDArray[np.uint32], label: int) -> NDArray[np.bool_]:
    """Say which pixels of a cell's bounding box are its holes.

    Parameters
    ----------
    window : uint32 (h, w), labels within the bounding box
    label : the cell's label

    >>> ring = np.ones((3, 3), np.uint32); ring[1, 1] = 0
    >>> int(hole_mask(ring, 1).sum())
    1
    """
    holes: NDArray[np.bool_] = _hole_mask(window, np.uint32(label))
    return holes


@compiled_with(parallel=True)
def _count_holes(labels, ids, boxes):  # type: ignore[no-untyped-def]
    """Hole pixels of each cell, int64 (n,)."""
    counts = np.zeros(ids.size, np.int64)
    for k in prange(ids.size):
        y0, y1, x0, x1 = boxes[k, 0], boxes[k, 1], boxes[k, 2], boxes[k, 3]
        if y1 - y0 >= 3 and x1 - x0 >= 3:
            counts[k] = _hole_mask(labels[y0:y1, x0:x1], ids[k]).sum()
    return counts


@compiled
def _list_holes(labels, ids, boxes, with_holes, total):  # type: ignore[no-untyped-def]
    """The hole pixels of the cells at the indices `with_holes`; `total` of them."""
    cell, at = np.empty(total, np.int64), np.empty(total, np.int64)
    victim = np.empty(total, np.uint32)
    width, n = labels.shape[1], 0
    for k in with_holes:
        y0, y1, x0, x1 = boxes[k, 0], boxes[k, 1], boxes[k, 2], boxes[k, 3]
        holes = _hole_mask(labels[y0:y1, x0:x1], ids[k])
        for y in range(y1 - y0):
            for x in range(x1 - x0):
                if holes[y, x]:
                    cell[n], at[n] = k, (y0 + y) * width + x0 + x
                    victim[n] = labels[y0 + y, x0 + x]
                    n += 1
    return cell, at, victim


def find_holes(
    labels: NDArray[np.uint32], ids: NDArray[np.uint32], boxes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """Find the holes of the cells `ids`; cells without any are looked at once and left alone.

    Parameters
    ----------
    labels : uint32 (H, W)
    ids : uint32 (n,)
    boxes : int64 (n, 4), y0, y1, x0, x1 within `labels`, half open

    Returns
    -------
    cell : int64, index into `ids`, one entry for each hole pixel
    at : int64, its raster index within `labels`
    victim : uint32, the label found there, 0 for background
    """
    counts = _count_holes(labels, ids, boxes)
    with_holes = np.flatnonzero(counts)
    found: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]] = _list_holes(
        labels, ids, boxes, with_holes, int(counts.sum())
    )
    return found
