"""Read back what made a label file: the metadata that `tbscale segment` left in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile
import zarr

from tbscale.errors import ImageError

NAMESPACE = "tbscale"


def read_provenance(path: Path) -> dict[str, Any]:
    """The parameters, the grade and the facts of the run that a label file holds, as JSON values.

    Raises
    ------
    ImageError : no such file, or one that tbscale did not write
    """
    if not path.exists():
        raise ImageError(f"there is no file or directory {path}; pass labels of `tbscale segment`")
    found = _from_zarr(path) if path.is_dir() else _from_tiff(path)
    if not found:
        raise ImageError(
            f"{path} does not say what made it; pass labels that `tbscale segment` wrote"
        )
    return found


def _from_zarr(path: Path) -> dict[str, Any]:
    if not (path / "zarr.json").is_file():
        return {}
    attributes: dict[str, Any] = zarr.open_group(path, mode="r").attrs.asdict()
    return dict(attributes.get(NAMESPACE, {}))


def _from_tiff(path: Path) -> dict[str, Any]:
    try:
        with tifffile.TiffFile(path) as tif:
            xml = tif.ome_metadata
    except tifffile.TiffFileError:
        return {}
    if not xml:
        return {}
    entries = [
        entry
        for annotation in ElementTree.fromstring(xml).iter()
        if annotation.tag.endswith("}MapAnnotation")
        and annotation.attrib.get("Namespace") == NAMESPACE
        for entry in annotation.iter()
        if entry.tag.endswith("}M")
    ]
    return {entry.attrib["K"]: _value(entry.text or "") for entry in entries}


def _value(text: str) -> Any:
    """The JSON value that a text stands for, or the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
