"""Where a task works: its block, and how far around the core what it needs may lie."""

from __future__ import annotations

from dataclasses import dataclass

from tbscale.engine.blocks import Block, Region, widen
from tbscale.engine.tasks.task import Piece, pieces_in


@dataclass(frozen=True)
class Place:
    """A block of a plane with its halo.

    Attributes
    ----------
    halo_px : within which lies every pixel whose sink can matter to the core's seeds
    blocks : all blocks of the plane
    plane_shape : (Y, X), pixels
    """

    block: Block
    halo_px: int
    blocks: tuple[Block, ...]
    plane_shape: tuple[int, int]

    @property
    def region(self) -> Region:
        """The core and its halo, cut at the border of the plane."""
        return widen(self.block.core, self.halo_px, self.plane_shape)

    @property
    def sinks(self) -> tuple[Piece, ...]:
        """The sinks of all blocks that the region meets."""
        return pieces_in("sinks", self.region, self.blocks)
