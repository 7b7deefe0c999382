"""The documents of a Zarr group and its arrays, as zarr writes them.

Written here, because zarr takes longer for the few of one output than a whole level does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tbscale.images.labels_out.disk import write_whole

ZARR_JSON = "zarr.json"


def group_document(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A group of Zarr 3."""
    return {"attributes": dict(attributes), "zarr_format": 3, "node_type": "group"}


def array_document(
    shape: tuple[int, int], chunks: tuple[int, int], chain: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """An array of labels, uint32 (Y, X), whose chunks are files in folders of their rows.

    Parameters
    ----------
    chunks : (Y, X), pixels
    chain : codecs
    """
    return {
        "shape": list(shape),
        "data_type": "uint32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": list(chain),
        "attributes": {},
        "dimension_names": ["y", "x"],
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def write_document(folder: Path, document: Mapping[str, Any]) -> None:
    """Write the document of the group or array in a folder, complete or not at all."""
    content = json.dumps(document, indent=2, allow_nan=True)
    write_whole(str(folder / ZARR_JSON), content.encode())


def read_document(folder: Path) -> Any:
    """The document of the group or array in a folder; None where it cannot be read."""
    try:
        return json.loads((folder / ZARR_JSON).read_bytes())
    except ValueError:
        return None
