"""Find the holes of cells, and decide which cell gets each of their pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.kernels.choice import Kernels
from tbscale.engine.kernels.fill import hole_mask
from tbscale.engine.owned import ProvisionalLabels


@dataclass(frozen=True)
class Holes:
    """Pixels inside cells that are not theirs.

    Attributes
    ----------
    cell : uint32 (n,), label of the cell around the pixel
    at : int64 (n,), raster index in the plane
    victim : uint32 (n,), label found there, 0 for background
    """

    cell: NDArray[np.uint32]
    at: NDArray[np.int64]
    victim: NDArray[np.uint32]


def join_holes(parts: list[Holes]) -> Holes:
    """Concatenate the findings of many blocks."""
    return Holes(
        np.concatenate([p.cell for p in parts]),
        np.concatenate([p.at for p in parts]),
        np.concatenate([p.victim for p in parts]),
    )


def find_holes_of(
    cells: NDArray[np.uint32],
    box: NDArray[np.int64],
    labels: ProvisionalLabels,
    new_id: NDArray[np.uint32],
    plane_width: int,
    kernels: Kernels,
) -> Holes:
    """Find the holes of the cells of one block.

    Parameters
    ----------
    cells : uint32 (n,), their labels, all above 0
    box : int64 (n, 4), in the plane
    labels, new_id : the labels of the plane
    """
    if not len(cells):
        nothing = np.zeros(0, np.int64)
        return Holes(nothing.astype(np.uint32), nothing, nothing.astype(np.uint32))
    y0, x0 = int(box[:, 0].min()), int(box[:, 2].min())
    region = (slice(y0, int(box[:, 1].max())), slice(x0, int(box[:, 3].max())))
    window = labels.read(region, new_id)
    local = box - np.array([y0, y0, x0, x0])
    index, at, victim = kernels.find_holes(window, cells, local)
    width = window.shape[1]
    return Holes(
        cells[index], (at // width + y0) * plane_width + at % width + x0, victim.astype(np.uint32)
    )


def overlay(
    window: NDArray[np.uint32], origin: tuple[int, int], changed: dict[int, int], plane_width: int
) -> None:
    """Set the changed pixels, by raster index in the plane, that lie in a window; in place."""
    for at, label in changed.items():
        y, x = at // plane_width - origin[0], at % plane_width - origin[1]
        if 0 <= y < window.shape[0] and 0 <= x < window.shape[1]:
            window[y, x] = label


def settle_holes(
    holes: Holes,
    box: NDArray[np.int64],
    labels: ProvisionalLabels,
    new_id: NDArray[np.uint32],
    plane_width: int,
) -> Holes:
    """Decide which cell gets each hole pixel.

    Holes of background go to the cell around them. Where a hole holds another cell, the outcome
    depends on the order in which the reference visits the two, so those few are replayed in it.

    Parameters
    ----------
    box : int64 (labels, 4), bounding box of label k at k - 1

    Returns
    -------
    Holes, one entry for each pixel that changes; `victim` is what was there before
    """
    attackers = np.unique(holes.cell[holes.victim > 0])
    if not len(attackers):
        return holes
    involved = np.union1d(attackers, holes.victim[holes.victim > 0])
    calm = ~np.isin(holes.cell, involved)
    taken: dict[int, tuple[int, int]] = {}
    for label in involved:
        y0, y1, x0, x1 = (int(v) for v in box[label - 1])
        window = labels.read((slice(y0, y1), slice(x0, x1)), new_id)
        overlay(window, (y0, x0), {at: owner for at, (owner, _) in taken.items()}, plane_width)
        for y, x in np.argwhere(hole_mask(window, label)):
            at = int((y + y0) * plane_width + x + x0)
            before = taken[at][1] if at in taken else int(window[y, x])
            taken[at] = (int(label), before)
    replayed = Holes(
        np.array([owner for owner, _ in taken.values()], np.uint32),
        np.array(list(taken), np.int64),
        np.array([before for _, before in taken.values()], np.uint32),
    )
    return join_holes([Holes(holes.cell[calm], holes.at[calm], holes.victim[calm]), replayed])
