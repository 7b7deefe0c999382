"""The metadata that makes a group of label arrays an OME-Zarr 0.5 label image.

The group at the root is the label image itself: it has `multiscales` and `image-label`. It does
not lie in the `labels` group of an intensity image, because the labels are an output of their
own and the image may be a TIFF. Viewers show it as labels because of `image-label`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tbscale.images.labels_out.zarr_json import group_document, write_document


def write_metadata(
    group: Path,
    n_levels: int,
    name: str,
    pixel_size_um: tuple[float, float] | None,
    provenance: Mapping[str, Any],
) -> None:
    """Write `ome`, and `tbscale` for what made the labels, as the attributes of a group."""
    ome = {
        "version": "0.5",
        "multiscales": [_multiscale(n_levels, name, pixel_size_um)],
        "image-label": {"version": "0.5"},
    }
    write_document(group, group_document({"ome": ome, "tbscale": dict(provenance)}))


def _multiscale(
    n_levels: int, name: str, pixel_size_um: tuple[float, float] | None
) -> dict[str, Any]:
    """Levels 0, 1, ...; pixel i of level n is at 2**n * i, so there is no translation."""
    unit = {} if pixel_size_um is None else {"unit": "micrometer"}
    y, x = pixel_size_um or (1.0, 1.0)
    return {
        "name": name,
        "type": "every second pixel",
        "axes": [{"name": axis, "type": "space", **unit} for axis in "yx"],
        "datasets": [
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [y * 2**level, x * 2**level]}
                ],
            }
            for level in range(n_levels)
        ],
    }
