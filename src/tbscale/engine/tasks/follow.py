"""Follow the pixels of a core to their sinks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Block, widen
from tbscale.engine.kernels.choice import Kernels, choose_kernels
from tbscale.engine.scratch import Flows, SinkStore
from tbscale.engine.tasks.region import check_region
from tbscale.engine.tasks.task import Piece
from tbscale.steps import StepClock

FIRST_HALO_PX = 48


@dataclass(frozen=True)
class FollowTask:
    """The sinks of one core.

    Attributes
    ----------
    plane_shape : (Y, X), pixels
    niter : iterations of the dynamics
    plain : steps that take their plain path
    region_limit_px : largest region that may be read
    """

    block: Block
    plane_shape: tuple[int, int]
    flows: Flows
    sinks: SinkStore
    niter: int
    plain: tuple[str, ...]
    region_limit_px: int

    @property
    def reads(self) -> tuple[Piece, ...]:
        """The flow of the core and its first halo; more where a path leaves it."""
        rows = widen(self.block.core, FIRST_HALO_PX, self.plane_shape)[0]
        return (Piece("flow", rows.stop),)

    @property
    def leaves(self) -> Piece:
        """Sinks of the core."""
        return Piece("sinks", self.block.index)

    def is_done(self) -> bool:
        """Whether the sinks are stored."""
        return self.sinks.reach_px(self.block.index) is not None

    def run(self, clock: StepClock) -> None:
        """Follow, and store sinks and reach."""
        found, reach_px = follow_block(
            self.block,
            self.flows,
            self.plane_shape,
            FIRST_HALO_PX,
            self.niter,
            choose_kernels(self.plain),
            self.region_limit_px,
            clock,
        )
        with clock.step("write"):
            self.sinks.write(self.block.index, self.block.core, found, reach_px)


def follow_block(
    block: Block,
    flows: Flows,
    plane_shape: tuple[int, int],
    halo_px: int,
    niter: int,
    kernels: Kernels,
    region_limit_px: int,
    clock: StepClock,
) -> tuple[NDArray[np.int32], int]:
    """Find the sink of every pixel of a core; the halo grows until no path leaves the region.

    Returns
    -------
    sinks : int32 (2, core height, core width), plane coordinates
    reach_px : largest distance from a pixel to its sink
    """
    while True:
        region = widen(block.core, halo_px, plane_shape)
        check_region(region, block.core, region_limit_px, "a path there is that long")
        with clock.step("read"):
            flow, foreground = flows.read(region)
        with clock.step("follow"):
            origin = (region[0].start, region[1].start)
            sinks, escaped, reach_px = kernels.follow(
                flow, foreground, origin, plane_shape, block.core, niter
            )
        if not escaped:
            return sinks, reach_px
        halo_px *= 2
