"""Find the seeds in a core."""

from __future__ import annotations

from dataclasses import dataclass

from tbscale.engine.blocks import Block, widen
from tbscale.engine.kernels.choice import choose_kernels
from tbscale.engine.scratch import SeedStore, SinkStore
from tbscale.engine.tasks.region import check_region
from tbscale.engine.tasks.task import Piece, pieces_in
from tbscale.steps import StepClock


@dataclass(frozen=True)
class SeedTask:
    """The seeds of one core.

    Attributes
    ----------
    halo_px : within which lies every pixel whose sink can matter to the core's seeds
    blocks : all blocks of the plane
    plane_shape, plain, region_limit_px : see `FollowTask`
    """

    block: Block
    halo_px: int
    blocks: tuple[Block, ...]
    plane_shape: tuple[int, int]
    sinks: SinkStore
    seeds: SeedStore
    plain: tuple[str, ...]
    region_limit_px: int

    @property
    def reads(self) -> tuple[Piece, ...]:
        """The sinks of all blocks that the region meets."""
        region = widen(self.block.core, self.halo_px, self.plane_shape)
        return pieces_in("sinks", region, self.blocks)

    @property
    def leaves(self) -> Piece:
        """Seeds in the core."""
        return Piece("seeds", self.block.index)

    def is_done(self) -> bool:
        """Whether the seeds are stored."""
        return self.seeds.has(self.block.index)

    def run(self, clock: StepClock) -> None:
        """Count sinks, find the peaks, store them.

        Raises
        ------
        BudgetError : the region is larger than the plan allows
        """
        region = widen(self.block.core, self.halo_px, self.plane_shape)
        check_region(region, self.block.core, self.region_limit_px, "a cell there is that large")
        with clock.step("read"):
            window = self.sinks.read(region)
        with clock.step("seeds"):
            found = choose_kernels(self.plain).find_seeds(window, self.block.core)
        with clock.step("write"):
            self.seeds.write(self.block.index, found)
