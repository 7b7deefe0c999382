"""The labels that blocks own: one file a block, and all of them read as one plane."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Region, shape_of

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


class OwnedStore:
    """What each block owns, one file a block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "owned"
        self._folder.mkdir(exist_ok=True)

    def _path(self, index: int) -> Path:
        return self._folder / f"{index}.npz"

    def has(self, index: int) -> bool:
        """Whether the block is done."""
        return self._path(index).is_file()

    def write(self, index: int, owned: Owned) -> None:
        """Store a block's cells, complete or not at all."""
        (y, x), labels = owned.region, np.ascontiguousarray(owned.labels)
        partial = self._path(index).with_suffix(".partial")
        with partial.open("wb") as stream:
            np.savez(
                stream,
                region=np.array([y.start, y.stop, x.start, x.stop], np.int64),
                labels=np.frombuffer(
                    imagecodecs.zstd_encode(labels.tobytes(), OWNED_LEVEL), np.uint8
                ),
                first=owned.first,
                area=owned.area,
                error=owned.error,
                box=owned.box,
            )
        partial.replace(self._path(index))

    def table(self, index: int) -> dict[str, NDArray[Any]]:
        """The per-cell arrays of a block and its region, without the labels."""
        with np.load(self._path(index)) as stored:
            return {name: stored[name] for name in ("region", "first", "area", "error", "box")}

    def labels(self, index: int, region: Region) -> NDArray[np.uint32]:
        """The labels of a block over its stored region."""
        with np.load(self._path(index)) as stored:
            raw = imagecodecs.zstd_decode(stored["labels"].tobytes())
        return np.frombuffer(raw, np.uint32).reshape(shape_of(region))


class LabelSource(Protocol):
    """Provisional labels of a plane, read by region."""

    def read(self, region: Region, new_id: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Labels uint32 (H, W) of a region, each provisional id k replaced by `new_id[k]`."""
        ...


@dataclass(frozen=True)
class ArrayLabels:
    """Provisional labels held in memory: uint32 (Y, X)."""

    labels: NDArray[np.uint32]

    def read(self, region: Region, new_id: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """See `LabelSource`."""
        return np.asarray(new_id[self.labels[region]], np.uint32)


class MergedLabels:
    """The labels of all blocks, by region, as global provisional ids."""

    def __init__(self, store: OwnedStore, regions: list[Region], offsets: list[int]) -> None:
        self._store = store
        self._regions = regions
        self._offsets = offsets
        self._bounds = np.array(
            [(y.start, y.stop, x.start, x.stop) for y, x in regions], np.int64
        ).reshape(-1, 4)

    def _meeting(self, region: Region) -> list[int]:
        """Indices of the blocks whose stored region meets `region`."""
        y0, y1, x0, x1 = self._bounds.T
        rows, columns = region
        meet = (y0 < rows.stop) & (rows.start < y1) & (x0 < columns.stop) & (columns.start < x1)
        return [int(index) for index in np.flatnonzero(meet)]

    def read(self, region: Region, new_id: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Labels uint32 (H, W) of a region.

        Parameters
        ----------
        new_id : uint32 (cells + 1,), what each provisional id becomes; 0 removes it
        """
        out = np.zeros(shape_of(region), np.uint32)
        for index in self._meeting(region):
            stored = self._regions[index]
            labels = self._store.labels(index, stored)
            y0, x0 = (max(s.start, r.start) for s, r in zip(stored, region, strict=True))
            y1, x1 = (min(s.stop, r.stop) for s, r in zip(stored, region, strict=True))
            part = labels[
                y0 - stored[0].start : y1 - stored[0].start,
                x0 - stored[1].start : x1 - stored[1].start,
            ]
            count = int(part.max(initial=0))
            if count:
                ids = np.concatenate(
                    ([np.uint32(0)], new_id[self._offsets[index] + 1 :][:count])
                ).astype(np.uint32)
                target = out[
                    y0 - region[0].start : y1 - region[0].start,
                    x0 - region[1].start : x1 - region[1].start,
                ]
                target += ids[part]  # no two blocks own the same pixel
        return out
