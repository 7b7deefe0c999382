"""Find the seeds in a core."""

from __future__ import annotations

from dataclasses import dataclass

from tbscale.engine.kernels.choice import choose_kernels
from tbscale.engine.kernels.seeds import PEAK_PX
from tbscale.engine.scratch import SeedStore, SinkStore
from tbscale.engine.tasks.place import Place
from tbscale.engine.tasks.region import check_region
from tbscale.engine.tasks.task import Piece
from tbscale.steps import StepClock


@dataclass(frozen=True)
class SeedTask:
    """The seeds of one core.

    Attributes
    ----------
    place : the block, with a halo for its seeds
    plain, region_limit_px : see `FollowTask`
    """

    place: Place
    sinks: SinkStore
    seeds: SeedStore
    plain: tuple[str, ...]
    region_limit_px: int

    @property
    def reads(self) -> tuple[Piece, ...]:
        """The sinks of all blocks that the region meets."""
        return self.place.sinks

    @property
    def leaves(self) -> Piece:
        """Seeds in the core."""
        return Piece("seeds", self.place.block.index)

    def is_done(self) -> bool:
        """Whether the seeds are stored."""
        return self.seeds.has(self.place.block.index)

    def run(self, clock: StepClock) -> None:
        """Count sinks, find the peaks, store them.

        Raises
        ------
        BudgetError : the region is larger than the plan allows
        """
        region, block = self.place.region, self.place.block
        check_region(region, block.core, self.region_limit_px, "a cell there is that large")
        with clock.step("read"):
            window = self.sinks.read(region)
        with clock.step("seeds"):
            kernels = choose_kernels(self.plain)
            counts = kernels.count_sinks(window, block.core, PEAK_PX)
            found = kernels.find_seeds(counts, block.core, PEAK_PX)
        with clock.step("write"):
            self.seeds.write(block.index, found)
