"""The labels that blocks own, one file a block.

Most of a block's cells lie in its core, which few cells of other blocks reach into. What lies
beyond the core is kept as a list of pixels, so that reading a piece of the plane decodes the cores
that it meets and no neighbour of them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Region, bounds_of, overlap, shape_of, within

OWNED_LEVEL = 1  # zstd


@dataclass(frozen=True)
class Owned:
    """The cells that a block owns.

    Attributes
    ----------
    region : slices of the plane
    labels : uint32, of the region's shape, 1 + index into the arrays below
    first : int64 (n,), raster index in the plane of the cell's first pixel
    area : int64 (n,), pixels
    error : float64 (n,), flow error
    box : int64 (n, 4), y0, y1, x0, x1 in the plane, half open
    """

    region: Region
    labels: NDArray[np.uint32]
    first: NDArray[np.int64]
    area: NDArray[np.int64]
    error: NDArray[np.float64]
    box: NDArray[np.int64]


# numpy parses the header of an array as Python; where two threads of CPython 3.11 do so at once,
# that is now and then a SystemError, "AST constructor recursion depth mismatch"
_loading = threading.Lock()


@dataclass(frozen=True)
class Beyond:
    """Pixels of a block's cells outside its core.

    Attributes
    ----------
    y, x : int32 (n,), in the plane
    labels : uint32 (n,), as in `Owned`
    """

    y: NDArray[np.int32]
    x: NDArray[np.int32]
    labels: NDArray[np.uint32]


class OwnedStore:
    """What each block owns, one file a block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "owned"
        self._folder.mkdir(exist_ok=True)

    def _path(self, index: int) -> Path:
        return self._folder / f"{index}-cells.npz"

    def has(self, index: int) -> bool:
        """Whether the block is done."""
        return self._path(index).is_file()

    def write(self, index: int, owned: Owned, core: Region) -> None:
        """Store a block's cells, complete or not at all."""
        inner = overlap(owned.region, core)
        labels = np.ascontiguousarray(owned.labels[within(inner, owned.region)])
        beyond = find_beyond(owned, inner)
        partial = self._path(index).with_suffix(".partial")
        with partial.open("wb") as stream:
            np.savez(
                stream,
                region=bounds_of(owned.region),
                inner=bounds_of(inner),
                labels=np.frombuffer(
                    imagecodecs.zstd_encode(labels.tobytes(), OWNED_LEVEL), np.uint8
                ),
                beyond_y=beyond.y,
                beyond_x=beyond.x,
                beyond=beyond.labels,
                first=owned.first,
                area=owned.area,
                error=owned.error,
                box=owned.box,
            )
        partial.replace(self._path(index))

    def table(self, index: int) -> dict[str, NDArray[Any]]:
        """The per-cell arrays of a block and its regions, without the labels."""
        names = ("region", "inner", "first", "area", "error", "box")
        return dict(zip(names, self._arrays(index, names), strict=True))

    def _arrays(self, index: int, names: Sequence[str]) -> list[NDArray[Any]]:
        with _loading, np.load(self._path(index)) as stored:
            return [stored[name] for name in names]

    def labels(self, index: int, inner: Region) -> NDArray[np.uint32]:
        """The labels of a block over the part of its region that lies in its core."""
        (code,) = self._arrays(index, ("labels",))
        raw = imagecodecs.zstd_decode(code.tobytes())
        return np.frombuffer(raw, np.uint32).reshape(shape_of(inner))

    def beyond(self, index: int) -> Beyond:
        """The rest of the labels of a block."""
        return Beyond(*self._arrays(index, ("beyond_y", "beyond_x", "beyond")))


def find_beyond(owned: Owned, inner: Region) -> Beyond:
    """List the pixels outside of `inner`, which lies in the region of `owned`."""
    (y, x), (rows, columns) = owned.region, inner
    sides = (
        (slice(y.start, rows.start), x),
        (slice(rows.stop, y.stop), x),
        (rows, slice(x.start, columns.start)),
        (rows, slice(columns.stop, x.stop)),
    )
    found = []
    for side in sides:
        part = owned.labels[within(side, owned.region)]
        at_y, at_x = np.nonzero(part)
        found.append((at_y + side[0].start, at_x + side[1].start, part[at_y, at_x]))
    at_y, at_x, labels = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return Beyond(at_y.astype(np.int32), at_x.astype(np.int32), labels)


class ProvisionalLabels(Protocol):
    """Provisional labels of a plane, read by region."""

    def read(
        self, region: Region, new_id: NDArray[np.uint32], out: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """Labels uint32 (H, W) of a region, each provisional id k replaced by `new_id[k]`.

        Parameters
        ----------
        out : memory of any content for them; None takes new
        """
        ...

    def forget(self) -> None:
        """Let go of the memory that is kept from one read to the next."""
        ...


@dataclass(frozen=True)
class ArrayLabels:
    """Provisional labels held in memory: uint32 (Y, X)."""

    labels: NDArray[np.uint32]

    def read(
        self, region: Region, new_id: NDArray[np.uint32], out: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """See `ProvisionalLabels`."""
        return np.asarray(np.take(new_id, self.labels[region], out=out), np.uint32)

    def forget(self) -> None:
        """Nothing is kept."""
