"""The plan of a segmentation: how the work is cut and what it will need, before it starts.

Integers only: no arrays, no I/O. Every projected size is in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from tbscale.engine.blocks import Block, plan_blocks
from tbscale.engine.grid import TileGrid, plan_tiles
from tbscale.engine.normalise import ROWS_AT_ONCE, SAMPLED_ABOVE_PX
from tbscale.engine.scratch import ROW_CHUNK_PX
from tbscale.engine.tasks import REGION_BYTES_PER_PX
from tbscale.errors import BudgetError

TYPICAL_HALO_PX = 64  # 15 px of rivals around a core, and the reach of ordinary cells
DEFAULT_CORE_PX = 2048
SMALLEST_CORE_PX = 256
GIB = 2**30

# Python with torch, numba, zarr, compiled kernels and weights; measured 0.55 GiB, rounded up
RUNTIME_BYTES = int(0.60 * GIB)
# activations of the convolutional network; measured 0.62 GiB for 8 tiles of 224 px, rounded up
NETWORK_BYTES_PER_TILE_PX = 1900
BYTES_PER_CELL = 220
# the arrays of a table of cells: shapes 40, areas and one channel's sums and means 24
TABLE_BYTES_PER_CELL = 64
TABLE_WINDOW_BYTES = 1024 * 1024 * (4 + 4 + 8 + 8)  # labels, their copy, pixels, pixels to add
TABLE_LIBRARY_BYTES = 96 * 2**20  # pyarrow and a group of rows
REPORT_BYTES = 192 * 2**20  # matplotlib, figures, crops
REPORT_BYTES_PER_CELL = 48  # means, centroids and bins, beyond the table's
LARGEST_CELLS_PER_MEGAPIXEL = 2500


@dataclass(frozen=True)
class Projection:
    """Projected bytes of a run.

    Attributes
    ----------
    limits_bytes, network_bytes, blocks_bytes, cells_bytes, table_bytes : what each stage holds at
        its peak, beyond the runtime
    scratch_bytes : on disk, at most
    output_bytes : labels on disk, uncompressed, without the pyramid
    """

    limits_bytes: int
    network_bytes: int
    blocks_bytes: int
    cells_bytes: int
    scratch_bytes: int
    output_bytes: int
    table_bytes: int = 0

    @property
    def peak_bytes(self) -> int:
        """Memory of the whole process at its highest."""
        stages = (
            self.limits_bytes,
            self.network_bytes,
            self.blocks_bytes + self.cells_bytes,
            self.table_bytes,
        )
        return RUNTIME_BYTES + max(stages)


@dataclass(frozen=True)
class Plan:
    """How a plane will be segmented."""

    shape: tuple[int, int]
    grid: TileGrid
    core_px: int
    blocks: tuple[Block, ...]
    budget_bytes: int
    projection: Projection

    @property
    def region_limit_px(self) -> int:
        """Pixels of the largest region that a block may read within the budget."""
        room = self.budget_bytes - RUNTIME_BYTES - self.projection.cells_bytes
        return room // REGION_BYTES_PER_PX


def project(
    shape: tuple[int, int],
    grid: TileGrid,
    core_px: int,
    batch_size: int,
    channels: int,
    pixel_bytes: int,
    cache_bytes: int,
    table_cache_bytes: int | None = None,
    report: bool = False,
) -> Projection:
    """Project what a run needs.

    Parameters
    ----------
    shape : (Y, X), pixels
    channels : planes read, 1 or 2
    pixel_bytes : of the stored pixels
    cache_bytes : decoded chunks that are kept while rows are read
    table_cache_bytes : the same while a table of cells is made; None without one
    report : a page is made after the run
    """
    height, width = shape
    area = height * width
    padded, tile = grid.x.padded_px, grid.y.tile_px
    rows_read = min(ROWS_AT_ONCE, height) * width * pixel_bytes
    # the gathered pixels, numpy's copy for the percentile, and one row of chunks
    limits = 3 * 4 * min(area, SAMPLED_ABOVE_PX) + 3 * rows_read
    sums = tile * padded * (3 * 4 + 8)
    rows = tile * padded * (2 * 4 + channels * (pixel_bytes + 4))
    finished = (ROW_CHUNK_PX + tile) * width * (3 * 4 * 3 + 2 * 4 * 2)
    batch = batch_size * tile * tile * NETWORK_BYTES_PER_TILE_PX
    side = min(core_px + 2 * TYPICAL_HALO_PX, max(shape))
    region = min(side, height) * min(side, width)
    cell_count = area * LARGEST_CELLS_PER_MEGAPIXEL // 1_000_000
    return Projection(
        limits_bytes=limits + cache_bytes,
        network_bytes=sums + rows + finished + batch + cache_bytes,
        blocks_bytes=region * REGION_BYTES_PER_PX,
        cells_bytes=cell_count * BYTES_PER_CELL,
        scratch_bytes=area * (8 + 1 + 8 + 4),
        output_bytes=area * 4,
        table_bytes=max(
            project_table(cell_count, table_cache_bytes),
            project_report(cell_count, cache_bytes) if report else 0,
        ),
    )


def project_table(cell_count: int, cache_bytes: int | None) -> int:
    """Bytes that measuring cells needs beyond the runtime; 0 where none are measured."""
    if cache_bytes is None:
        return 0
    return (
        TABLE_LIBRARY_BYTES + TABLE_WINDOW_BYTES + cache_bytes + cell_count * TABLE_BYTES_PER_CELL
    )


def project_report(cell_count: int, cache_bytes: int) -> int:
    """Bytes that the page needs beyond the runtime."""
    own = REPORT_BYTES + cell_count * REPORT_BYTES_PER_CELL
    return own + project_table(cell_count, cache_bytes)


def plan_segmentation(
    shape: tuple[int, int],
    budget_bytes: int,
    core_px: int | None = None,
    tile_px: int = 224,
    overlap: float = 0.1,
    batch_size: int = 8,
    channels: int = 1,
    pixel_bytes: int = 2,
    cache_bytes: int = 0,
    table_cache_bytes: int | None = None,
    report: bool = False,
) -> Plan:
    """Plan a run within a memory budget.

    Parameters
    ----------
    shape : (Y, X), pixels
    budget_bytes : the projected peak stays at or below it
    core_px : pixels of a block's core; None takes the largest of 2048, 1024, 512 and 256 that fits

    Raises
    ------
    BudgetError : the plan needs more; says what to set
    """
    grid = plan_tiles(shape, tile_px, overlap)
    sizes = [core_px] if core_px else [DEFAULT_CORE_PX >> k for k in range(4)]
    for size in sizes:
        projection = project(
            shape,
            grid,
            size,
            batch_size,
            channels,
            pixel_bytes,
            cache_bytes,
            table_cache_bytes,
            report,
        )
        if projection.peak_bytes <= budget_bytes:
            blocks = plan_blocks(shape, size)
            return Plan(shape, grid, size, blocks, budget_bytes, projection)
    raise BudgetError(refusal(shape, projection, size, budget_bytes))


def refusal(shape: tuple[int, int], projection: Projection, core_px: int, budget_bytes: int) -> str:
    """One sentence: what is needed, what there is, what to set."""
    needs = {
        "limits": projection.limits_bytes,
        "network": projection.network_bytes,
        "blocks": projection.blocks_bytes + projection.cells_bytes,
        "table": projection.table_bytes,
    }
    worst = max(needs, key=lambda name: needs[name])
    peak = projection.peak_bytes
    remedy = f"pass --memory {-(-peak * 100 // GIB) / 100:.2f}GiB"
    if worst == "blocks" and core_px > SMALLEST_CORE_PX:
        remedy += f" or --core-px {SMALLEST_CORE_PX}"
    return (
        f"the plane of {shape[0]} x {shape[1]} px needs {peak / GIB:.2f} GiB "
        f"(runtime {RUNTIME_BYTES / GIB:.2f} + {worst} {needs[worst] / GIB:.2f}), "
        f"the budget is {budget_bytes / GIB:.2f} GiB; {remedy}"
    )
