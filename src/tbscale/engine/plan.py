"""The plan of a segmentation: how the work is cut and what it will need, before it starts.

Integers only: no arrays, no I/O. Every projected size is in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tbscale.engine.blocks import Block, plan_blocks
from tbscale.engine.grid import TileGrid, plan_tiles
from tbscale.engine.projection import (
    GIB as GIB,
)
from tbscale.engine.projection import (
    RUNTIME_BYTES,
    USUAL,
    Projection,
    Workload,
    gibibytes_above,
    project,
)
from tbscale.engine.tasks.region import REGION_BYTES_PER_PX
from tbscale.errors import BudgetError, PlanError

DEFAULT_CORE_PX = 2048
SMALLEST_CORE_PX = 256  # that a plan takes by itself
LEAST_CORE_PX = (
    64  # that it takes when asked: below, a block is mostly its halo of 48 pixels a side
)


@dataclass(frozen=True)
class Plan:
    """How a plane will be segmented.

    Attributes
    ----------
    keeps_freed : whether the budget has room to keep freed memory while the network works
    """

    shape: tuple[int, int]
    grid: TileGrid
    core_px: int
    blocks: tuple[Block, ...]
    budget_bytes: int
    projection: Projection
    keeps_freed: bool = False

    @property
    def region_limit_px(self) -> int:
        """Pixels of the largest region that a block may read within the budget."""
        return self._region_px_beside(self.projection.beside_region_bytes)

    @property
    def region_limit_beside_network_px(self) -> int:
        """The same while the network works; a block that needs more waits until it has ended."""
        return self._region_px_beside(self.projection.beside_network_bytes)

    def _region_px_beside(self, others_bytes: int) -> int:
        room = self.budget_bytes - RUNTIME_BYTES - others_bytes
        return max(0, room) // REGION_BYTES_PER_PX


def plan_segmentation(
    shape: tuple[int, int],
    budget_bytes: int,
    core_px: int | None = None,
    work: Workload = USUAL,
    tile_px: int = 224,
    overlap: float = 0.1,
) -> Plan:
    """Plan a run within a memory budget.

    Freed memory is kept where there is room for it: a faster network goes before larger blocks.

    Parameters
    ----------
    shape : (Y, X), pixels
    budget_bytes : the projected peak stays at or below it
    core_px : pixels of a block's core; None takes the largest of 2048, 1024, 512 and 256 that fits
    work : what is read, computed and made
    tile_px, overlap : of the network's tiles

    Raises
    ------
    BudgetError : the plan needs more; says what to set
    PlanError : a core below `LEAST_CORE_PX` that does not hold the plane
    """
    if core_px is not None and core_px < min(LEAST_CORE_PX, max(shape)):
        raise PlanError(f"--core-px is {core_px}; pass at least {LEAST_CORE_PX}")
    grid = plan_tiles(work.frame or shape, tile_px, overlap)
    sizes = [core_px] if core_px else [DEFAULT_CORE_PX >> k for k in range(4)]
    for network in (work.network, replace(work.network, gaps_per_tile_px=0)):
        work = replace(work, network=network)
        for size in sizes:
            projection = project(shape, grid, size, work)
            if projection.peak_bytes <= budget_bytes:
                blocks, keeps = plan_blocks(shape, size), network.gaps_per_tile_px > 0
                return Plan(shape, grid, size, blocks, budget_bytes, projection, keeps)
    fitting = [
        k
        for k in range(SMALLEST_CORE_PX, size)
        if project(shape, grid, k, work).peak_bytes <= budget_bytes
    ]
    raise BudgetError(refusal(shape, projection, max(fitting, default=None), budget_bytes))


def refusal(
    shape: tuple[int, int], projection: Projection, fitting_px: int | None, budget_bytes: int
) -> str:
    """One sentence: what is needed, what there is, what to set.

    Parameters
    ----------
    fitting_px : the largest core with which the plan fits; None where no core does
    """
    worst, peak = projection.worst, projection.peak_bytes
    largest, size = max(worst.parts, key=lambda part: part[1])
    remedy = f"pass --memory {gibibytes_above(peak)}"
    if fitting_px is not None:
        remedy += f" or --core-px {fitting_px}"
    return (
        f"the plane of {shape[0]} x {shape[1]} px needs {peak / GIB:.2f} GiB "
        f"(runtime {RUNTIME_BYTES / GIB:.2f} + {worst.name} {worst.bytes / GIB:.2f}, most of it "
        f"{largest}, {size / GIB:.2f}), the budget is {budget_bytes / GIB:.2f} GiB; {remedy}"
    )
