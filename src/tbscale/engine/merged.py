"""The labels that blocks own, read as one plane by several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Region, bounds_of, overlap, shape_of, within
from tbscale.engine.owned import Beyond, OwnedStore
from tbscale.images.compiled import compiled

KEPT_CORES = 4  # of which the threads that read neighbouring pieces need the same
KEPT_BEYOND = 48  # a few thousand pixels each

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The values of the last few numbers, each made once however many threads ask for it.

    Parameters
    ----------
    make : a value; may be asked for different ones at the same time
    most : values kept
    """

    def __init__(self, make: Callable[[int], Value], most: int) -> None:
        self._make = make
        self._most = most
        self._lock = threading.Lock()
        self._kept: dict[int, Future[Value]] = {}  # the last one used is the last

    def get(self, number: int) -> Value:
        """The value of a number; an error in making it is raised in all that wait for it."""
        with self._lock:
            found = self._kept.pop(number, None)
            value = found or Future[Value]()
            self._kept[number] = value
            if len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
        if found is None:
            try:
                value.set_result(self._make(number))
            except BaseException as error:
                with self._lock:
                    if self._kept.get(number) is value:
                        del self._kept[number]
                value.set_exception(error)
        return value.result()

    def forget(self) -> None:
        """Keep none."""
        with self._lock:
            self._kept.clear()


class MergedLabels:
    """The labels of all blocks, by region, as global provisional ids.

    Parameters
    ----------
    store : of the blocks
    regions, inner : slices of the plane that each block stored, and their part in its core
    offsets : provisional id of the last cell before each block
    """

    def __init__(
        self, store: OwnedStore, regions: list[Region], inner: list[Region], offsets: list[int]
    ) -> None:
        self._inner = inner
        self._offsets = offsets
        self._bounds = np.array([bounds_of(one) for one in regions], np.int64).reshape(-1, 4)
        self._cores = Recent(lambda index: store.labels(index, inner[index]), KEPT_CORES)
        self._beyond: Recent[Beyond] = Recent(store.beyond, KEPT_BEYOND)

    def _meeting(self, region: Region) -> list[int]:
        """Indices of the blocks whose stored region meets `region`."""
        y0, y1, x0, x1 = self._bounds.T
        rows, columns = region
        meet = (y0 < rows.stop) & (rows.start < y1) & (x0 < columns.stop) & (columns.start < x1)
        return [int(index) for index in np.flatnonzero(meet)]

    def read(
        self, region: Region, new_id: NDArray[np.uint32], out: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """Labels uint32 (H, W) of a region.

        Parameters
        ----------
        new_id : uint32 (cells + 1,), what each provisional id becomes; 0 removes it
        out : memory of any content for them; None takes new
        """
        if out is None:
            out = np.empty(shape_of(region), np.uint32)
        out[...] = 0
        for index in self._meeting(region):
            shared, ids = overlap(region, self._inner[index]), new_id[self._offsets[index] :]
            if min(shape_of(shared)) > 0:
                part = self._cores.get(index)[within(shared, self._inner[index])]
                add_core(part, ids, out[within(shared, region)])
            beyond = self._beyond.get(index)
            y0, x0 = region[0].start, region[1].start
            add_beyond(beyond.y, beyond.x, beyond.labels, ids, y0, x0, out)
        return out

    def forget(self) -> None:
        """See `ProvisionalLabels`."""
        self._cores.forget()
        self._beyond.forget()


@compiled
def add_core(labels, ids, out):  # type: ignore[no-untyped-def]
    """Set what a block has in its core: label k becomes `ids[k]`, and 0 leaves what is there."""
    for y in range(labels.shape[0]):
        for x in range(np.uint64(labels.shape[1])):
            if labels[y, x] != 0:
                out[y, x] = ids[labels[y, x]]


@compiled
def add_beyond(at_y, at_x, labels, ids, y0, x0, out):  # type: ignore[no-untyped-def]
    """Set what a block has beyond its core and inside a region at (`y0`, `x0`)."""
    height, width = out.shape
    for k in range(at_y.size):
        y, x = at_y[k] - y0, at_x[k] - x0
        if 0 <= y < height and 0 <= x < width:
            out[y, x] = ids[labels[k]]
