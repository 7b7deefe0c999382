"""The tasks of a run after the network: each reads its inputs, computes, stores its output.

A task depends on nothing but its block and what the earlier tasks stored, so the order does not
matter and a task that was cut short is simply run again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tbscale.engine.blocks import Block, Region, shape_of, widen
from tbscale.engine.kernels.choice import Kernels
from tbscale.engine.kernels.fill import hole_mask
from tbscale.engine.kernels.flow_qc import pixels_by_label
from tbscale.engine.kernels.seeds import RIVAL_PX
from tbscale.engine.owned import LabelSource, Owned
from tbscale.engine.scratch import Flows, SinkStore
from tbscale.engine.seed_order import RankedSeeds
from tbscale.errors import BudgetError
from tbscale.steps import StepClock

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
        labels, count = kernels.label_owned(window, core, *seeds.near(core, RIVAL_PX))
        del window
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


@njit(nogil=True, cache=True)
def _measure(start, at, width, first, box):  # type: ignore[no-untyped-def]
    """Fill `first` (raster index in the region) and `box` (within the region) of each cell."""
    for k in range(start.size - 1):
        if start[k] == start[k + 1]:
            continue
        first[k] = at[start[k]]
        left, right = width, 0
        for p in at[start[k] : start[k + 1]]:
            left, right = min(left, p % width), max(right, p % width)
        box[k, 0], box[k, 1] = at[start[k]] // width, at[start[k + 1] - 1] // width + 1
        box[k, 2], box[k, 3] = left, right + 1


@dataclass(frozen=True)
class Holes:
    """Pixels inside cells that are not theirs.

    Attributes
    ----------
    cell : uint32 (n,), label of the cell around the pixel
    at : int64 (n,), raster index in the plane
    victim : uint32 (n,), label found there, 0 for background
    """

    cell: NDArray[np.uint32]
    at: NDArray[np.int64]
    victim: NDArray[np.uint32]


def join_holes(parts: list[Holes]) -> Holes:
    """Concatenate the findings of many blocks."""
    return Holes(
        np.concatenate([p.cell for p in parts]),
        np.concatenate([p.at for p in parts]),
        np.concatenate([p.victim for p in parts]),
    )


def find_holes_of(
    cells: NDArray[np.uint32],
    box: NDArray[np.int64],
    labels: LabelSource,
    new_id: NDArray[np.uint32],
    plane_width: int,
    kernels: Kernels,
) -> Holes:
    """Find the holes of the cells of one block.

    Parameters
    ----------
    cells : uint32 (n,), their labels, all above 0
    box : int64 (n, 4), in the plane
    labels, new_id : the labels of the plane
    """
    if not len(cells):
        nothing = np.zeros(0, np.int64)
        return Holes(nothing.astype(np.uint32), nothing, nothing.astype(np.uint32))
    y0, x0 = int(box[:, 0].min()), int(box[:, 2].min())
    region = (slice(y0, int(box[:, 1].max())), slice(x0, int(box[:, 3].max())))
    window = labels.read(region, new_id)
    local = box - np.array([y0, y0, x0, x0])
    index, at, victim = kernels.find_holes(window, cells, local)
    width = window.shape[1]
    return Holes(
        cells[index], (at // width + y0) * plane_width + at % width + x0, victim.astype(np.uint32)
    )


def overlay(
    window: NDArray[np.uint32], origin: tuple[int, int], changed: dict[int, int], plane_width: int
) -> None:
    """Set the changed pixels, by raster index in the plane, that lie in a window; in place."""
    for at, label in changed.items():
        y, x = at // plane_width - origin[0], at % plane_width - origin[1]
        if 0 <= y < window.shape[0] and 0 <= x < window.shape[1]:
            window[y, x] = label


def settle_holes(
    holes: Holes,
    box: NDArray[np.int64],
    labels: LabelSource,
    new_id: NDArray[np.uint32],
    plane_width: int,
) -> Holes:
    """Decide which cell gets each hole pixel.

    Holes of background go to the cell around them. Where a hole holds another cell, the outcome
    depends on the order in which the reference visits the two, so those few are replayed in it.

    Parameters
    ----------
    box : int64 (labels, 4), bounding box of label k at k - 1

    Returns
    -------
    Holes, one entry for each pixel that changes; `victim` is what was there before
    """
    attackers = np.unique(holes.cell[holes.victim > 0])
    if not len(attackers):
        return holes
    involved = np.union1d(attackers, holes.victim[holes.victim > 0])
    calm = ~np.isin(holes.cell, involved)
    taken: dict[int, tuple[int, int]] = {}
    for label in involved:
        y0, y1, x0, x1 = (int(v) for v in box[label - 1])
        window = labels.read((slice(y0, y1), slice(x0, x1)), new_id)
        overlay(window, (y0, x0), {at: owner for at, (owner, _) in taken.items()}, plane_width)
        for y, x in np.argwhere(hole_mask(window, label)):
            at = int((y + y0) * plane_width + x + x0)
            before = taken[at][1] if at in taken else int(window[y, x])
            taken[at] = (int(label), before)
    replayed = Holes(
        np.array([owner for owner, _ in taken.values()], np.uint32),
        np.array(list(taken), np.int64),
        np.array([before for _, before in taken.values()], np.uint32),
    )
    return join_holes([Holes(holes.cell[calm], holes.at[calm], holes.victim[calm]), replayed])
