"""One plane of a TIFF page: read the strips or tiles that a region meets, and no others.

Two kinds. Uncompressed strips are rows of pixels at known places, so only the rows and columns
asked for are read. Everything else is decoded, one whole chunk at a time, by tifffile and
imagecodecs. Source: TIFF 6.0, Adobe 1992; BigTIFF.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from tbscale.errors import ImageError
from tbscale.images.damage import one_line
from tbscale.images.file_bytes import FileBytes
from tbscale.images.plane import ByteCount, region_bounds
from tbscale.images.tiff_chunks import decode_any, decode_direct, is_direct
from tbscale.images.workers import each

LARGEST_READ_BYTES = 2**22  # of rows at once, so that a large region is not held twice


@dataclass(frozen=True)
class Layout:
    """Where the chunks of one plane lie.

    `grid` is (rows, columns) of chunks, `first` the index of the plane's first chunk among
    those of the page; `depth` and `sample` pick the plane inside a decoded chunk.
    """

    shape: tuple[int, int]
    chunk_shape: tuple[int, int]
    grid: tuple[int, int]
    first: int
    depth: int
    sample: int

    def meeting(self, y0: int, y1: int, x0: int, x1: int) -> Iterator[tuple[int, int, int]]:
        """(index, y, x) of each chunk that a region meets, y and x of its first pixel."""
        if y0 == y1 or x0 == x1:
            return
        height, width = self.chunk_shape
        for row in range(y0 // height, (y1 - 1) // height + 1):
            for column in range(x0 // width, (x1 - 1) // width + 1):
                index = self.first + row * self.grid[1] + column
                yield index, row * height, column * width


def layout_plane(page: tifffile.TiffPage, separate: int, depth: int, sample: int) -> Layout:
    """Where plane (separate sample, depth, sample of a pixel) of a page lies."""
    _, depths, height, width, _ = page.shaped
    if page.is_tiled:
        chunk, chunk_depth = (page.tilelength, page.tilewidth), page.tiledepth
    else:
        chunk, chunk_depth = (max(1, min(page.rowsperstrip, height)), width), 1
    grid = (-(-height // chunk[0]), -(-width // chunk[1]))
    layers = -(-depths // chunk_depth)
    first = (separate * layers + depth // chunk_depth) * grid[0] * grid[1]
    return Layout((height, width), chunk, grid, first, depth % chunk_depth, sample)


@dataclass(frozen=True)
class DecodedPlane:
    """A plane whose chunks must be decoded whole."""

    page: tifffile.TiffPage
    layout: Layout
    file: FileBytes
    dtype: np.dtype[Any]
    count: ByteCount = field(default_factory=ByteCount)

    def __post_init__(self) -> None:
        self.page.init_decode()  # not safe to do first in several threads at once

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X), pixels."""
        return self.layout.shape

    @property
    def chunk_shape(self) -> tuple[int, int]:
        """(Y, X) of a strip or tile, pixels."""
        return self.layout.chunk_shape

    @property
    def beside_bytes(self) -> int:
        """Bytes of a decoded chunk that are of other samples or planes."""
        pixels: int = prod(self.page.chunks) - prod(self.chunk_shape)
        return pixels * self.dtype.itemsize

    @property
    def bytes_read(self) -> int:
        """Bytes of the chunks read so far."""
        return self.count.total

    def read(self, y: slice, x: slice) -> NDArray[Any]:
        """Pixels of the region; memory is the region and one chunk a worker."""
        y0, y1, x0, x1 = region_bounds(self.shape, y, x)
        places = list(self.layout.meeting(y0, y1, x0, x1))
        first = self._decode(places[0][0]) if len(places) == 1 else None
        if first is not None and places[0][1:] == (y0, x0) and first.shape == (y1 - y0, x1 - x0):
            return first if first.flags.owndata else np.array(first, self.dtype, order="C")
        out = np.full((y1 - y0, x1 - x0), self.page.nodata, self.dtype)

        def put(place: tuple[int, int, int]) -> None:
            index, top, left = place
            chunk = self._decode(index) if first is None else first
            if chunk is None:
                return
            rows = slice(max(y0, top), min(y1, top + chunk.shape[0]))
            columns = slice(max(x0, left), min(x1, left + chunk.shape[1]))
            out[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0] = chunk[
                rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ]

        each(put, places)
        return out

    def _decode(self, index: int) -> NDArray[Any] | None:
        """One chunk's pixels of this plane (Y, X), or None where the file stores none."""
        data = _chunk_bytes(self.page, self.file, index)
        if data is None:
            return None
        self.count.add(len(data))
        if self._is_direct:
            pixels = decode_direct(self.page, self._stored_shape(index), data)
            if pixels is not None:
                return pixels
        try:
            chunk = decode_any(self.page, index, data)
        except Exception as error:  # codecs raise what they like
            raise ImageError(
                f"{self.file.path}: chunk {index} of page {self.page.index} cannot be decoded as "
                f"{codec_name(self.page)} ({one_line(error)}); copy or export the file again"
            ) from error
        plane: NDArray[Any] = chunk[self.layout.depth, :, :, self.layout.sample]
        return plane

    @cached_property
    def _is_direct(self) -> bool:
        return is_direct(self.page)

    def _stored_shape(self, index: int) -> tuple[int, int]:
        """(Y, X) of a chunk as it is stored: tiles are whole, the last strip may be shorter."""
        height, width = self.chunk_shape
        if not self.page.is_tiled:
            row = (index - self.layout.first) // self.layout.grid[1]
            height = min(height, self.shape[0] - row * height)
        return height, width


