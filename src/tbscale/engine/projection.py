"""What a run will hold in memory, stage by stage: integers only, every size in bytes.

Stages follow each other, and what one holds is gone when the next starts, except for the runtime
and for what the allocator keeps of the network's arrays. Each stage is a sum of named parts, so
that a refusal can name the largest and a measurement can be set beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tbscale.engine.grid import TileGrid
from tbscale.engine.merged import KEPT_CORES
from tbscale.engine.network_memory import EXACT_MEMORY, NetworkMemory
from tbscale.engine.normalise import ROWS_AT_ONCE as LIMITS_ROWS
from tbscale.engine.normalise import SAMPLED_ABOVE_PX
from tbscale.engine.rescale import SLAB_ROWS
from tbscale.engine.scratch import COLUMN_CHUNK_PX, ROW_CHUNK_PX
from tbscale.engine.strips import INPUTS, OUTPUTS, ROWS_AT_ONCE
from tbscale.engine.tasks.region import REGION_BYTES_PER_PX
from tbscale.images.labels_out.chunks import LABEL_CHUNK_PX
from tbscale.images.labels_out.halves import LARGEST_KEPT_BYTES, MOST_HELD, MOST_KEPT

TYPICAL_HALO_PX = 64  # 15 px of rivals around a core, and the reach of ordinary cells
GIB = 2**30

# Python with torch, cellpose, numba, zarr, compiled kernels and weights
RUNTIME_BYTES = int(0.60 * GIB)
BYTES_PER_CELL = 220  # while its seed is ranked and its row of the table is decided on
LARGEST_CELLS_PER_MEGAPIXEL = 2500
CODED_CHUNKS = 32  # chunks that readers and writers hold while they encode and decode
CODED_A_WORKER = 22  # MiB: what is halved for the pyramid, the half, and its code
REGION_PART = "region of a block"
# the arrays of a table of cells: shapes 40, areas and one channel's sums and means 24
TABLE_BYTES_PER_CELL = 64
TABLE_WINDOW_BYTES = 1024 * 1024 * (4 + 4 + 8 + 8)  # labels, pixels, and a copy of each
TABLE_LIBRARY_BYTES = 96 * 2**20  # pyarrow and a group of rows
REPORT_BYTES = 192 * 2**20  # matplotlib, figures, crops
REPORT_BYTES_PER_CELL = 48  # means, centroids and bins, beyond the table's
ALLOCATOR_BYTES = 48 * 2**20  # freed, but not yet given back


@dataclass(frozen=True)
class Extras:
    """What is made beside the labels.

    Attributes
    ----------
    table_cache_bytes : decoded chunks that are kept while a table of cells is made; None without
    report : a page is made after the run
    """

    table_cache_bytes: int | None = None
    report: bool = False


@dataclass(frozen=True)
class Workload:
    """What a run reads, computes and makes, as far as its memory goes.

    Attributes
    ----------
    channels : planes read, 1 or 2
    pixel_bytes : of the stored pixels
    cache_bytes : decoded chunks that are kept while rows are read
    batch_size : tiles that the network gets at once
    network : what it holds
    frame : (Y, X) of the plane as the network sees it; None where it is not resized
    follows_beside : whether blocks are followed while the network works
    workers : threads that decode chunks
    beside_bytes : of a chunk while it is decoded, of channels that are not read
    extras : what is made beside the labels
    """

    channels: int = 1
    pixel_bytes: int = 2
    cache_bytes: int = 0
    batch_size: int = 8
    network: NetworkMemory = EXACT_MEMORY
    frame: tuple[int, int] | None = None
    follows_beside: bool = False
    workers: int = 1
    beside_bytes: int = 0
    extras: Extras = Extras()


USUAL = Workload()


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Attributes
    ----------
    name : limits, network or blocks
    parts : (what, bytes), the runtime left out
    """

    name: str
    parts: tuple[tuple[str, int], ...]

    @property
    def bytes(self) -> int:
        """Sum of the parts."""
        return sum(size for _, size in self.parts)


@dataclass(frozen=True)
class Projection:
    """Projected bytes of a run.

    Attributes
    ----------
    stages : what each holds at its peak, beyond the runtime
    cells_bytes : the part of the blocks' stage that grows with the plane
    scratch_bytes : on disk, at most
    output_bytes : labels on disk, uncompressed, without the pyramid
    """

    stages: tuple[Stage, ...]
    cells_bytes: int
    scratch_bytes: int
    output_bytes: int

    @property
    def beside_region_bytes(self) -> int:
        """What the blocks' stage holds beside the region of a block."""
        return sum(size for name, size in self.stages[-1].parts if name != REGION_PART)

    @property
    def beside_network_bytes(self) -> int:
        """What the network's stage holds beside the region that is followed meanwhile."""
        network = next(stage for stage in self.stages if stage.name == "network")
        return sum(size for name, size in network.parts if name != REGION_PART)

    @property
    def worst(self) -> Stage:
        """The stage that holds most."""
        return max(self.stages, key=lambda stage: stage.bytes)

    @property
    def peak_bytes(self) -> int:
        """Memory of the whole process at its highest."""
        return RUNTIME_BYTES + self.worst.bytes


def project(
    shape: tuple[int, int], grid: TileGrid, core_px: int, work: Workload = USUAL
) -> Projection:
    """Project what a run on a plane of `shape` (Y, X) pixels needs."""
    area = shape[0] * shape[1]
    cell_count = area * LARGEST_CELLS_PER_MEGAPIXEL // 1_000_000
    cells_bytes = cell_count * BYTES_PER_CELL
    stages = (
        limits_stage(shape, work),
        network_stage(shape, grid, core_px, work),
        write_stage(shape, core_px, cells_bytes, work.workers),
        extras_stage(work, cell_count),
        blocks_stage(shape, core_px, cells_bytes, work.workers),
    )
    return Projection(stages, cells_bytes, area * (8 + 1 + 8 + 4 + 4), area * 4)


