"""A plane that keeps decoded chunks, for reads that come back to the same ones.

Rows of tiles for a network are about 200 px high and chunks about 1,000: without a cache each
chunk is decoded five times, and a plane stored as one compressed strip as often as there are rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbscale.images.plane import ArrayPlane, Plane, region_bounds
from tbscale.images.tiff_pages import RawPlane
from tbscale.images.workers import each

AS_THEY_ARE = (ArrayPlane, RawPlane)  # planes that a cache gains nothing for
Place = tuple[int, int]  # row and column of a chunk


def row_of_chunks_bytes(plane: Plane) -> int:
    """Bytes of one row of decoded chunks: what a cache needs for reads from top to bottom."""
    return _rows_bytes(plane, plane.chunk_shape[0])


def _rows_bytes(plane: Plane, rows: int) -> int:
    """Bytes of rows that a cache keeps: none where pixels are stored as they are."""
    if isinstance(plane, AS_THEY_ARE):
        return 0
    return min(rows, plane.shape[0]) * plane.shape[1] * plane.dtype.itemsize


def rows_of_chunks_bytes(plane: Plane, window_px: int) -> int:
    """Bytes of all chunks that one row of windows meets: what a cache needs to decode each once.

    Parameters
    ----------
    window_px : height of the windows, which begin at its multiples
    """
    chunk_px = plane.chunk_shape[0]
    met = (window_px - 1) // chunk_px + 1  # where the borders of both fall together
    if window_px % chunk_px and chunk_px % window_px:
        met += 1
    return _rows_bytes(plane, met * chunk_px)


def beside_bytes(plane: Plane) -> int:
    """What decoding one chunk holds beyond the plane's own pixels, where channels lie together."""
    return int(getattr(plane, "beside_bytes", 0))


def cache_chunks(plane: Plane, capacity_bytes: int) -> Plane:
    """The plane behind a cache of decoded chunks, or itself where a cache gains nothing.

    It gains nothing where pixels are stored as they are, and where not one chunk fits.

    Parameters
    ----------
    capacity_bytes : of decoded chunks to keep at most; see `row_of_chunks_bytes`
    """
    rows, columns = plane.chunk_shape
    chunk_bytes = min(rows, plane.shape[0]) * min(columns, plane.shape[1]) * plane.dtype.itemsize
    if isinstance(plane, AS_THEY_ARE) or chunk_bytes > capacity_bytes:
        return plane
    return CachedPlane(plane, capacity_bytes)


class CachedPlane:
    """See `cache_chunks`. The chunks used last are kept; several threads may read."""

    def __init__(self, plane: Plane, capacity_bytes: int) -> None:
        self._plane = plane
        self._capacity_bytes = capacity_bytes
        self._chunks: OrderedDict[Place, NDArray[Any]] = OrderedDict()
        self._coming: dict[Place, Future[NDArray[Any]]] = {}
        self._kept_bytes = 0
        self._lock = threading.Lock()

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X), pixels."""
        return self._plane.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return self._plane.dtype

    @property
    def chunk_shape(self) -> tuple[int, int]:
        """(Y, X) of the stored unit, pixels."""
        return self._plane.chunk_shape

    @property
    def bytes_read(self) -> int:
        """Bytes of the file touched; a chunk that is kept costs none."""
        return self._plane.bytes_read

    @property
    def kept_bytes(self) -> int:
        """Bytes of the chunks kept now."""
        return self._kept_bytes

    def read(self, y: slice, x: slice) -> NDArray[Any]:
        """Pixels of the region, a new array; memory is the region, the cache and one chunk."""
        y0, y1, x0, x1 = region_bounds(self.shape, y, x)
        out = np.empty((y1 - y0, x1 - x0), self.dtype)
        if out.size == 0:
            return out
        height, width = self.chunk_shape
        self._fetch(
            [
                (row, column)
                for row in range(y0 // height, (y1 - 1) // height + 1)
                for column in range(x0 // width, (x1 - 1) // width + 1)
            ]
        )
        for row in range(y0 // height, (y1 - 1) // height + 1):
            top, bottom = max(y0, row * height), min(y1, (row + 1) * height)
            for column in range(x0 // width, (x1 - 1) // width + 1):
                left, right = max(x0, column * width), min(x1, (column + 1) * width)
                chunk = self._chunk((row, column))
                out[top - y0 : bottom - y0, left - x0 : right - x0] = chunk[
                    top - row * height : bottom - row * height,
                    left - column * width : right - column * width,
                ]
        return out

    def _fetch(self, places: list[Place]) -> None:
        """Read the chunks that are not kept, several at a time, if all of them can be kept."""
        if sum(self._bytes_of(place) for place in places) > self._capacity_bytes:
            return
        with self._lock:
            missing = [place for place in places if place not in self._chunks]
            for place in places:  # what is needed now is not what goes
                if place in self._chunks:
                    self._chunks.move_to_end(place)
        each(self._chunk, missing)

    def _region_of(self, place: Place) -> tuple[slice, slice]:
        """Where a chunk lies, cut at the border of the plane."""
        y, x = (
            slice(index * size, min((index + 1) * size, end))
            for index, size, end in zip(place, self.chunk_shape, self.shape, strict=True)
        )
        return y, x

    def _bytes_of(self, place: Place) -> int:
        y, x = self._region_of(place)
        return int((y.stop - y.start) * (x.stop - x.start) * self.dtype.itemsize)

    def _chunk(self, place: Place) -> NDArray[Any]:
        """A chunk, kept or read; who asks for one that is being read waits for it."""
        with self._lock:
            kept = self._chunks.get(place)
            if kept is not None:
                self._chunks.move_to_end(place)
                return kept
            coming = self._coming.get(place)
            if coming is None:
                mine: Future[NDArray[Any]] = Future()
                self._coming[place] = mine
        if coming is not None:
            return coming.result()
        try:
            chunk = self._plane.read(*self._region_of(place))
        except BaseException as error:
            with self._lock:
                del self._coming[place]
            mine.set_exception(error)
            raise
        with self._lock:
            self._keep(place, chunk)
            del self._coming[place]
        mine.set_result(chunk)
        return chunk

    def _keep(self, place: Place, chunk: NDArray[Any]) -> None:
        """Add a chunk, and drop those used longest ago until all fit."""
        if place in self._chunks:
            return
        self._chunks[place] = chunk
        self._kept_bytes += chunk.nbytes
        while self._kept_bytes > self._capacity_bytes:
            _, dropped = self._chunks.popitem(last=False)
            self._kept_bytes -= dropped.nbytes