def _chunk_bytes(page: tifffile.TiffPage, file: FileBytes, index: int) -> memoryview | None:
    """The stored bytes of a chunk; None where it is sparse (offset or length 0)."""
    if index >= min(len(page.dataoffsets), len(page.databytecounts)):
        raise ImageError(
            f"{file.path} is damaged: page {page.index} lists {len(page.dataoffsets)} chunks and "
            f"its size asks for chunk {index}; export the file again"
        )
    offset, count = page.dataoffsets[index], page.databytecounts[index]
    return None if offset == 0 or count == 0 else file.read_at(offset, count)


@dataclass(frozen=True)
class RawPlane:
    """A plane of uncompressed strips: only the rows and columns of a region are read.

    `offsets[i]` is the byte at which strip i begins; `stored` the file's type, in its byte
    order; `samples` the values of one pixel.
    """

    layout: Layout
    offsets: tuple[int, ...]
    samples: int
    stored: np.dtype[Any]
    fill: float
    file: FileBytes
    count: ByteCount = field(default_factory=ByteCount)

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X), pixels."""
        return self.layout.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in the byte order of this machine."""
        return self.stored.newbyteorder("=")

    @property
    def chunk_shape(self) -> tuple[int, int]:
        """(Y, X) of a strip, pixels."""
        return self.layout.chunk_shape

    @property
    def bytes_read(self) -> int:
        """Bytes of the rows read so far."""
        return self.count.total

    def read(self, y: slice, x: slice) -> NDArray[Any]:
        """Pixels of the region; memory is the region and `LARGEST_READ_BYTES`."""
        y0, y1, x0, x1 = region_bounds(self.shape, y, x)
        out = np.full((y1 - y0, x1 - x0), self.fill, self.dtype)
        for index, top, _ in self.layout.meeting(y0, y1, x0, x1):
            if self.offsets[index] == 0:
                continue
            first, last = max(y0, top), min(y1, top + self.chunk_shape[0])
            for start, stop in self._runs(first, last, x0, x1):
                rows = self._rows(self.offsets[index], start - top, stop - top, x0, x1)
                out[start - y0 : stop - y0] = rows
        return out

    def _runs(self, first: int, last: int, x0: int, x1: int) -> Iterator[tuple[int, int]]:
        """Rows to read at once: one by one, or several where whole rows follow each other."""
        step = 1
        if x1 - x0 == self.shape[1]:
            row_bytes = max(1, self.shape[1] * self.samples * self.stored.itemsize)
            step = max(1, LARGEST_READ_BYTES // row_bytes)
        yield from ((row, min(row + step, last)) for row in range(first, last, step))

    def _rows(self, base: int, start: int, stop: int, x0: int, x1: int) -> NDArray[Any]:
        pixel_bytes = self.samples * self.stored.itemsize
        offset = base + (start * self.shape[1] + x0) * pixel_bytes
        data = self.file.read_at(offset, (stop - start) * (x1 - x0) * pixel_bytes)
        self.count.add(len(data))
        pixels = np.frombuffer(data, self.stored).reshape(stop - start, x1 - x0, self.samples)
        rows: NDArray[Any] = pixels[:, :, self.layout.sample]
        return rows


def is_raw(page: tifffile.TiffPage) -> bool:
    """Whether the pixels lie in the file as they are, row after row."""
    return bool(
        not page.is_tiled
        and page.compression == 1
        and page.predictor == 1
        and page.fillorder == 1
        and not page.is_subsampled
        and page.bitspersample == page.dtype.itemsize * 8
    )


def codec_name(page: tifffile.TiffPage) -> str:
    """Words for compression and predictor, e.g. 'deflate, horizontal predictor'."""
    try:
        name = str(tifffile.COMPRESSION(page.compression).name).lower()
    except ValueError:
        return f"unknown compression {page.compression}"
    name = name.replace("adobe_deflate", "deflate")
    if page.predictor == 1:
        return name
    try:
        predictor = tifffile.PREDICTOR(page.predictor).name.lower().replace("_", " ")
    except ValueError:
        predictor = str(page.predictor)
    return f"{name}, {predictor} predictor"
