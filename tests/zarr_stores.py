"""OME-Zarr images to test with."""

from pathlib import Path
from typing import Any

import numpy as np
import zarr

TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def write_store(
    path: Path,
    pixels: np.ndarray,
    axes: str = "cyx",
    zarr_format: int = 3,
    names: list[str] | None = None,
    n_levels: int = 2,
    unit: str | None = "micrometer",
    **array: Any,
) -> None:
    """An OME-Zarr image, each level every second pixel of the one before."""
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
    if zarr_format == 2:
        array["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    datasets = []
    for level in range(n_levels):
        step = 2**level
        pyramid = pixels[..., ::step, ::step]
        chunks = array.get("chunks", (*[1] * (pixels.ndim - 2), 16, 20))
        group.create_array(
            f"s{level}", shape=pyramid.shape, dtype=pixels.dtype, **array | {"chunks": chunks}
        )[...] = pyramid
        scale = [0.65 * step if a == "y" else 0.5 * step if a == "x" else 1.0 for a in axes]
        datasets.append(
            {
                "path": f"s{level}",
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    unit_of = {a: {"unit": unit} for a in "yx"} if unit else {}
    multiscale = {
        "axes": [{"name": a, "type": TYPES[a], **unit_of.get(a, {})} for a in axes],
        "datasets": datasets,
    }
    facts: dict[str, Any] = {"multiscales": [multiscale]}
    if names is not None:
        facts["omero"] = {"channels": [{"label": name} for name in names]}
    if zarr_format == 2:
        multiscale["version"] = "0.4"
        group.attrs.update(facts)
    else:
        group.attrs["ome"] = {"version": "0.5", **facts}


def noise(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
