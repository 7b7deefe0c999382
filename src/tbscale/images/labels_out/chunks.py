"""The chunks of one level of labels, each a file of a Zarr array, encoded and decoded here.

Zarr writes the array's metadata and reads it like any other. Its own way to a chunk goes through
an event loop and its threads, which takes longer than the codec does on labels.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from tbscale.errors import ImageError
from tbscale.images.thread_room import ThreadRoom

Labels = NDArray[np.uint32]
Region = tuple[slice, slice]
Corner = tuple[int, int]  # of a chunk: its row and column among the chunks
LEVEL = 1
# zeros alone take no more, in bytes and in a share of the chunk; labels may take as little
ZEROS_BYTES, ZEROS_SHARE = 100, 1 / 5000
LARGEST_KEPT_BYTES = 16 * 2**20
CODE_SPARE_BYTES = 64 * 2**10  # a code may be this much longer than a chunk of the largest kept
LITTER = ".partial"  # of a chunk that was being written when its process was killed

_scratch = ThreadRoom(LARGEST_KEPT_BYTES)  # one chunk for each thread, and its code
_code = ThreadRoom(LARGEST_KEPT_BYTES + CODE_SPARE_BYTES)


class LabelChunks:
    """A level of labels on disk, uint32 (Y, X); absent chunks are 0.

    Different chunks may be written by different threads at the same time; one chunk by one.

    Parameters
    ----------
    group, name : where the Zarr array is, or is made
    directory : of the group
    shape, chunk_px : (Y, X) and the side of a chunk, pixels; no chunk is larger than the level

    Raises
    ------
    ImageError : there is an array of another shape or other chunks
    """

    def __init__(
        self, group: zarr.Group, directory: Path, name: str, shape: tuple[int, int], chunk_px: int
    ) -> None:
        self.shape = shape
        self.chunks = min(chunk_px, shape[0]), min(chunk_px, shape[1])
        self._directory = directory / name / "c"
        self._made: set[Path] = set()  # folders
        found: Any = group[name] if name in group else self._make(group, name)
        if not isinstance(found, zarr.Array) or (found.shape, found.chunks) != (shape, self.chunks):
            raise ImageError(
                f"{directory} holds labels of another shape or other chunks than {shape[0]} x "
                f"{shape[1]} in {self.chunks[0]} x {self.chunks[1]}; remove it to start again"
            )

    def _make(self, group: zarr.Group, name: str) -> zarr.Array[Any]:
        return group.create_array(
            name,
            shape=self.shape,
            dtype="uint32",
            chunks=self.chunks,
            compressors=ZstdCodec(level=LEVEL),
            fill_value=0,
            dimension_names=("y", "x"),
        )

    def pieces(self, y: slice, x: slice) -> Iterator[Region]:
        """Cut a region of the plane at the borders of chunks."""
        height, width = self.chunks
        for top in range(y.start - y.start % height, y.stop, height):
            for left in range(x.start - x.start % width, x.stop, width):
                yield (
                    slice(max(y.start, top), min(y.stop, top + height)),
                    slice(max(x.start, left), min(x.stop, left + width)),
                )

    def corners(self) -> Iterator[Corner]:
        """Every chunk of the level."""
        down, across = (
            -(-side // chunk) for side, chunk in zip(self.shape, self.chunks, strict=True)
        )
        return itertools.product(range(down), range(across))

    def corner_of(self, region: Region) -> Corner:
        """The chunk that a region inside one lies in."""
        return region[0].start // self.chunks[0], region[1].start // self.chunks[1]

    def chunk_at(self, corner: Corner) -> Region:
        """The pixels of a chunk, those inside the level."""
        y, x = (
            slice(place * chunk, min((place + 1) * chunk, side))
            for place, chunk, side in zip(corner, self.chunks, self.shape, strict=True)
        )
        return y, x

    def read(self, y: slice, x: slice) -> Labels:
        """The labels of a region, which must lie inside the plane."""
        out = np.zeros((y.stop - y.start, x.stop - x.start), np.uint32)
        chunk: Labels = _scratch.array(self.chunks, np.uint32)
        for rows, columns in self.pieces(y, x):
            if self._load(self._path(rows, columns), chunk):
                inside = self._inside(rows, columns)
                out[within(rows, y.start), within(columns, x.start)] = chunk[inside]
        return out

    def read_halved(self, y: slice, x: slice) -> Labels:
        """Every second pixel of the level, from the first on: a region of the level below."""
        out = np.zeros((y.stop - y.start, x.stop - x.start), np.uint32)
        chunk: Labels = _scratch.array(self.chunks, np.uint32)
        height, width = self.shape
        for rows, columns in self.pieces(doubled(y, height), doubled(x, width)):
            if self._load(self._path(rows, columns), chunk):
                inside = self._inside(rows, columns)
                out[halved(rows, y.start), halved(columns, x.start)] = chunk[inside][::2, ::2]
        return out

    def put(self, rows: slice, columns: slice, new: Labels, keep: bool = False) -> None:
        """Replace the labels of a region inside one chunk.

        Parameters
        ----------
        keep : leave the pixels where `new` is 0
        """
        inside, path = self._inside(rows, columns), self._path(rows, columns)
        chunk: Labels = _scratch.array(self.chunks, np.uint32)
        if (new.shape != self.chunks or keep) and not self._load(path, chunk):
            chunk[:] = 0
        np.copyto(chunk[inside], new, where=(new != 0) if keep else True)
        self._store(path, chunk)

    def _path(self, rows: slice, columns: slice) -> Path:
        height, width = self.chunks
        return self._directory / str(rows.start // height) / str(columns.start // width)

    def _inside(self, rows: slice, columns: slice) -> Region:
        """Where a region of the plane lies in its chunk."""
        height, width = self.chunks
        return (
            within(rows, rows.start - rows.start % height),
            within(columns, columns.start - columns.start % width),
        )

    def _load(self, path: Path, out: Labels) -> bool:
        """Decode a chunk into `out`; False, and nothing done, where none was written."""
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            return False
        try:
            decoded = imagecodecs.zstd_decode(stored, out=out.data.cast("B"))
        except imagecodecs.ZstdError as error:
            raise ImageError(f"{path} is damaged; start again with --restart") from error
        if len(decoded) != out.nbytes:
            raise ImageError(f"{path} is damaged; start again with --restart")
        return True

    def _store(self, path: Path, chunk: Labels) -> None:
        """Write a chunk, complete or not at all; one of zeros is no file."""
        code = _encode(chunk)
        if len(code) < ZEROS_BYTES + chunk.nbytes * ZEROS_SHARE and not chunk.any():
            path.unlink(missing_ok=True)
            return
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        own = f"{path.name}.{os.getpid()}-{threading.get_ident()}{LITTER}"  # two may write at once
        partial = path.with_name(own)
        try:
            partial.write_bytes(code)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def _encode(chunk: Labels) -> memoryview:
    """The code of a chunk, in memory that the thread's next call overwrites."""
    raw: Any = chunk.data.cast("B")  # any buffer will do, though the stubs ask for bytes
    out: Any = _code.take(chunk.nbytes + CODE_SPARE_BYTES)
    return memoryview(imagecodecs.zstd_encode(raw, LEVEL, out=out))


def within(span: slice, start: int) -> slice:
    """A span of the plane, counted from `start`."""
    return slice(span.start - start, span.stop - start)


def doubled(span: slice, size: int) -> slice:
    """What a span of the level below is halved from; `size` is that of this level."""
    return slice(2 * span.start, min(2 * span.stop, size))


def halved(span: slice, start: int = 0) -> slice:
    """Where every second pixel of the plane that lies in a span is in the half, from `start`."""
    return slice((span.start + 1) // 2 - start, (span.stop + 1) // 2 - start)


def is_within(inner: Region, outer: Region) -> bool:
    """Whether a region lies in another."""
    return all(a.start >= b.start and a.stop <= b.stop for a, b in zip(inner, outer, strict=True))
