"""What a run will hold in memory, stage by stage: integers only, every size in bytes.

Stages follow each other, and what one holds is gone when the next starts, except for the runtime
and for what the allocator keeps of the network's arrays. Each stage is a sum of named parts, so
that a refusal can name the largest and a measurement can be set beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tbscale.engine.grid import TileGrid
from tbscale.engine.normalise import ROWS_AT_ONCE as LIMITS_ROWS
from tbscale.engine.normalise import SAMPLED_ABOVE_PX
from tbscale.engine.rescale import SLAB_ROWS
from tbscale.engine.scratch import COLUMN_CHUNK_PX, ROW_CHUNK_PX
from tbscale.engine.strips import INPUTS, OUTPUTS, ROWS_AT_ONCE
from tbscale.engine.tasks import REGION_BYTES_PER_PX

TYPICAL_HALO_PX = 64  # 15 px of rivals around a core, and the reach of ordinary cells
GIB = 2**30

# Python with torch, cellpose, numba, zarr, compiled kernels and weights
RUNTIME_BYTES = int(0.60 * GIB)
BYTES_PER_CELL = 220  # while its seed is ranked and its row of the table is decided on
LARGEST_CELLS_PER_MEGAPIXEL = 2500
CODED_CHUNKS = 32  # chunks that readers and writers hold while they encode and decode
REGION_PART = "region of a block"
ALLOCATOR_BYTES = 48 * 2**20  # freed, but not yet given back


@dataclass(frozen=True)
class NetworkMemory:
    """What a network holds while it works.

    Attributes
    ----------
    bytes_per_tile_px : activations for each pixel of a tile that is worked on
    fixed_bytes : beyond the weights as they are stored
    tiles_at_once : None is the whole batch
    """

    bytes_per_tile_px: int
    fixed_bytes: int = 0
    tiles_at_once: int | None = None

    def bytes(self, tile_px: int, batch_size: int) -> int:
        """For a batch of tiles of `tile_px` pixels each."""
        return self.fixed_bytes + (self.tiles_at_once or batch_size) * tile_px * (
            self.bytes_per_tile_px
        )


# each is measured by `benchmarks/memory_bound.py --network NAME`
EXACT_MEMORY = NetworkMemory(1900)
FAST_BYTES_PER_TILE_PX = 1000  # one thread's workspace
FAST_FIXED_BYTES = 160 * 2**20  # kernels and transformed weights


def network_memory(mode: str, threads: int) -> NetworkMemory:
    """What the network of a mode holds; `half`, not measured, is taken to hold what `exact` does.

    Parameters
    ----------
    mode : exact, fast or half
    threads : images that `fast` works on at the same time
    """
    if mode == "fast":
        return NetworkMemory(FAST_BYTES_PER_TILE_PX, FAST_FIXED_BYTES, threads)
    return EXACT_MEMORY


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
    def worst(self) -> Stage:
        """The stage that holds most."""
        return max(self.stages, key=lambda stage: stage.bytes)

    @property
    def peak_bytes(self) -> int:
        """Memory of the whole process at its highest."""
        return RUNTIME_BYTES + self.worst.bytes


def project(
    shape: tuple[int, int],
    grid: TileGrid,
    core_px: int,
    batch_size: int,
    channels: int,
    pixel_bytes: int,
    cache_bytes: int,
    network: NetworkMemory = EXACT_MEMORY,
    is_rescaled: bool = False,
) -> Projection:
    """Project what a run needs.

    Parameters
    ----------
    shape : (Y, X), pixels
    channels : planes read, 1 or 2
    pixel_bytes : of the stored pixels
    cache_bytes : decoded chunks that are kept while rows are read
    network : what the network holds
    is_rescaled : whether `grid` is that of a resized plane
    """
    area = shape[0] * shape[1]
    cells_bytes = area * LARGEST_CELLS_PER_MEGAPIXEL // 1_000_000 * BYTES_PER_CELL
    stages = (
        limits_stage(shape, pixel_bytes, cache_bytes),
        network_stage(
            shape, grid, batch_size, channels, pixel_bytes, cache_bytes, network, is_rescaled
        ),
        blocks_stage(shape, core_px, cells_bytes),
    )
    return Projection(stages, cells_bytes, area * (8 + 1 + 8 + 4 + 4), area * 4)


def limits_stage(shape: tuple[int, int], pixel_bytes: int, cache_bytes: int) -> Stage:
    """Rows of chunks as they are read, and the sample whose percentiles are taken."""
    height, width = shape
    rows = min(LIMITS_ROWS, height) * width * pixel_bytes
    sample = 4 * min(height * width, SAMPLED_ABOVE_PX)
    return Stage(
        "limits",
        (
            ("rows read", 2 * max(rows, cache_bytes)),
            ("sample", 3 * sample),  # gathered, joined, and numpy's copy for the percentile
            ("allocator", ALLOCATOR_BYTES),
        ),
    )


def network_stage(
    shape: tuple[int, int],
    grid: TileGrid,
    batch_size: int,
    channels: int,
    pixel_bytes: int,
    cache_bytes: int,
    network: NetworkMemory,
    is_rescaled: bool,
) -> Stage:
    """One strip's rows and sums, what waits to be stored, and one batch of tiles."""
    width, padded, tile = shape[1], grid.x.padded_px, grid.y.tile_px
    # while rows are read: pixels, float32 and its quotient; while they leave: outputs, masked flow
    piece = ROWS_AT_ONCE * width * max(pixel_bytes + 2 * 4, OUTPUTS * 4 + 6 * 4 + 1)
    chunk = ROW_CHUNK_PX * COLUMN_CHUNK_PX * 9
    tile_px = batch_size * tile * grid.x.tile_px
    resized = rescale_bytes(width, padded, channels, pixel_bytes) if is_rescaled else 0
    return Stage(
        "network",
        (
            ("rows of the strip", tile * padded * 4 * channels),
            ("sums of the strip", tile * padded * 4 * OUTPUTS),
            ("waiting flow", min(ROW_CHUNK_PX, shape[0]) * width * 9),
            ("resized rows", resized),
            ("pieces", piece + CODED_CHUNKS // 8 * chunk),
            ("decoded chunks", cache_bytes),
            ("tiles", 2 * tile_px * 4 * (INPUTS + OUTPUTS)),
            ("activations", network.bytes(tile * grid.x.tile_px, batch_size)),
            ("allocator", ALLOCATOR_BYTES),
        ),
    )


def rescale_bytes(width: int, frame_width: int, channels: int, pixel_bytes: int) -> int:
    """Rows of the plane before they are resized, and rows of flow before and after."""
    before = SLAB_ROWS * width * (pixel_bytes + 2 * 4 + channels * 4)
    flow = SLAB_ROWS * width * (OUTPUTS * 4 + 6 * 4 + 1)
    waiting = 4 * ROWS_AT_ONCE * frame_width * OUTPUTS * 4
    return before + flow + waiting


def blocks_stage(shape: tuple[int, int], core_px: int, cells_bytes: int) -> Stage:
    """One block's region, and the table of all cells."""
    side = core_px + 2 * TYPICAL_HALO_PX
    region = min(side, shape[0]) * min(side, shape[1])
    return Stage(
        "blocks",
        (
            (REGION_PART, region * REGION_BYTES_PER_PX),
            ("cells", cells_bytes),
            ("coded chunks", CODED_CHUNKS * 2**20),
            ("allocator", ALLOCATOR_BYTES),
        ),
    )


def gibibytes_above(size: int) -> str:
    """A size for `--memory` that is not below `size` bytes.

    >>> gibibytes_above(3 * 2**29 + 1)
    '1.51GiB'
    """
    return f"{-(-size * 100 // GIB) / 100:.2f}GiB"
