"""The labels of the whole plane, ready to be read by region and written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Region, region_of, shape_of
from tbscale.engine.cells import Rules, first_decision, last_decision
from tbscale.engine.kernels.choice import FAST, Kernels
from tbscale.engine.merged import MergedLabels
from tbscale.engine.owned import OwnedStore, ProvisionalLabels
from tbscale.engine.tasks.holes import Holes, find_holes_of, join_holes, settle_holes
from tbscale.images.labels_out.chunks import LABEL_CHUNK_PX
from tbscale.images.thread_room import ThreadRoom

LARGEST_READ_BYTES = LABEL_CHUNK_PX**2 * 4


@dataclass(frozen=True)
class CellTable:
    """All cells that blocks own, block after block.

    Attributes
    ----------
    offsets : provisional id of the last cell before each block
    regions, inner : slices of the plane that each block stored, and their part in its core
    first, area, error, box : as in `Owned`, concatenated
    """

    offsets: list[int]
    regions: list[Region]
    inner: list[Region]
    first: NDArray[np.int64]
    area: NDArray[np.int64]
    error: NDArray[np.float64]
    box: NDArray[np.int64]


def gather_cells(store: OwnedStore, block_count: int) -> CellTable:
    """Read the cell tables of all blocks; numbers follow by prefix sum."""
    tables = [store.table(k) for k in range(block_count)]
    counts = [len(t["first"]) for t in tables]
    offsets = [0, *np.cumsum(counts)[:-1].tolist()]
    regions, inner = ([region_of(t[name]) for t in tables] for name in ("region", "inner"))
    first, area, error, box = (
        np.concatenate([t[name] for t in tables]) for name in ("first", "area", "error", "box")
    )
    return CellTable(offsets, regions, inner, first, area, error, box)


@dataclass(frozen=True)
class PlaneLabels:
    """The final labels of a plane.

    Attributes
    ----------
    merged : the labels that blocks own
    new_id : uint32 (provisional cells + 1,), the label that each provisional id became
    at, label : int64 and uint32 (n,), pixels that changed when holes were filled, sorted
    plane_shape : (Y, X)
    count : cells
    largest_id : above `count` where a cell was overwritten and the numbers keep its gap, as the
        reference's do without a size filter
    """

    merged: ProvisionalLabels
    new_id: NDArray[np.uint32]
    at: NDArray[np.int64]
    label: NDArray[np.uint32]
    plane_shape: tuple[int, int]
    count: int
    largest_id: int

    def read(self, region: Region, out: NDArray[np.uint32] | None = None) -> NDArray[np.uint32]:
        """Labels uint32 (H, W) of a region, in `out` if given."""
        out = self.merged.read(region, self.new_id, out)
        y0, x0 = region[0].start, region[1].start
        width = self.plane_shape[1]
        begin, end = np.searchsorted(self.at, [y0 * width, region[0].stop * width])
        y, x = self.at[begin:end] // width - y0, self.at[begin:end] % width - x0
        inside = (x >= 0) & (x < shape_of(region)[1])
        out[y[inside], x[inside]] = self.label[begin:end][inside]
        return out

    def forget(self) -> None:
        """Let go of the memory that is kept from one read to the next."""
        self.merged.forget()


class ByRegion:
    """Labels of a plane, as a writer asks for them.

    What is read is overwritten by the next read of the same thread.
    """

    def __init__(self, labels: PlaneLabels) -> None:
        self._labels = labels
        self._room = ThreadRoom(LARGEST_READ_BYTES)

    def read(self, y: slice, x: slice) -> NDArray[np.uint32]:
        """Labels uint32 (H, W) of a region, 0 beyond the plane."""
        out = self._room.array((y.stop - y.start, x.stop - x.start), np.uint32)
        return self._labels.read((y, x), out)


def with_zero(ids: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Put the background in front: what id 0, 1, 2, ... becomes."""
    return np.concatenate(([np.uint32(0)], ids)).astype(np.uint32)


def collect_holes(
    cells: CellTable,
    ids: NDArray[np.uint32],
    merged: ProvisionalLabels,
    width: int,
    kernels: Kernels,
) -> Holes:
    """Find and settle the holes of all cells, block by block."""
    new_id = with_zero(ids)
    found = []
    for begin, end in zip(cells.offsets, [*cells.offsets[1:], len(ids)], strict=True):
        mine = begin + np.flatnonzero(ids[begin:end])
        found.append(find_holes_of(ids[mine], cells.box[mine], merged, new_id, width, kernels))
    kept = np.flatnonzero(ids)
    box = np.zeros((len(kept), 4), np.int64)
    box[ids[kept] - 1] = cells.box[kept]
    return settle_holes(join_holes(found), box, merged, new_id, width)


def apply_holes(
    ids: NDArray[np.uint32], cells: CellTable, holes: Holes, merged: ProvisionalLabels, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Area and first pixel of each cell after filling; both int64 (n,)."""
    index = np.zeros(int(ids.max(initial=0)) + 1, np.int64)
    index[ids[ids > 0]] = np.flatnonzero(ids)
    area, first = cells.area.copy(), cells.first.copy()
    np.add.at(area, index[holes.cell], 1)
    lost = holes.victim > 0
    np.subtract.at(area, index[holes.victim[lost]], 1)
    for label in np.unique(holes.victim[lost]):
        k = index[label]
        y0, y1, x0, x1 = (int(v) for v in cells.box[k])
        window = merged.read((slice(y0, y1), slice(x0, x1)), with_zero(ids))
        y, x = holes.at // width - y0, holes.at % width - x0
        inside = (y >= 0) & (y < y1 - y0) & (x >= 0) & (x < x1 - x0)
        window[y[inside], x[inside]] = holes.cell[inside]
        left = np.argwhere(window == label)
        if len(left):
            first[k] = (left[0, 0] + y0) * width + left[0, 1] + x0
    return area, first


def finish_blocks(
    store: OwnedStore,
    block_count: int,
    plane_shape: tuple[int, int],
    rules: Rules,
    kernels: Kernels = FAST,
) -> PlaneLabels:
    """`finish_labels` on what the blocks stored."""
    cells = gather_cells(store, block_count)
    merged = MergedLabels(store, cells.regions, cells.inner, cells.offsets)
    return finish_labels(cells, merged, plane_shape, rules, kernels)


def finish_labels(
    cells: CellTable,
    merged: ProvisionalLabels,
    plane_shape: tuple[int, int],
    rules: Rules,
    kernels: Kernels = FAST,
) -> PlaneLabels:
    """Remove, fill, remove and number the cells of the whole plane as the reference does."""
    pixels, width = plane_shape[0] * plane_shape[1], plane_shape[1]
    ids = first_decision(cells.first, cells.area, cells.error, pixels, rules)
    holes = collect_holes(cells, ids, merged, width, kernels)
    area, first = apply_holes(ids, cells, holes, merged, width)
    final = last_decision(ids, first, area * (ids > 0), pixels, rules)
    index = np.zeros(int(ids.max(initial=0)) + 1, np.uint32)
    index[ids] = final
    index[0] = 0
    order = np.argsort(holes.at, kind="stable")
    return PlaneLabels(
        merged,
        with_zero(final),
        holes.at[order],
        index[holes.cell[order]],
        plane_shape,
        int(np.count_nonzero(final)),
        int(final.max(initial=0)),
    )
