"""Decide about all cells at once, as the reference does on the whole plane.

Cellpose 3.1.1.3 removes cells in three places (`get_masks_torch`, `remove_bad_flow_masks`,
`utils.fill_holes_and_remove_small_masks`). Its removal of small cells counts the labels that are
left but removes the labels with the *positions* of the small ones: once a label is missing, another
cell than the small one goes (thread 1367). That is a property of the whole plane, and it is kept
here so that the labels are equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rules:
    """Which cells stay.

    Attributes
    ----------
    flow_threshold : largest flow error; 0 keeps all
    min_size : smallest area, pixels; below 1 keeps all
    max_size_fraction : largest area as a share of the plane
    """

    flow_threshold: float = 0.4
    min_size: int = 15
    max_size_fraction: float = 0.4


def rank(keys: NDArray[np.int64], keep: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Number the kept cells 1, 2, ... in the order of their keys; 0 for the others."""
    chosen = np.flatnonzero(keep)
    ids = np.zeros(len(keys), np.uint32)
    ids[chosen[np.argsort(keys[chosen], kind="stable")]] = np.arange(1, len(chosen) + 1)
    return ids


def remove_small(
    ids: NDArray[np.uint32], area: NDArray[np.int64], pixels: int, min_size: int
) -> NDArray[np.bool_]:
    """Say which cells stay when the reference removes the small ones.

    Parameters
    ----------
    ids : uint32 (n,), the label of each cell, 0 = already gone; gaps matter, see above
    area : int64 (n,), pixels
    pixels : of the plane; without background the reference overlooks the first label
    """
    present = np.flatnonzero(ids)
    present = present[np.argsort(ids[present], kind="stable")]
    counts = area[present]
    if int(counts.sum()) == pixels:
        counts = counts[1:]
    removed = np.flatnonzero(counts < min_size) + 1
    return (ids > 0) & ~np.isin(ids, removed)


def first_decision(
    first: NDArray[np.int64],
    area: NDArray[np.int64],
    error: NDArray[np.float64],
    pixels: int,
    rules: Rules,
) -> NDArray[np.uint32]:
    """Number the cells that reach the filling of holes, in the order in which it visits them.

    Parameters
    ----------
    first : int64 (n,), raster index of each cell's first pixel
    area : int64 (n,), pixels, 0 for a seed whose pixels all went to others
    error : float64 (n,), flow error
    pixels : of the plane

    Returns
    -------
    ids : uint32 (n,), 0 = removed
    """
    ids = rank(first, (area > 0) & (area <= pixels * rules.max_size_fraction))
    if rules.flow_threshold > 0:
        ids[error > rules.flow_threshold] = 0
    keep = ids > 0
    if rules.min_size > 0:
        keep = remove_small(ids, area, pixels, rules.min_size)
    return rank(first, keep)


def last_decision(
    ids: NDArray[np.uint32],
    first: NDArray[np.int64],
    area: NDArray[np.int64],
    pixels: int,
    rules: Rules,
) -> NDArray[np.uint32]:
    """Number the cells of the result, after holes were filled.

    Parameters
    ----------
    ids : uint32 (n,), of `first_decision`
    first, area : int64 (n,), after filling; area 0 for a cell that was overwritten

    Returns
    -------
    ids : uint32 (n,), 0 = removed
    """
    ids = np.where(area > 0, ids, 0).astype(np.uint32)
    if rules.min_size <= 0:
        return ids
    return rank(first, remove_small(ids, area, pixels, rules.min_size))
