"""The store in which labels are collected: a Zarr group, hidden beside the output.

It is already an OME-Zarr image in all but name, so finishing one is a rename. One lock serves
all writes, because two blocks may meet in one chunk and a chunk is read, changed and written.
"""

from __future__ import annotations

import shutil
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from tbscale.errors import ImageError
from tbscale.images.labels_out.chunks import (
    LITTER,
    Corner,
    LabelChunks,
    Labels,
    Region,
    doubled,
    halved,
    is_within,
)
from tbscale.images.labels_out.disk import told_if_full
from tbscale.images.plane import region_bounds
from tbscale.images.workers import each


class LabelSpool:
    """Labels of a plane on disk, uint32, in square chunks; absent chunks are 0.

    Parameters
    ----------
    directory : where the group is; made if absent
    shape : (Y, X), pixels
    chunk_px : side of a chunk, pixels
    resume : keep what an earlier spool of the same shape and chunks has in `directory`

    Raises
    ------
    ImageError : `resume`, and what is there has another shape or other chunks
    """

    def __init__(
        self, directory: Path, shape: tuple[int, int], chunk_px: int, resume: bool = False
    ) -> None:
        self.directory = directory
        self.shape = shape
        self.chunk_px = chunk_px
        self._resume = resume
        self._lock = threading.Lock()
        if not resume and directory.exists():
            shutil.rmtree(directory)
        self._halves: set[Corner] = set()  # chunks of the second level that are made
        with told_if_full(directory):
            self.group = zarr.open_group(LocalStore(directory), mode="a", zarr_format=3)
            self._levels = [self._level("0", shape)]
            while max(self._levels[-1].shape) > chunk_px:
                height, width = self._levels[-1].shape
                smaller = -(-height // 2), -(-width // 2)
                self._levels.append(self._level(str(len(self._levels)), smaller))
        self.labels = self._levels[0]

    def _level(self, name: str, shape: tuple[int, int]) -> LabelChunks:
        """A level, as it is, or made."""
        return LabelChunks(self.group, self.directory, name, shape, self.chunk_px)

    def write(self, y: slice, x: slice, labels: NDArray[Any]) -> None:
        """Replace the labels of a region."""
        self._put(y, x, labels, keep=False)

    def merge(self, y: slice, x: slice, labels: NDArray[Any]) -> None:
        """Set the labels of a region where they are not 0, and leave the other pixels."""
        self._put(y, x, labels, keep=True)

    def _put(self, y: slice, x: slice, labels: NDArray[Any], keep: bool) -> None:
        y0, y1, x0, x1 = region_bounds(self.shape, y, x)
        new = as_labels(labels, (y1 - y0, x1 - x0))
        if new.size == 0:
            return
        rows, columns = slice(y0, y1), slice(x0, x1)
        touched, decided = self._halves_of(rows, columns)
        pieces = [(self.labels, piece) for piece in self.labels.pieces(rows, columns)]
        if not keep:  # the longest first
            halves = [(self._levels[1], self._levels[1].chunk_at(corner)) for corner in decided]
            pieces = halves + pieces

        def put(piece: tuple[LabelChunks, Region]) -> None:
            level, (rows, columns) = piece
            step = 1 if level is self.labels else 2
            part = new[
                rows.start * step - y0 : rows.stop * step - y0 : step,
                columns.start * step - x0 : columns.stop * step - x0 : step,
            ]
            if not keep or part.any():
                level.put(rows, columns, part, keep)

        with self._lock, told_if_full(self.directory):
            self._halves -= touched
            each(put, pieces, "write")
            if not keep and not self._resume:  # another writer may change what a resumed one did
                self._halves |= decided

    def _halves_of(self, rows: slice, columns: slice) -> tuple[set[Corner], set[Corner]]:
        """Chunks of the second level that a region touches, and those that it decides alone.

        Those can be made while its labels are at hand; the others are made at the end, from what
        the first level then has.
        """
        if len(self._levels) < 2:
            return set(), set()
        second = self._levels[1]
        touched = {
            second.corner_of(piece) for piece in second.pieces(halved(rows), halved(columns))
        }
        height, width = self.shape
        decided = set()
        for corner in touched:
            below = second.chunk_at(corner)
            above = doubled(below[0], height), doubled(below[1], width)
            if is_within(above, (rows, columns)):
                decided.add(corner)
        return touched, decided

    def read(self, y: slice, x: slice) -> Labels:
        """The labels written to a region so far, 0 where none were."""
        y0, y1, x0, x1 = region_bounds(self.shape, y, x)
        with self._lock:
            return self.labels.read(slice(y0, y1), slice(x0, x1))

    def build_pyramid(self) -> list[LabelChunks]:
        """Halve until one chunk holds the plane; every id survives or vanishes, none is mixed.

        Each level takes every second pixel of the one before, in both directions, so pixel i of
        level n is pixel 2**n * i of level 0. Memory: two chunks and their compressed bytes for
        each worker.
        """
        with told_if_full(self.directory):
            for k, (above, below) in enumerate(pairwise(self._levels)):
                _halve(above, below, self._halves if k == 0 else set())
        for litter in self.directory.rglob(f"*{LITTER}"):
            litter.unlink()
        return self._levels


def _halve(above: LabelChunks, below: LabelChunks, done: set[Corner]) -> None:
    """Fill `below` with every second pixel of `above`, one chunk of `below` at a time.

    Parameters
    ----------
    done : the chunks of `below` that are made
    """

    def halve(piece: Region) -> None:
        below.put(*piece, above.read_halved(*piece))

    each(halve, [below.chunk_at(corner) for corner in below.corners() if corner not in done])


def as_labels(labels: NDArray[Any], shape: tuple[int, int]) -> Labels:
    """The same labels as uint32.

    Raises
    ------
    ImageError : another shape than the region's, not integers, or ids that uint32 cannot hold
    """
    if labels.shape != shape or labels.dtype.kind not in "biu":
        raise ImageError(
            f"labels of shape {labels.shape} and type {labels.dtype} do not fit a region of "
            f"{shape[0]} x {shape[1]}; pass integers of that shape"
        )
    if labels.size and labels.dtype != np.uint32:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high > 0xFFFFFFFF:
            raise ImageError(
                f"labels from {low} to {high} do not fit uint32; pass ids from 0 to 4294967295"
            )
    return labels.astype(np.uint32, copy=False)
