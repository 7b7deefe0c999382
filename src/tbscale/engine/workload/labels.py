"""Facts of labels, computed strip by strip so that they need no second plane in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastremap
import numpy as np
import tifffile
from numpy.typing import NDArray

from tbscale.engine.workload.engines import LabelPlane

STRIP_PX = 1024
LARGEST_STRIP_PX = 2**23  # pixels: below what the run itself held, however wide the plane
TILE_PX = 512


@dataclass(frozen=True)
class LabelFacts:
    """Cells, pixels inside them, and the checksum of the partition."""

    cells: int
    foreground_pixels: int
    sha256: str


def label_facts(labels: LabelPlane | NDArray[Any], strip_px: int | None = None) -> LabelFacts:
    """Count cells and hash the partition: equal hashes mean the same cells, whatever their ids.

    Ids are renumbered in the order in which a raster scan meets them; the hash is of the shape
    and of the renumbered labels as little-endian uint32 in C order.

    Parameters
    ----------
    labels : unsigned (Y, X), 0 = background, any ids; read `strip_px` rows at a time
    """
    height, width = labels.shape
    strip_px = strip_px or max(1, min(STRIP_PX, LARGEST_STRIP_PX // width))
    digest = hashlib.sha256(f"{height}x{width}".encode())
    numbers = _Renumbering()
    foreground = 0
    for y0 in range(0, height, strip_px):
        strip = numbers.apply(np.asarray(labels[y0 : min(y0 + strip_px, height), 0:width]))
        foreground += int(np.count_nonzero(strip))
        digest.update(strip.astype("<u4", copy=False).tobytes())
    return LabelFacts(numbers.count, foreground, digest.hexdigest())


class _Renumbering:
    """New ids in raster order, kept from strip to strip as two sorted arrays."""

    def __init__(self) -> None:
        self.old = np.zeros(1, np.uint64)
        self.new = np.zeros(1, np.uint32)

    @property
    def count(self) -> int:
        return len(self.old) - 1

    def apply(self, strip: NDArray[Any]) -> NDArray[np.uint32]:
        ids, first, inverse = fastremap.unique(strip, return_index=True, return_inverse=True)
        ids = ids.astype(np.uint64)
        unseen = ~np.isin(ids, self.old)
        self._add(ids[unseen][np.argsort(first[unseen])])
        numbers = self.new[np.searchsorted(self.old, ids)]
        renumbered: NDArray[np.uint32] = numbers[inverse].reshape(strip.shape)
        return renumbered

    def _add(self, ids: NDArray[np.uint64]) -> None:
        numbers = np.arange(self.count + 1, self.count + 1 + len(ids), dtype=np.uint32)
        old, new = np.concatenate([self.old, ids]), np.concatenate([self.new, numbers])
        order = np.argsort(old)
        self.old, self.new = old[order], new[order]


def write_labels(labels: LabelPlane | NDArray[Any], path: Path) -> None:
    """Write labels as a tiled, compressed uint32 TIFF; never leaves a part under `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    tifffile.imwrite(
        part,
        data=_tiles(labels),
        shape=tuple(labels.shape),
        dtype=np.uint32,
        tile=(TILE_PX, TILE_PX),
        compression="deflate",
        bigtiff=True,
    )
    part.replace(path)


def _tiles(labels: LabelPlane | NDArray[Any]) -> Iterator[NDArray[np.uint32]]:
    height, width = labels.shape
    for y0 in range(0, height, TILE_PX):
        for x0 in range(0, width, TILE_PX):
            region = labels[y0 : min(y0 + TILE_PX, height), x0 : min(x0 + TILE_PX, width)]
            tile = np.zeros((TILE_PX, TILE_PX), np.uint32)
            tile[: region.shape[0], : region.shape[1]] = region
            yield tile
