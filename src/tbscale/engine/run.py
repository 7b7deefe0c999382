"""A segmentation from top to bottom, out of core."""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path

from tbscale.engine.allocator import keep_freed
from tbscale.engine.blocks import own_halo_px, plan_blocks, shape_of
from tbscale.engine.cells import Rules
from tbscale.engine.frame import pad_rows, read_normalised, read_scaled
from tbscale.engine.grid import plan_tiles
from tbscale.engine.kernels.choice import choose_kernels
from tbscale.engine.kernels.seeds import REACH_PX
from tbscale.engine.network import Network
from tbscale.engine.network_memory import layer_bytes
from tbscale.engine.normalise import Limits, intensity_limits
from tbscale.engine.owned import OwnedStore
from tbscale.engine.progress import progress
from tbscale.engine.projection import (
    BYTES_PER_CELL,
    LARGEST_CELLS_PER_MEGAPIXEL,
    gibibytes_above,
)
from tbscale.engine.rescale import Scaling, out_of_frame, resize_stream
from tbscale.engine.result import PlaneLabels, finish_blocks
from tbscale.engine.schedule import ArrivingFlows, Scheduler, beside, in_order
from tbscale.engine.scratch import Flows, FlowStore, SeedStore, SinkStore
from tbscale.engine.seed_order import rank_seeds
from tbscale.engine.strips import Rows, stream_flows
from tbscale.engine.tasks.follow import FollowTask
from tbscale.engine.tasks.own import OwnTask
from tbscale.engine.tasks.place import Place
from tbscale.engine.tasks.region import REGION_BYTES_PER_PX
from tbscale.engine.tasks.seeds import SeedTask
from tbscale.errors import BudgetError
from tbscale.images.cached_plane import cache_chunks, row_of_chunks_bytes
from tbscale.images.plane import Plane
from tbscale.steps import StepClock

logger = logging.getLogger(__name__)

UNBOUNDED_PX = 1 << 62


@dataclass(frozen=True)
class Settings:
    """What decides the labels, with the reference's defaults; and how the work is cut.

    Attributes
    ----------
    tile_px, overlap, batch_size : Cellpose `bsize`, `tile_overlap`, `batch_size`
    cellprob_threshold : logit above which a pixel is foreground
    niter : iterations of the dynamics; None or 0 takes 200 at the scale of the model
    rules : which cells stay
    core_px : pixels of a block's core; the labels do not depend on it
    scaling : how large the network sees the plane
    plain : steps that take their plain path, see `kernels.choice`; nor on this
    keeps_freed : whether memory is kept while the network works, as planned; nor on this
    """

    tile_px: int = 224
    overlap: float = 0.1
    batch_size: int = 8
    cellprob_threshold: float = 0.0
    niter: int | None = None
    rules: Rules = field(default_factory=Rules)
    core_px: int = 2048
    scaling: Scaling = Scaling()  # noqa: RUF009, frozen and without state
    plain: tuple[str, ...] = ()
    keeps_freed: bool = False

    @property
    def kept_bytes(self) -> int:
        """Largest array that is kept when freed, see `keep_freed`; 0 keeps nothing."""
        return layer_bytes(self.batch_size, self.tile_px) if self.keeps_freed else 0

    @property
    def iterations(self) -> int:
        """Iterations of the dynamics, as the reference decides them."""
        return self.niter or self.scaling.iterations


def network_step(
    planes: list[Plane],
    network: Network,
    settings: Settings,
    flows: FlowStore | ArrivingFlows,
    clock: StepClock,
) -> None:
    """Limits, then the network strip by strip into the flow store, from where it stopped."""
    shape = planes[0].shape
    if flows.rows_done == shape[0]:
        return
    planes = [cache_chunks(plane, row_of_chunks_bytes(plane)) for plane in planes]
    with clock.step("normalise"):
        limits = [intensity_limits(plane) for plane in planes]
    with keep_freed(settings.kept_bytes):
        stream = flow_rows(planes, limits, network, settings, flows.rows_done, clock)
        try:
            for rows in progress(stream, "network", "row", shape[0], flows.rows_done, row_count):
                with clock.step("write"):
                    flows.append(rows, settings.cellprob_threshold)
        finally:
            stream.close()  # its arrays go before the memory does
            del stream


def row_count(rows: Rows) -> int:
    """Rows of a piece of the network's output."""
    return rows.values.shape[1]


