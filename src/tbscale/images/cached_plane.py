"""A plane that keeps decoded chunks, for reads that come back to the same ones.

Rows of tiles for a network are about 200 px high and chunks about 1,000: without a cache each
chunk is decoded five times, and a plane stored as one compressed strip as often as there are rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbscale.images.plane import ArrayPlane, CroppedPlane, Plane, region_bounds
from tbscale.images.tiff_pages import RawPlane
from tbscale.images.workers import alone, each, worker_count

AS_THEY_ARE = (ArrayPlane, RawPlane)  # planes that a cache gains nothing for
Place = tuple[int, int]  # row and column of a chunk
READ_PX = 64  # rows that are asked for at once, from top to bottom
SMALL_BYTES = 2**24  # of chunks decoded ahead, where a row of chunks is smaller


def row_of_chunks_bytes(plane: Plane) -> int:
    """Bytes of decoded chunks that a cache needs for reads from top to bottom.

    One row of chunks, or as many as READ_PX rows meet, and the chunks that are decoded ahead.
    """
    chunk_px, width = plane.chunk_shape
    kept = _rows_bytes(plane, chunk_px if chunk_px >= READ_PX else READ_PX + chunk_px)
    if isinstance(plane, CroppedPlane):
        return kept  # nothing is decoded ahead
    chunk_bytes = _rows_bytes(plane, chunk_px) * min(width, plane.shape[1]) // plane.shape[1]
    return kept + _count_ahead(plane) * chunk_bytes


def _count_ahead(plane: Plane) -> int:
    """Chunks that are decoded before they are asked for: enough to keep every worker at work.

    No more than a row of chunks or SMALL_BYTES, so that large ones are not held twice; none where
    one row of chunks is the plane.
    """
    rows, columns = (
        -(-size // chunk) for size, chunk in zip(plane.shape, plane.chunk_shape, strict=True)
    )
    if rows == 1 or worker_count() == 1:
        return 0
    chunk_bytes = plane.chunk_shape[0] * plane.chunk_shape[1] * plane.dtype.itemsize
    return min(worker_count() + 1, max(columns, SMALL_BYTES // chunk_bytes), (rows - 1) * columns)


def _rows_bytes(plane: Plane, rows: int) -> int:
    """Bytes of rows that a cache keeps: none where pixels are stored as they are."""
    columns = slice(0, plane.shape[1])
    if isinstance(plane, CroppedPlane):  # whole chunks are kept, also where it cuts them
        columns, plane = plane.columns, plane.plane
    if isinstance(plane, AS_THEY_ARE):
        return 0
    width = plane.chunk_shape[1]
    left = columns.start // width * width
    right = min(-(-columns.stop // width) * width, plane.shape[1])
    return min(rows, plane.shape[0]) * (right - left) * plane.dtype.itemsize


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
    if isinstance(plane, CroppedPlane):
        return beside_bytes(plane.plane)
    return int(getattr(plane, "beside_bytes", 0))


def cache_chunks(plane: Plane, capacity_bytes: int) -> Plane:
    """The plane behind a cache of decoded chunks, or itself where a cache gains nothing.

    It gains nothing where pixels are stored as they are, and where not one chunk fits. Of a crop
    the plane that it lies in is cached, since chunks begin where those of the file do.

    Parameters
    ----------
    capacity_bytes : of decoded chunks to keep at most; see `row_of_chunks_bytes`
    """
    if isinstance(plane, CroppedPlane):
        return replace(plane, plane=cache_chunks(plane.plane, capacity_bytes))
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
        self._ahead_of: Place | None = None  # the last chunk behind which others were begun
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
        columns = range(x0 // width, (x1 - 1) // width + 1)
        together = max(1, self._capacity_bytes // self._bytes_of(1, columns))
        last = (y1 - 1) // height + 1
        for first in range(y0 // height, last, together):
            rows = range(first, min(first + together, last))
            goes_on = rows.stop == last and x1 - x0 == self.shape[1]
            places = [(row, column) for row in rows for column in columns]
            for (row, column), chunk in zip(places, self._get(places, goes_on), strict=True):
                top, bottom = max(y0, row * height), min(y1, (row + 1) * height)
                left, right = max(x0, column * width), min(x1, (column + 1) * width)
                out[top - y0 : bottom - y0, left - x0 : right - x0] = chunk[
                    top - row * height : bottom - row * height,
                    left - column * width : right - column * width,
                ]
        return out

    def _get(self, places: list[Place], goes_on: bool) -> Iterator[NDArray[Any]]:
        """The chunks at `places`, several read at a time if all of them can be kept.

        Parameters
        ----------
        goes_on : whether the reads come from top to bottom, so that what follows is read ahead
        """
        columns = range(places[0][1], places[-1][1] + 1)
        rows = places[-1][0] - places[0][0] + 1
        room_bytes = self._capacity_bytes - self._bytes_of(rows, columns)
        if room_bytes < 0:
            return map(self._chunk, places)
        with self._lock:
            kept = [self._chunks.get(place) for place in places]
            for place, chunk in zip(places, kept, strict=True):  # what is needed does not go
                if chunk is not None:
                    self._chunks.move_to_end(place)
            missing = [
                place
                for place, chunk in zip(places, kept, strict=True)
                if chunk is None and place not in self._coming
            ]
            ahead = self._places_ahead(places[-1], room_bytes) if goes_on else []
        if missing or ahead:
            each(self._chunk, missing, beyond=ahead)
        return (
            self._chunk(place) if chunk is None else chunk
            for place, chunk in zip(places, kept, strict=True)
        )

    def _places_ahead(self, last: Place, room_bytes: int) -> list[Place]:
        """The chunks that follow `last` and fit; none where some were begun before."""
        if self._ahead_of == last:
            return []
        rows, columns = (
            -(-size // chunk) for size, chunk in zip(self.shape, self.chunk_shape, strict=True)
        )
        count = min(_count_ahead(self._plane), room_bytes // self._bytes_of(1, range(1)))
        index = last[0] * columns + last[1] + 1
        following = range(index, min(index + count, rows * columns))
        places = [divmod(i, columns) for i in following]
        ahead = [one for one in places if one not in self._chunks and one not in self._coming]
        if ahead:
            self._ahead_of = last
        return ahead

    def _bytes_of(self, rows: int, columns: range) -> int:
        """Bytes of rows of chunks in some columns, cut at the right border of the plane."""
        height, width = self.chunk_shape
        right = min(columns.stop * width, self.shape[1])
        rows_px = min(rows * height, self.shape[0])
        return rows_px * (right - columns.start * width) * self.dtype.itemsize

    def _region_of(self, place: Place) -> tuple[slice, slice]:
        """Where a chunk lies, cut at the border of the plane."""
        y, x = (
            slice(index * size, min((index + 1) * size, end))
            for index, size, end in zip(place, self.chunk_shape, self.shape, strict=True)
        )
        return y, x

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
            with alone():  # who waits for this chunk may fill the pool
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
