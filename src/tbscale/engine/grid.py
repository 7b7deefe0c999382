"""The tile grid of the whole plane, and its strips: integers only.

The network of the reference sees tiles of `tile_px` whose starts are spread evenly over the padded
plane. The grid depends on the plane alone, so it is computed once and streamed by strips: all
tiles of a strip share their first row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tbscale.errors import PlanError

PAD_MULTIPLE_PX = 16  # the network halves its input three times; one more for the margin
MIN_OVERLAP, MAX_OVERLAP = 0.05, 0.5


@dataclass(frozen=True)
class Axis:
    """Tiles along one axis.

    Attributes
    ----------
    size_px : pixels of the plane
    pad_before_px, pad_after_px : zeros added by the reference before tiling
    tile_px : pixels of a tile, at most the padded size
    starts : first pixel of each tile, padded coordinates
    """

    size_px: int
    pad_before_px: int
    pad_after_px: int
    tile_px: int
    starts: tuple[int, ...]

    @property
    def padded_px(self) -> int:
        """Pixels with padding."""
        return self.size_px + self.pad_before_px + self.pad_after_px


@dataclass(frozen=True)
class TileGrid:
    """The tiles of a plane, in the order of the reference: row after row."""

    y: Axis
    x: Axis

    @property
    def tiles_per_strip(self) -> int:
        """Tiles in one row of tiles."""
        return len(self.x.starts)

    @property
    def tile_count(self) -> int:
        """All tiles."""
        return len(self.y.starts) * len(self.x.starts)

    def finished_rows(self, strip: int) -> int:
        """Padded rows that no strip after `strip` touches."""
        following = strip + 1
        return self.y.padded_px if following == len(self.y.starts) else self.y.starts[following]

    def first_strip_touching(self, row: int) -> int:
        """The first strip that covers the padded row `row`."""
        return next(k for k, start in enumerate(self.y.starts) if start + self.y.tile_px > row)


def plan_axis(size_px: int, tile_px: int, overlap: float) -> Axis:
    """Lay tiles along one axis as the reference does.

    Parameters
    ----------
    size_px : pixels of the plane
    tile_px : Cellpose `bsize`, pixels
    overlap : Cellpose `tile_overlap`, the share of a tile shared with the next one

    >>> plan_axis(400, 224, 0.1).starts
    (0, 96, 192)
    """
    overlap = min(MAX_OVERLAP, max(MIN_OVERLAP, overlap))
    fill = -size_px % PAD_MULTIPLE_PX
    before = PAD_MULTIPLE_PX // 2 + fill // 2
    after = PAD_MULTIPLE_PX // 2 + fill - fill // 2
    padded = size_px + before + after
    count = 1 if padded <= tile_px else math.ceil((1.0 + 2 * overlap) * padded / tile_px)
    tile = min(tile_px, padded)
    starts = np.linspace(0, padded - tile, count).astype(int)
    return Axis(size_px, before, after, tile, tuple(int(s) for s in starts))


def plan_tiles(shape: tuple[int, int], tile_px: int = 224, overlap: float = 0.1) -> TileGrid:
    """Lay the tile grid of a whole plane.

    Parameters
    ----------
    shape : (Y, X), pixels
    tile_px : Cellpose `bsize`, pixels
    overlap : Cellpose `tile_overlap`, clipped to [0.05, 0.5] as there

    Raises
    ------
    PlanError : a plane without pixels, or tiles too small for the network
    """
    if min(shape) < 1:
        raise PlanError(f"the plane is {shape[0]} x {shape[1]} px; pass one with pixels")
    if tile_px < PAD_MULTIPLE_PX:
        raise PlanError(f"tile_px is {tile_px}; pass at least {PAD_MULTIPLE_PX}")
    return TileGrid(*(plan_axis(size, tile_px, overlap) for size in shape))
