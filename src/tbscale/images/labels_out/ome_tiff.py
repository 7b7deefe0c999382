"""Put the tiles of labels together as an OME-TIFF with its pyramid in SubIFDs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from tbscale.images.labels_out.chunks import Corner, LabelChunks
from tbscale.images.labels_out.codes import TIFF_CODE
from tbscale.images.workers import ahead

LARGEST_CLASSIC_BYTES = 2**32 - 2**26  # a classic TIFF addresses 4 GiB; leave room for its index


def stream_ome_tiff(
    path: Path,
    levels: list[LabelChunks],
    chunk_px: int,
    pixel_size_um: tuple[float, float] | None,
    provenance: Mapping[str, Any],
) -> None:
    """Write levels, full resolution first; BigTIFF where the labels might not fit 4 GiB.

    Memory: the code of the chunks that `ahead` holds.

    Parameters
    ----------
    levels : of `TIFF_CODE`
    """
    total_bytes = sum(prod(level.shape) * 4 for level in levels)
    with tifffile.TiffWriter(path, ome=True, bigtiff=total_bytes > LARGEST_CLASSIC_BYTES) as tif:
        for index, level in enumerate(levels):
            tif.write(
                data=_tiles(level),
                shape=level.shape,
                dtype=np.uint32,
                tile=(chunk_px, chunk_px),
                compression="adobe_deflate",
                predictor=True,
                photometric="minisblack",
                subifds=len(levels) - 1 if index == 0 else None,
                subfiletype=0 if index == 0 else 1,
                metadata=_metadata(pixel_size_um, provenance) if index == 0 else None,
                resolution=_resolution(pixel_size_um, index),
                resolutionunit="CENTIMETER" if pixel_size_um else "NONE",
                software="tbscale" if index == 0 else False,
            )


def _tiles(level: LabelChunks) -> Iterator[bytes]:
    """The code of every chunk, row by row; the next ones are read meanwhile."""
    empty = bytes(TIFF_CODE.encode(np.zeros(level.chunks, np.uint32)))

    def code(corner: Corner) -> bytes:
        stored = level.stored(corner)
        return empty if stored is None else stored

    return ahead(code, level.corners())


def _metadata(
    pixel_size_um: tuple[float, float] | None, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """What tifffile puts into the OME-XML."""
    facts: dict[str, Any] = {"axes": "YX", "Channel": {"Name": ["labels"]}}
    if pixel_size_um is not None:
        y, x = pixel_size_um
        facts |= {"PhysicalSizeY": y, "PhysicalSizeYUnit": "µm"}
        facts |= {"PhysicalSizeX": x, "PhysicalSizeXUnit": "µm"}
    if provenance:
        facts["MapAnnotation"] = {"Namespace": "tbscale"} | {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in provenance.items()
        }
    return facts


def _resolution(
    pixel_size_um: tuple[float, float] | None, level: int
) -> tuple[float, float] | None:
    """Pixels a centimetre, x before y as the tags have it."""
    if pixel_size_um is None:
        return None
    y, x = pixel_size_um
    return 1e4 / (x * 2**level), 1e4 / (y * 2**level)
