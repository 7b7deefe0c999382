"""The chunks of one level of labels, each a file of a Zarr array, encoded and decoded here.

Zarr reads the array like any other where its code is `ZARR_CODE`. Its own way to a chunk goes
through an event loop and its threads, which takes longer than the codec does on labels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tbscale.errors import ImageError
from tbscale.images.labels_out.codes import LARGEST_KEPT_BYTES, ZARR_CODE, ChunkCode, Labels
from tbscale.images.labels_out.disk import remove, write_new, write_whole
from tbscale.images.labels_out.zarr_json import (
    ZARR_JSON,
    array_document,
    read_document,
    write_document,
)
from tbscale.images.thread_room import ThreadRoom

Region = tuple[slice, slice]
Corner = tuple[int, int]  # of a chunk: its row and column among the chunks
LABEL_CHUNK_PX = 1024  # side of a stored chunk, where nothing else is asked for
ZEROS_BYTES = 100  # what a chunk of zeros takes beside its share; labels may take as little

_scratch = ThreadRoom(LARGEST_KEPT_BYTES)  # one chunk for each thread


class LabelChunks:
    """A level of labels on disk, uint32 (Y, X); absent chunks are 0.

    Different chunks may be written by different threads at the same time; one chunk by one.

    Parameters
    ----------
    group : folder of the Zarr group that the level's array is in, or is made in
    name : of the array
    shape, chunk_px : (Y, X) and the side of a chunk, pixels
    code : of the chunks
    lasts : whether what is there when the process is killed is used again, so that every chunk must
        be whole at any time

    Raises
    ------
    ImageError : there is an array of another shape, or of chunks of another size or code
    """

    def __init__(
        self,
        group: Path,
        name: str,
        shape: tuple[int, int],
        chunk_px: int,
        code: ChunkCode = ZARR_CODE,
        lasts: bool = True,
    ) -> None:
        self.shape = shape
        self.chunks = chunk_px, chunk_px
        if code.has_small_chunks:
            self.chunks = min(chunk_px, shape[0]), min(chunk_px, shape[1])
        self._code = code
        self._write = write_whole if lasts else write_new
        self._directory = group / name / "c"
        self._made: set[int] = set()  # rows of chunks whose folder is there
        document = array_document(shape, self.chunks, code.chain)
        if not (group / name / ZARR_JSON).exists():
            (group / name).mkdir(exist_ok=True)
            write_document(group / name, document)
        elif read_document(group / name) != document:
            raise ImageError(
                f"{group} holds labels that are not of {shape[0]} x {shape[1]} px in chunks of "
                f"{self.chunks[0]} x {self.chunks[1]} px and their code; remove it to start again"
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

    def whole_at(self, corner: Corner) -> Region:
        """The pixels of a chunk, those beyond the level too."""
        y, x = (
            slice(place * chunk, (place + 1) * chunk)
            for place, chunk in zip(corner, self.chunks, strict=True)
        )
        return y, x

    def read(self, y: slice, x: slice) -> Labels:
        """The labels of a region, which must lie inside the plane."""
        out = np.zeros((y.stop - y.start, x.stop - x.start), np.uint32)
        chunk: Labels = _scratch.array(self.chunks, np.uint32)
        for rows, columns in self.pieces(y, x):
            if self._load(self._path(self.corner_of((rows, columns))), chunk):
                inside = self._inside(rows, columns)
                out[span_from(rows, y.start), span_from(columns, x.start)] = chunk[inside]
        return out

    def read_halved(self, y: slice, x: slice) -> Labels:
        """Every second pixel of the level, from the first on: a region of the level below."""
        out = np.zeros((y.stop - y.start, x.stop - x.start), np.uint32)
        chunk: Labels = _scratch.array(self.chunks, np.uint32)
        height, width = self.shape
        for rows, columns in self.pieces(doubled(y, height), doubled(x, width)):
            if self._load(self._path(self.corner_of((rows, columns))), chunk):
                inside = self._inside(rows, columns)
                out[halved(rows, y.start), halved(columns, x.start)] = chunk[inside][::2, ::2]
        return out

    def put(self, rows: slice, columns: slice, new: Labels, keep: bool = False) -> None:
        """Replace the labels of a region inside one chunk.

        Parameters
        ----------
        new : of the region; or of all of a chunk whose part inside the level that is, 0 beyond
        keep : leave the pixels where `new` is 0
        """
        corner = self.corner_of((rows, columns))
        if new.shape == self.chunks and not keep and new.flags.c_contiguous:
            self.store(corner, new)
            return
        inside, path = self._inside(rows, columns), self._path(corner)
        new = new[: rows.stop - rows.start, : columns.stop - columns.start]
        chunk: Labels = _scratch.array(self.chunks, np.uint32)
        if not keep and (rows, columns) == self.chunk_at(corner):
            clear_beyond(chunk, new.shape)
        elif not self._load(path, chunk):
            chunk[:] = 0
        np.copyto(chunk[inside], new, where=(new != 0) if keep else True)
        self.store(corner, chunk)

    def store(self, corner: Corner, chunk: Labels) -> None:
        """Write a chunk of full size; one of zeros is no file.

        Parameters
        ----------
        chunk : C-contiguous, 0 beyond the level
        """
        code, path = self._code.encode(chunk), self._path(corner)
        zeros_bytes = ZEROS_BYTES + chunk.nbytes * self._code.zeros_share
        if len(code) < zeros_bytes and not chunk.any():
            remove(path)
            return
        if corner[0] not in self._made:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._made.add(corner[0])
        self._write(path, code)

    def _path(self, corner: Corner) -> str:
        return f"{self._directory}/{corner[0]}/{corner[1]}"

    def _inside(self, rows: slice, columns: slice) -> Region:
        """Where a region of the plane lies in its chunk."""
        height, width = self.chunks
        return (
            span_from(rows, rows.start - rows.start % height),
            span_from(columns, columns.start - columns.start % width),
        )

    def _load(self, path: str, out: Labels) -> bool:
        """Decode a chunk into `out`; False, and nothing done, where none was written."""
        stored = _stored(path)
        if stored is None:
            return False
        try:
            fits = self._code.decode(stored, out)
        except self._code.error as error:
            raise ImageError(f"{path} is damaged; start again with --restart") from error
        if not fits:
            raise ImageError(f"{path} is damaged; start again with --restart")
        return True

    def stored(self, corner: Corner) -> bytes | None:
        """The code of a chunk; None where none was written."""
        return _stored(self._path(corner))


def _stored(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None


def clear_beyond(chunk: Labels, inside: tuple[int, ...]) -> None:
    """Set a chunk to 0 beyond its first rows and columns."""
    chunk[inside[0] :] = 0
    chunk[: inside[0], inside[1] :] = 0


def span_from(span: slice, start: int) -> slice:
    """A span of the plane, counted from `start`."""
    return slice(span.start - start, span.stop - start)


def doubled(span: slice, size: int) -> slice:
    """What a span of the level below is halved from; `size` is that of this level."""
    return slice(2 * span.start, min(2 * span.stop, size))


def halved(span: slice, start: int = 0) -> slice:
    """Where every second pixel of the plane that lies in a span is in the half, from `start`."""
    return slice((span.start + 1) // 2 - start, (span.stop + 1) // 2 - start)
