"""Which of two grown seeds wins a place: the order of all seeds of the plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Region


@dataclass(frozen=True)
class RankedSeeds:
    """All seeds of a plane.

    Attributes
    ----------
    places : int64 (n, 2), y and x, in raster order
    order : int64 (n,), position in the reference's sort by count; the larger one wins
    """

    places: NDArray[np.int64]
    order: NDArray[np.int64]

    def near(self, core: Region, margin_px: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places and order of the seeds up to `margin_px` from a core, in raster order."""
        y, x = self.places.T
        begin, end = np.searchsorted(y, [core[0].start - margin_px, core[0].stop + margin_px])
        columns = x[begin:end]
        inside = (columns >= core[1].start - margin_px) & (columns < core[1].stop + margin_px)
        chosen = begin + np.flatnonzero(inside)
        return self.places[chosen], self.order[chosen]


def rank_seeds(seeds: NDArray[np.int64]) -> RankedSeeds:
    """Sort the seeds by count with the call that the reference makes.

    Cellpose 3.1.1.3 (`dynamics.get_masks_torch`) sorts the int32 counts of all seeds, in raster
    order, by `torch.Tensor.argsort`. It is not stable everywhere, so the order among equal counts
    is torch's, on this machine, for this list: no rule of our own could reproduce it.

    Parameters
    ----------
    seeds : int64 (n, 3): count, y, x, in raster order
    """
    import torch  # here, so that planning, on which the book rests, loads without it

    sorted_ = torch.from_numpy(seeds[:, 0].astype(np.int32)).argsort().numpy()
    order = np.empty(len(seeds), np.int64)
    order[sorted_] = np.arange(len(seeds))
    return RankedSeeds(np.ascontiguousarray(seeds[:, 1:]), order)