def flow_rows(
    planes: list[Plane],
    limits: list[Limits],
    network: Network,
    settings: Settings,
    first_row: int,
    clock: StepClock,
) -> Generator[Rows]:
    """The network's output in rows of the plane, from `first_row` on."""
    shape, scaling = planes[0].shape, settings.scaling
    frame = scaling.frame(shape)
    grid = plan_tiles(frame, settings.tile_px, settings.overlap)
    read = read_scaled(read_normalised(planes, limits, clock), shape, scaling, clock)
    rows_of = pad_rows(read, grid, len(planes))
    if not scaling.is_needed:
        return stream_flows(grid, network, rows_of, settings.batch_size, clock, first_row)
    resize = out_of_frame(frame, shape)
    from_row = resize.source_rows(first_row, first_row + 1)[0]
    stream = stream_flows(grid, network, rows_of, settings.batch_size, clock, from_row)
    return resize_stream(stream, resize, first_row, clock)


def check_cells(
    count: int, places: list[Place], shape: tuple[int, int], region_limit_px: int
) -> None:
    """Refuse more seeds than the plan had room for, now that they are counted.

    Raises
    ------
    BudgetError : says how many, and what to set
    """
    planned = shape[0] * shape[1] * LARGEST_CELLS_PER_MEGAPIXEL // 1_000_000
    largest_px = max(prod(shape_of(one.region)) for one in places)
    excess = (count - planned) * BYTES_PER_CELL
    room = (region_limit_px - largest_px) * REGION_BYTES_PER_PX
    if excess > room:
        raise BudgetError(
            f"the plane has {count} seeds, more than the {planned} that the plan had room for, and "
            f"needs {gibibytes_above(excess - max(room, 0))} more; raise --memory by that"
        )


def follow_tasks(
    folder: Path,
    shape: tuple[int, int],
    settings: Settings,
    flows: Flows,
    region_limit_px: int = UNBOUNDED_PX,
) -> list[FollowTask]:
    """The tasks that find the sinks of the plane, block by block."""
    sinks = SinkStore(folder, shape, settings.core_px)
    return [
        FollowTask(block, shape, flows, sinks, settings.iterations, settings.plain, region_limit_px)
        for block in plan_blocks(shape, settings.core_px)
    ]


def network_beside_follow(
    planes: list[Plane],
    network: Network,
    settings: Settings,
    folder: Path,
    flows: FlowStore,
    clock: StepClock,
    region_limit_px: int = UNBOUNDED_PX,
) -> None:
    """`network_step`, and at the same time the sinks of the blocks whose rows are there."""
    arriving = ArrivingFlows(flows)
    tasks = follow_tasks(folder, planes[0].shape, settings, arriving, region_limit_px)
    work = partial(network_step, planes, network, settings, arriving, clock)
    beside(work, arriving, tasks, clock)


def label_plane(
    folder: Path,
    shape: tuple[int, int],
    settings: Settings,
    flows: Flows,
    clock: StepClock,
    region_limit_px: int = UNBOUNDED_PX,
    schedule: Scheduler = in_order,
) -> PlaneLabels:
    """From stored flows to the labels of the plane.

    Parameters
    ----------
    folder : scratch of this run
    region_limit_px : largest region a block may read
    schedule : runs tasks that do not need each other; the labels do not depend on it
    """
    blocks, plain, limit = plan_blocks(shape, settings.core_px), settings.plain, region_limit_px
    schedule(follow_tasks(folder, shape, settings, flows, limit), "follow", clock)
    sinks = SinkStore(folder, shape, settings.core_px)
    reach_px = [sinks.reach_px(b.index) or 0 for b in blocks]
    places = [Place(b, own_halo_px(b, blocks, reach_px, REACH_PX), blocks, shape) for b in blocks]
    seeds, owned = SeedStore(folder), OwnedStore(folder)
    schedule([SeedTask(one, sinks, seeds, plain, limit) for one in places], "seeds", clock)
    check_cells(seeds.count(len(blocks)), places, shape, limit)
    with clock.step("seeds"):
        ranked = rank_seeds(seeds.read_all(len(blocks)))
    check = settings.rules.flow_threshold > 0
    schedule(
        [OwnTask(one, flows, sinks, ranked, owned, check, plain) for one in places],
        "labels",
        clock,
    )
    del ranked  # as large as the table of cells
    with clock.step("fill"):
        return finish_blocks(owned, len(blocks), shape, settings.rules, choose_kernels(plain))
