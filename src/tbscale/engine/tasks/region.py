"""The region that a task may read, within the memory of the plan. Integers only."""

from __future__ import annotations

from tbscale.engine.blocks import Region, shape_of
from tbscale.errors import BudgetError

REGION_BYTES_PER_PX = 40  # flow 8, foreground 1, sinks 8, labels 4, pixel lists 8, slack


def check_region(region: Region, core: Region, region_limit_px: int, why: str) -> None:
    """Refuse a region that would break the memory budget.

    Raises
    ------
    BudgetError : says which block, how large, and what to set
    """
    height, width = shape_of(region)
    if height * width > region_limit_px:
        need = height * width * REGION_BYTES_PER_PX / 2**30
        have = region_limit_px * REGION_BYTES_PER_PX / 2**30
        raise BudgetError(
            f"the block at y {core[0].start}, x {core[1].start} needs a region of "
            f"{height} x {width} px ({need:.2f} GiB) because {why}, more than the "
            f"{have:.2f} GiB left for a block; raise --memory or lower --core-px"
        )
