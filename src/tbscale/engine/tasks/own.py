"""Collect the cells whose seed lies in a core, whole, and check their flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from tbscale.engine.blocks import Region, shape_of
from tbscale.engine.kernels.choice import Kernels, choose_kernels
from tbscale.engine.kernels.flow_qc import pixels_by_label
from tbscale.engine.kernels.seeds import REACH_PX, RIVAL_PX
from tbscale.engine.owned import Owned, OwnedStore
from tbscale.engine.scratch import Flows, SinkStore
from tbscale.engine.seed_order import RankedSeeds
from tbscale.engine.tasks.place import Place
from tbscale.engine.tasks.task import Piece
from tbscale.images.compiled import compiled_with
from tbscale.steps import StepClock


@dataclass(frozen=True)
class OwnTask:
    """The cells of one core.

    Attributes
    ----------
    place : the block, with a halo for its seeds
    seeds : all seeds of the plane, in the order in which they win
    check_flows : whether the flow error of each cell is wanted
    plain : see `FollowTask`
    """

    place: Place
    flows: Flows
    sinks: SinkStore
    seeds: RankedSeeds
    owned: OwnedStore
    check_flows: bool
    plain: tuple[str, ...]

    @property
    def reads(self) -> tuple[Piece, ...]:
        """Sinks of all blocks that the region meets, every block's seeds, and the flow."""
        seeds = tuple(Piece("seeds", block.index) for block in self.place.blocks)
        flow = (Piece("flow", self.place.region[0].stop),) if self.check_flows else ()
        return (*self.place.sinks, *seeds, *flow)

    @property
    def leaves(self) -> Piece:
        """Cells of the core."""
        return Piece("cells", self.place.block.index)

    def is_done(self) -> bool:
        """Whether the cells are stored."""
        return self.owned.has(self.place.block.index)

    def run(self, clock: StepClock) -> None:
        """Label, measure, check and store."""
        cells = own_block(
            self.place.region,
            self.place.block.core,
            self.place.plane_shape,
            self.sinks,
            self.seeds,
            self.flows,
            self.check_flows,
            choose_kernels(self.plain),
            clock,
        )
        with clock.step("write"):
            self.owned.write(self.place.block.index, cells, self.place.block.core)


def own_block(
    region: Region,
    core: Region,
    plane_shape: tuple[int, int],
    sinks: SinkStore,
    seeds: RankedSeeds,
    flows: Flows,
    check_flows: bool,
    kernels: Kernels,
    clock: StepClock,
) -> Owned:
    """Collect the cells whose seed lies in a core, whole, and check their flow.

    Parameters
    ----------
    region : slices of the plane that hold every pixel of these cells
    sinks : of the plane, read by region
    seeds : all seeds of the plane
    """
    with clock.step("read"):
        window = sinks.read(region)
    with clock.step("seeds"):
        counts = kernels.count_sinks(window, core, REACH_PX)
        labels, count = kernels.label_owned(window, counts, core, *seeds.near(core, RIVAL_PX))
        del window, counts
        region, labels = crop(region, labels)
        start, at = pixels_by_label(labels, count)
        first, area, box = measure(start, at, region, plane_shape[1])
        empty = not len(at)
        del start, at  # lists as large as the region
    error = np.zeros(count)
    if check_flows and not empty:
        with clock.step("read"):
            flow, _ = flows.read(region)
        with clock.step("flow_qc"):
            error = kernels.flow_errors(labels, count, flow)
    return Owned(region, labels, first, area, error, box)


def crop(region: Region, labels: NDArray[np.uint32]) -> tuple[Region, NDArray[np.uint32]]:
    """Cut a labelled region down to the bounding box of its labels."""
    rows, columns = np.flatnonzero(labels.any(axis=1)), np.flatnonzero(labels.any(axis=0))
    if not len(rows):
        here = (slice(region[0].start, region[0].start), slice(region[1].start, region[1].start))
        return here, labels[:0, :0]
    y, x = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    top, left = region[0].start, region[1].start
    inside = (
        slice(int(top + y.start), int(top + y.stop)),
        slice(int(left + x.start), int(left + x.stop)),
    )
    return inside, np.ascontiguousarray(labels[y, x])


def measure(
    start: NDArray[np.int64], at: NDArray[np.int64], region: Region, plane_width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """First pixel (raster index in the plane), area and bounding box of each cell.

    Parameters
    ----------
    start, at : pixels of each cell in raster order, as `pixels_by_label` gives them
    """
    n = len(start) - 1
    first, box = np.zeros(n, np.int64), np.zeros((n, 4), np.int64)
    width = shape_of(region)[1]
    _measure(start, at, width, first, box)
    full = np.flatnonzero(np.diff(start))
    top, left = region[0].start, region[1].start
    box[full] += np.array([top, top, left, left])
    first[full] = (first[full] // width + top) * plane_width + first[full] % width + left
    return first, np.diff(start), box


@compiled_with(parallel=True)
def _measure(start, at, width, first, box):  # type: ignore[no-untyped-def]
    """Fill `first` (raster index in the region) and `box` (within the region) of each cell."""
    for k in prange(start.size - 1):
        if start[k] == start[k + 1]:
            continue
        first[k] = at[start[k]]
        left, right = width, 0
        for p in at[start[k] : start[k + 1]]:
            left, right = min(left, p % width), max(right, p % width)
        box[k, 0], box[k, 1] = at[start[k]] // width, at[start[k + 1] - 1] // width + 1
        box[k, 2], box[k, 3] = left, right + 1
