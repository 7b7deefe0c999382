"""A plane: one channel at one level, of which any region can be read without the rest."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tbscale.errors import ImageError


class Plane(Protocol):
    """One channel of one level (and one z, one t), read by region.

    Regions may be read from several threads at once. A plane stays readable after the image
    that it came from is closed.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X), pixels."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in the byte order of this machine."""
        ...

    @property
    def chunk_shape(self) -> tuple[int, int]:
        """(Y, X) of the stored unit, pixels: reads along its borders touch the fewest bytes."""
        ...

    @property
    def bytes_read(self) -> int:
        """Bytes of the file touched by all reads so far; metadata is not counted."""
        ...

    def read(self, y: slice, x: slice) -> NDArray[Any]:
        """Pixels of the region, a new (Y, X) array in `dtype`.

        Parameters
        ----------
        y, x : slice of pixels, step 1; an absent bound is the border of the plane

        Raises
        ------
        ImageError : the region leaves the plane, or the file is damaged there
        """
        ...


def region_bounds(shape: tuple[int, int], y: slice, x: slice) -> tuple[int, int, int, int]:
    """(y0, y1, x0, x1) of a region that must lie inside a plane, pixels.

    Raises
    ------
    ImageError : a step, or a bound outside the plane (regions are never clipped or wrapped)

    >>> region_bounds((4, 6), slice(1, 3), slice(None))
    (1, 3, 0, 6)
    """
    y0, y1 = 0 if y.start is None else y.start, shape[0] if y.stop is None else y.stop
    x0, x1 = 0 if x.start is None else x.start, shape[1] if x.stop is None else x.stop
    inside = 0 <= y0 <= y1 <= shape[0] and 0 <= x0 <= x1 <= shape[1]
    if not inside or y.step not in (None, 1) or x.step not in (None, 1):
        raise ImageError(
            f"region {y0}:{y1},{x0}:{x1} with steps {y.step or 1} and {x.step or 1} does not lie "
            f"in a plane of {shape[0]} x {shape[1]} (Y x X); keep within it, with step 1"
        )
    return int(y0), int(y1), int(x0), int(x1)


@dataclass(frozen=True)
class CroppedPlane:
    """A part of a plane as a plane of its own; see `crop_plane`.

    Its chunks have the shape of the plane's, but begin where those do: the first row and column
    of them are cut.
    """

    plane: Plane
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X), pixels."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return self.plane.dtype

    @property
    def chunk_shape(self) -> tuple[int, int]:
        """(Y, X) of the stored unit, pixels."""
        return self.plane.chunk_shape

    @property
    def bytes_read(self) -> int:
        """Bytes of the file touched so far, by whoever reads the same plane."""
        return self.plane.bytes_read

    def read(self, y: slice, x: slice) -> NDArray[Any]:
        """See `Plane.read`."""
        y0, y1, x0, x1 = region_bounds(self.shape, y, x)
        top, left = self.rows.start, self.columns.start
        return self.plane.read(slice(top + y0, top + y1), slice(left + x0, left + x1))


def crop_plane(plane: Plane, rows: slice, columns: slice) -> Plane:
    """A region of a plane as a plane of its own, or the plane where the region is all of it.

    Raises
    ------
    ImageError : as `region_bounds`

    >>> crop_plane(ArrayPlane(np.eye(3)), slice(1, 3), slice(0, 2)).read(slice(0, 1), slice(0, 2))
    array([[0., 1.]])
    """
    y0, y1, x0, x1 = region_bounds(plane.shape, rows, columns)
    if (y1 - y0, x1 - x0) == plane.shape:
        return plane
    return CroppedPlane(plane, slice(y0, y1), slice(x0, x1))


class ByteCount:
    """A sum of bytes that several threads may add to."""

    def __init__(self) -> None:
        self.total = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Add `count` bytes."""
        with self._lock:
            self.total += count


@dataclass(frozen=True)
class ArrayPlane:
    """A plane held in memory; for tests, crops and small images.

    >>> ArrayPlane(np.eye(3)).read(slice(1, 2), slice(0, 3))
    array([[0., 1., 0.]])
    """

    pixels: NDArray[Any]

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2:
            raise ImageError(
                f"an array of shape {self.pixels.shape} is no plane; pass one of shape (Y, X)"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X), pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return self.pixels.dtype.newbyteorder("=")

    @property
    def chunk_shape(self) -> tuple[int, int]:
        """The whole plane."""
        return self.shape

    @property
    def bytes_read(self) -> int:
        """0: there is no file."""
        return 0

    def read(self, y: slice, x: slice) -> NDArray[Any]:
        """A copy of the region."""
        y0, y1, x0, x1 = region_bounds(self.shape, y, x)
        return np.array(self.pixels[y0:y1, x0:x1], dtype=self.dtype, order="C")
