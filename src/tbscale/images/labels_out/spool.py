"""The store in which labels are collected: a Zarr group, hidden beside the output.

It is already an OME-Zarr image in all but name, so finishing one is a rename; labels on their way
to a TIFF are the tiles of one. Two blocks may meet in one chunk, which is then read, changed and
written; writes of one chunk wait for each other.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tbscale.errors import ImageError
from tbscale.images.labels_out.chunks import Corner, LabelChunks, Region
from tbscale.images.labels_out.codes import ZARR_CODE, ChunkCode, Labels
from tbscale.images.labels_out.disk import LITTER, told_if_full
from tbscale.images.labels_out.halves import Halves, Place, by_quarters
from tbscale.images.labels_out.zarr_json import ZARR_JSON, group_document, write_document
from tbscale.images.plane import region_bounds
from tbscale.images.workers import each

LOCKS = 64  # chunks share them


class LabelSource(Protocol):
    """Labels that are read by region, by several threads."""

    def read(self, y: slice, x: slice) -> NDArray[Any]:
        """Labels (H, W) of a region, 0 = background.

        A chunk at the border is asked for as it is stored, which is beyond the plane too. Labels of
        the whole of it, 0 beyond, are stored without a copy; those inside alone, as a slice of an
        array gives them, will do.
        """
        ...


class LabelSpool:
    """Labels of a plane on disk, uint32, in square chunks; absent chunks are 0.

    Parameters
    ----------
    directory : where the group is; made if absent
    shape : (Y, X), pixels
    chunk_px : side of a chunk, pixels
    code : of the chunks
    resume : keep what an earlier spool of the same shape and chunks, resumable too, has in
        `directory`

    Raises
    ------
    ImageError : `resume`, and what is there has another shape, or chunks of another size or code
    """

    def __init__(
        self,
        directory: Path,
        shape: tuple[int, int],
        chunk_px: int,
        resume: bool = False,
        code: ChunkCode = ZARR_CODE,
    ) -> None:
        self.directory = directory
        self.shape = shape
        self.chunk_px = chunk_px
        self._resume = resume
        self._code = code
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        # a group without its document is of a spool whose chunks may be torn
        if directory.exists() and not (resume and (directory / ZARR_JSON).exists()):
            shutil.rmtree(directory)
        with told_if_full(directory):
            directory.mkdir(exist_ok=True)
            if resume and not (directory / ZARR_JSON).exists():
                write_document(directory, group_document({}))
            self._levels = list(self._make_levels())
        self.labels = self._levels[0]
        # another writer may change what a resumed one did
        self._halves = None if resume else Halves(self._levels)

    def _make_levels(self) -> Iterator[LabelChunks]:
        """The levels, as they are, or made."""
        shape = self.shape
        for k in itertools.count():
            name = str(k)
            yield LabelChunks(self.directory, name, shape, self.chunk_px, self._code, self._resume)
            if max(shape) <= self.chunk_px:
                return
            shape = -(-shape[0] // 2), -(-shape[1] // 2)

    def write(self, y: slice, x: slice, labels: NDArray[Any]) -> None:
        """Replace the labels of a region."""
        self._put(y, x, labels, keep=False)

    def merge(self, y: slice, x: slice, labels: NDArray[Any]) -> None:
        """Set the labels of a region where they are not 0, and leave the other pixels."""
        self._put(y, x, labels, keep=True)

    def _put(self, y: slice, x: slice, labels: NDArray[Any], keep: bool) -> None:
        y0, y1, x0, x1 = region_bounds(self.shape, y, x)
        new = as_labels(labels, (y1 - y0, x1 - x0))

        def put(piece: Region) -> None:
            rows, columns = piece
            part = new[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0]
            if not keep or part.any():
                self._put_piece(piece, part, keep)

        self._each(put, (slice(y0, y1), slice(x0, x1)))

    def write_from(self, source: LabelSource, y: slice, x: slice) -> None:
        """Replace the labels of a region by those of a source, read piece by piece."""
        y0, y1, x0, x1 = region_bounds(self.shape, y, x)

        def put(piece: Region) -> None:
            corner = self.labels.corner_of(piece)
            asked = self.labels.whole_at(corner) if piece == self.labels.chunk_at(corner) else piece
            labels = source.read(*asked)
            is_cut = labels.shape != _shape(asked)  # at the border of the plane
            self._put_piece(piece, as_labels(labels, _shape(piece if is_cut else asked)), False)

        self._each(put, (slice(y0, y1), slice(x0, x1)))
        if self._halves is not None:
            with told_if_full(self.directory):
                self._halves.settle()

    def _each(self, put: Callable[[Region], None], region: Region) -> None:
        """Do something with the part of every chunk in a region, in several threads."""
        if region[0].start == region[0].stop or region[1].start == region[1].stop:
            return
        pieces = sorted(
            self.labels.pieces(*region), key=lambda piece: by_quarters(self.labels.corner_of(piece))
        )
        with told_if_full(self.directory):
            each(put, pieces, "write")

    def _put_piece(self, piece: Region, labels: Labels, keep: bool) -> None:
        """Change the part of a chunk, and take its half where that is all of the chunk.

        Parameters
        ----------
        labels : of the piece, or of its whole chunk, 0 beyond the plane
        """
        halves, corner = self._halves, self.labels.corner_of(piece)
        whole = not keep and piece == self.labels.chunk_at(corner)
        if halves is not None and not whole:
            halves.spoil(corner)
        with self._locks[hash(corner) % LOCKS]:
            self.labels.put(*piece, labels, keep)
        if halves is not None and whole:
            height, width = _shape(piece)
            halves.add(corner, labels[:height, :width])
            halves.store_complete()

    def read(self, y: slice, x: slice) -> Labels:
        """The labels written to a region so far, 0 where none were."""
        y0, y1, x0, x1 = region_bounds(self.shape, y, x)
        return self.labels.read(slice(y0, y1), slice(x0, x1))

    def build_pyramid(self) -> list[LabelChunks]:
        """Halve until one chunk holds the plane; every id survives or vanishes, none is mixed.

        Each level takes every second pixel of the one before, in both directions, so pixel i of
        level n is pixel 2**n * i of level 0. What was made while the labels were written stays.
        Memory: two chunks and their compressed bytes for each worker.
        """
        with told_if_full(self.directory):
            halves, self._halves = self._halves, None  # what changes from here on is made again
            made: set[Place] = set() if halves is None else halves.settle()
            for k, (above, below) in enumerate(pairwise(self._levels), 1):
                _halve(above, below, {corner for level, corner in made if level == k})
        if self._resume:
            for litter in self.directory.rglob(f"*{LITTER}"):
                litter.unlink()
        return self._levels

    def drop(self) -> None:
        """Remove what was collected."""
        if self._halves is not None:
            with contextlib.suppress(Exception):  # what could not be stored is not wanted
                self._halves.settle()
        shutil.rmtree(self.directory, ignore_errors=True)


def _halve(above: LabelChunks, below: LabelChunks, done: set[Corner]) -> None:
    """Fill `below` with every second pixel of `above`, one chunk of `below` at a time.

    Parameters
    ----------
    done : the chunks of `below` that are made
    """

    def halve(piece: Region) -> None:
        below.put(*piece, above.read_halved(*piece))

    each(halve, [below.chunk_at(corner) for corner in below.corners() if corner not in done])


def _shape(region: Region) -> tuple[int, int]:
    return region[0].stop - region[0].start, region[1].stop - region[1].start


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
