"""What OME-Zarr metadata says of one image: arrays, axes, channel names, pixel size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from tbscale.errors import ImageError
from tbscale.images.image import Channel, name_channels

# UDUNITS-2 names that the specification lists for space, in micrometres
MICROMETRES = {
    "picometer": 1e-6,
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "inch": 25.4e3,
    "meter": 1e6,
}
OLD_AXES = ("t", "c", "z", "y", "x")  # implied before 0.3


@dataclass(frozen=True)
class Multiscale:
    """One multiscale image. `places` are its arrays' paths; `axes` one letter for each axis."""

    version: str
    axes: str
    places: tuple[str, ...]
    names: tuple[str, ...]
    pixel_size_um: tuple[float, float] | None
    notes: tuple[str, ...]

    def length(self, axis: str, shape: tuple[int, ...]) -> int:
        """Length along an axis, 1 where the image has none."""
        return shape[self.axes.index(axis)] if axis in self.axes else 1

    def channels(self, shape: tuple[int, ...]) -> tuple[Channel, ...]:
        """One channel for each index along all axes but T, Z, Y and X."""
        count = prod(self._channel_lengths(shape))
        names = list(self.names) if len(self.names) == count else [""] * count
        return name_channels(names)

    def name_notes(self, shape: tuple[int, ...]) -> tuple[str, ...]:
        """What to tell of names that do not fit the channels."""
        count = prod(self._channel_lengths(shape))
        if not self.names or len(self.names) == count:
            return ()
        return (
            f"the metadata has {len(self.names)} names for {count} channels: they are not used",
        )

    def fix(self, channel: int, z: int, t: int, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Index along every axis but Y and X."""
        lengths = self._channel_lengths(shape)
        parts = iter(np.unravel_index(channel, lengths) if lengths else ())
        given = {"T": t, "Z": z}
        return tuple(given[a] if a in given else int(next(parts)) for a in self.axes[:-2])

    def _channel_lengths(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(n for a, n in zip(self.axes, shape, strict=True) if a not in "TZYX")


def parse_multiscale(path: Path, group: zarr.Group) -> tuple[str, Multiscale]:
    """The image of a group, and where below the group it is ("" = the group itself).

    Raises
    ------
    ImageError : the group is no image; the sentence says what it is
    """
    facts = _facts(group)
    if "multiscales" in facts:
        return "", _multiscale(path, facts)
    if "bioformats2raw.layout" in facts and "0" in group:
        inner = _facts(group["0"])
        if "multiscales" in inner:
            found = _multiscale(path, inner)
            others = ("the store holds several images: the first is read",) if "1" in group else ()
            return "0", Multiscale(**{**vars(found), "notes": (*found.notes, *others)})
    raise ImageError(f"{path} {_what_it_is(path, facts)}")


def _facts(group: Any) -> dict[str, Any]:
    """The OME metadata of a group: under `ome` from 0.5, at the top before."""
    attributes: dict[str, Any] = group.attrs.asdict()
    facts: dict[str, Any] = attributes.get("ome", attributes)
    return facts


def _what_it_is(path: Path, facts: dict[str, Any]) -> str:
    if "plate" in facts or "well" in facts:
        return "is a plate or well, not an image; pass one of its images, such as PLATE/A/1/0"
    if "labels" in facts:
        found = ", ".join(str(path / str(name)) for name in facts["labels"]) or "none"
        return f"is a list of label images, not an image; pass one of them ({found})"
    return "is a Zarr group without multiscales; pass the group that is an OME-Zarr image"


def _multiscale(path: Path, facts: dict[str, Any]) -> Multiscale:
    first = facts["multiscales"][0]
    axes = first.get("axes", OLD_AXES)
    datasets = first["datasets"]
    letters = "".join(_letter(axis) for axis in axes)
    if letters[-2:] != "YX" or len(set(letters)) < len(letters) or not datasets:
        raise ImageError(
            f"{path} has axes {letters or 'none'} and {len(datasets)} arrays, and a plane needs "
            "axes that differ and end in y and x; export it as OME-Zarr 0.5"
        )
    n = len(facts["multiscales"])
    return Multiscale(
        version=str(facts.get("version") or first.get("version") or "0.4"),
        axes=letters,
        places=tuple(str(dataset["path"]) for dataset in datasets),
        names=tuple(
            str(channel.get("label") or "")
            for channel in facts.get("omero", {}).get("channels", [])
        ),
        pixel_size_um=_pixel_size_um(axes, first, datasets[0]),
        notes=(f"the group holds {n} multiscales: the first is read",) if n > 1 else (),
    )


def _letter(axis: Any) -> str:
    """T, C, Z, Y or X, by type where the name says nothing; else the name's first letter."""
    name, kind = (axis, None) if isinstance(axis, str) else (axis["name"], axis.get("type"))
    by_kind = {"time": "T", "channel": "C"}
    if name.lower() not in OLD_AXES and kind in by_kind:
        return by_kind[kind]
    return str(name[:1].upper())


def _pixel_size_um(
    axes: Any, multiscale: dict[str, Any], dataset: dict[str, Any]
) -> tuple[float, float] | None:
    """(y, x): the scales of the image and of its first array, multiplied, in micrometres."""
    scale = np.ones(len(axes))
    found = False
    for owner in (multiscale, dataset):
        for transform in owner.get("coordinateTransformations", ()):
            factors = transform.get("scale", ())
            if transform.get("type") == "scale" and len(factors) == len(axes):
                scale, found = scale * np.asarray(factors, dtype=float), True
    units = [a.get("unit") if isinstance(a, dict) else None for a in axes[-2:]]
    y_um, x_um = (MICROMETRES.get(str(unit)) for unit in units)
    if not found or y_um is None or x_um is None:
        return None
    size = float(scale[-2]) * y_um, float(scale[-1]) * x_um
    return size if all(math.isfinite(one) and one > 0 for one in size) else None