def limits_stage(shape: tuple[int, int], work: Workload) -> Stage:
    """Rows of chunks as they are read, and the sample whose percentiles are taken."""
    height, width = shape
    rows = min(LIMITS_ROWS, height) * width * work.pixel_bytes
    sample = 4 * min(height * width, SAMPLED_ABOVE_PX)
    return Stage(
        "limits",
        (
            ("rows read", 2 * max(rows, work.cache_bytes)),
            ("other channels", work.workers * work.beside_bytes),
            ("sample", 3 * sample),  # gathered, joined, and numpy's copy for the percentile
            ("allocator", ALLOCATOR_BYTES),
        ),
    )


def network_stage(shape: tuple[int, int], grid: TileGrid, core_px: int, work: Workload) -> Stage:
    """One strip's rows and sums, what waits to be stored, and one batch of tiles."""
    width, padded, tile = shape[1], grid.x.padded_px, grid.y.tile_px
    # while rows are read: pixels, float32 and its quotient; while they leave: outputs, masked flow
    piece = ROWS_AT_ONCE * width * max(work.pixel_bytes + 2 * 4, OUTPUTS * 4 + 6 * 4 + 1)
    chunk = ROW_CHUNK_PX * COLUMN_CHUNK_PX * 9
    tile_px = tile * grid.x.tile_px
    resizing = resizing_bytes(width, padded, work.channels) if work.frame is not None else 0
    return Stage(
        "network",
        (
            ("rows of the strip", tile * padded * 4 * work.channels),
            ("sums of the strip", tile * padded * 4 * OUTPUTS),
            ("waiting flow", min(ROW_CHUNK_PX, shape[0]) * width * 9),
            ("pieces", piece + CODED_CHUNKS // 8 * chunk),
            ("decoded chunks", work.cache_bytes),
            ("other channels", work.workers * work.beside_bytes),
            ("tiles", 2 * work.batch_size * tile_px * 4 * (INPUTS + OUTPUTS)),
            ("activations", work.network.bytes(tile_px, work.batch_size)),
            ("freed and kept", work.network.gaps_bytes(tile_px, work.batch_size)),
            ("resizing", resizing),
            (REGION_PART, region_bytes(shape, core_px) if work.follows_beside else 0),
            ("allocator", ALLOCATOR_BYTES),
        ),
    )


def resizing_bytes(width: int, padded: int, channels: int) -> int:
    """Slabs of the plane on their way in and out, and the rows of the frame between."""
    plane_row = width * 4 * (2 * channels + 2 * (OUTPUTS + 2))
    frame_row = padded * 4 * (2 * channels + 3 * OUTPUTS)
    return SLAB_ROWS * plane_row + ROWS_AT_ONCE * frame_row


def extras_stage(work: Workload, cell_count: int) -> Stage:
    """The table of cells and the page, which are made after the labels; nothing without them."""
    extras = work.extras
    if extras.table_cache_bytes is None and not extras.report:
        return Stage("table", ())
    decoded = max(extras.table_cache_bytes or 0, work.cache_bytes if extras.report else 0)
    page = REPORT_BYTES + cell_count * REPORT_BYTES_PER_CELL if extras.report else 0
    return Stage(
        "table",
        (
            ("library", TABLE_LIBRARY_BYTES),
            ("chunks kept", MOST_KEPT * LARGEST_KEPT_BYTES),
            ("windows", (work.workers + 3) * TABLE_WINDOW_BYTES),
            ("decoded chunks", decoded),
            ("other channels", work.workers * work.beside_bytes),
            ("table of cells", cell_count * TABLE_BYTES_PER_CELL),
            ("page", page),
        ),
    )


def region_bytes(shape: tuple[int, int], core_px: int) -> int:
    """What one block with an ordinary halo holds while it is worked on."""
    side = core_px + 2 * TYPICAL_HALO_PX
    return min(side, shape[0]) * min(side, shape[1]) * REGION_BYTES_PER_PX


def blocks_stage(shape: tuple[int, int], core_px: int, cells_bytes: int, workers: int) -> Stage:
    """One block's region, and the table of all cells."""
    return Stage(
        "blocks",
        (
            (REGION_PART, region_bytes(shape, core_px)),
            ("cells", cells_bytes),
            ("coded chunks", max(CODED_CHUNKS, CODED_A_WORKER * workers) * 2**20),
            ("allocator", ALLOCATOR_BYTES),
        ),
    )


def write_stage(shape: tuple[int, int], core_px: int, cells_bytes: int, workers: int) -> Stage:
    """Labels of a few cores, and chunks of the labels and of their pyramid on their way to disk."""
    core, chunk = (
        min(side, shape[0]) * min(side, shape[1]) * 4 for side in (core_px, LABEL_CHUNK_PX)
    )
    held = MOST_HELD if max(shape) > LABEL_CHUNK_PX else 0
    return Stage(
        "write",
        (
            ("labels of cores", (KEPT_CORES + workers) * core),
            ("cells", cells_bytes),
            ("coded chunks", max(CODED_CHUNKS, CODED_A_WORKER * workers) * 2**20),
            ("pyramid", held * chunk),
            ("allocator", ALLOCATOR_BYTES),
        ),
    )


def gibibytes_above(size: int) -> str:
    """A size for `--memory` that is not below `size` bytes.

    >>> gibibytes_above(3 * 2**29 + 1)
    '1.51GiB'
    """
    return f"{-(-size * 100 // GIB) / 100:.2f}GiB"
