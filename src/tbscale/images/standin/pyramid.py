"""Halve a plane into its pyramid while it streams past, row of chunks by row of chunks.

    level 0 chunks   | a | b | c | d |   row 0  ->  upper half of a row of level 1
                     | e | f | g | h |   row 1  ->  lower half; the row is full: encode, halve on

Memory: one row of chunks of each level above 0, so in all as much as one row of level 0.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tbscale.images.compiled import compiled

CHUNK_PX = 1024
DEFLATE_LEVEL = 1  # higher levels gain little on camera noise


def level_shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Shapes of all levels, full resolution first, until one chunk holds the plane.

    >>> level_shapes((3138, 2509))
    [(3138, 2509), (1569, 1255), (785, 628)]
    """
    shapes = [shape]
    while max(shapes[-1]) > CHUNK_PX:
        height, width = shapes[-1]
        shapes.append((-(-height // 2), -(-width // 2)))
    return shapes


def grid(shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of chunks of a level."""
    return -(-shape[0] // CHUNK_PX), -(-shape[1] // CHUNK_PX)


@compiled
def halve_by_mean(area):  # type: ignore[no-untyped-def]
    """Mean of each 2 x 2 pixels, rounded half up; odd last rows and columns count twice."""
    height, width = area.shape
    out = np.empty(((height + 1) // 2, (width + 1) // 2), area.dtype)
    for i in range(out.shape[0]):
        top, low = 2 * i, min(2 * i + 1, height - 1)
        for j in range(out.shape[1]):
            left, right = 2 * j, min(2 * j + 1, width - 1)
            total = np.uint64(area[top, left]) + np.uint64(area[top, right])
            total += np.uint64(area[low, left]) + np.uint64(area[low, right])
            out[i, j] = (total + np.uint64(2)) >> np.uint64(2)
    return out


def halve_by_choice(area: NDArray[Any]) -> NDArray[Any]:
    """Every second pixel, for labels: no id is mixed."""
    return np.ascontiguousarray(area[::2, ::2])


def encode(area: NDArray[Any]) -> bytes:
    """One chunk as TIFF stores it: padded with 0, differenced along x, deflated."""
    chunk = area
    if area.shape != (CHUNK_PX, CHUNK_PX):
        chunk = np.zeros((CHUNK_PX, CHUNK_PX), area.dtype)
        chunk[: area.shape[0], : area.shape[1]] = area
    differenced = imagecodecs.delta_encode(chunk)
    return bytes(imagecodecs.deflate_encode(differenced.tobytes(), level=DEFLATE_LEVEL))


class Halver(Protocol):
    """How one level becomes the next."""

    def __call__(self, area: NDArray[Any], /) -> NDArray[Any]: ...


class Spool:
    """Encoded chunks of all levels above 0, in an unnamed file beside the output."""

    def __init__(self, directory: Path, n_levels: int) -> None:
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115  closed by `close`
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(n_levels)]
        self._end = 0

    def append(self, level: int, chunk: bytes) -> None:
        """Keep the next chunk of a level."""
        self._file.seek(self._end)
        self._file.write(chunk)
        self._places[level].append((self._end, len(chunk)))
        self._end += len(chunk)

    def chunks(self, level: int) -> Iterator[bytes]:
        """The chunks of a level, in the order of appending."""
        for offset, size in self._places[level]:
            self._file.seek(offset)
            yield self._file.read(size)

    def close(self) -> None:
        """Give the space back."""
        self._file.close()


class Pyramid:
    """Collects halved chunks of level 0, in row-major order, and spools all levels above it.

    Parameters
    ----------
    shape : (Y, X) of level 0, pixels
    dtype : of the pixels
    halve : how one level becomes the next
    spool : where encoded chunks go, one level for each of `level_shapes(shape)[1:]`
    """

    def __init__(
        self, shape: tuple[int, int], dtype: np.dtype[Any], halve: Halver, spool: Spool
    ) -> None:
        self._shapes = level_shapes(shape)
        self._halve = halve
        self._spool = spool
        self._rows = [
            np.zeros((CHUNK_PX, level[1]), dtype) if n else np.zeros((0, 0), dtype)
            for n, level in enumerate(self._shapes)
        ]

    def add(self, row: int, column: int, half: NDArray[Any]) -> None:
        """Take the halved chunk (row, column) of level 0."""
        if len(self._shapes) > 1:
            self._put(1, row, column, half)

    def _put(self, level: int, row: int, column: int, half: NDArray[Any]) -> None:
        y, x = (row & 1) * (CHUNK_PX // 2), column * (CHUNK_PX // 2)
        self._rows[level][y : y + half.shape[0], x : x + half.shape[1]] = half
        rows, columns = grid(self._shapes[level - 1])
        if column == columns - 1 and (row & 1 or row == rows - 1):
            self._emit(level, row >> 1)

    def _emit(self, level: int, row: int) -> None:
        """Encode a full row of chunks of a level, and halve it into the next."""
        height, width = self._shapes[level]
        full = self._rows[level][: min(CHUNK_PX, height - row * CHUNK_PX)]
        for column in range(grid((height, width))[1]):
            area = np.ascontiguousarray(full[:, column * CHUNK_PX : (column + 1) * CHUNK_PX])
            self._spool.append(level - 1, encode(area))
            if level + 1 < len(self._shapes):
                self._put(level + 1, row, column, self._halve(area))


def windows(shape: tuple[int, int]) -> Iterable[tuple[int, int, slice, slice]]:
    """The chunks of level 0 in row-major order: row, column, and the pixels they cover."""
    rows, columns = grid(shape)
    for row in range(rows):
        for column in range(columns):
            y, x = row * CHUNK_PX, column * CHUNK_PX
            yield (
                row, column,
                slice(y, min(y + CHUNK_PX, shape[0])), slice(x, min(x + CHUNK_PX, shape[1])),
            )  # fmt: skip
