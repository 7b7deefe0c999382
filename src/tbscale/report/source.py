"""What a report is made from: the labels, what they say of themselves, and the image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tbscale.errors import ImageError
from tbscale.images.image import Image, Level
from tbscale.images.labels_out.provenance import read_provenance
from tbscale.images.open import open_image
from tbscale.images.plane import Plane


@dataclass(frozen=True)
class Source:
    """One segmentation on disk.

    Attributes
    ----------
    labels, pixels : planes of one shape
    overview : the coarsest stored level of the same channel that is still fine enough to show
    count : cells
    largest_id : of the labels
    channel_name : of the segmented channel
    pixel_size_um : (y, x) of the labels, if known
    facts : what made the labels, JSON values; `run` holds plan, time and memory
    """

    name: str
    image_name: str
    labels: Plane
    pixels: Plane
    overview: Plane
    count: int
    largest_id: int
    channel_name: str
    pixel_size_um: tuple[float, float] | None
    facts: dict[str, Any]


def find_image(labels: Path, facts: dict[str, Any], given: Path | None) -> Path:
    """The image of some labels: the one given, or its name beside the labels or here.

    Raises
    ------
    ImageError : it is in neither place
    """
    if given is not None:
        return given
    name = str(facts.get("image name", ""))
    for folder in (labels.resolve().parent, Path.cwd()):
        if name and (folder / name).exists():
            return folder / name
    raise ImageError(
        f"{labels} was made from {name or 'an image without a name'}, which is neither beside it "
        "nor here; pass --image PATH"
    )


def open_source(labels: Path, given_image: Path | None, overview_px: int) -> Source:
    """Open what a report needs; planes are read later, by region.

    Parameters
    ----------
    overview_px : longer side that the overview needs at least, pixels

    Raises
    ------
    ImageError : not labels of tbscale, or another image than theirs
    """
    facts = read_provenance(labels)
    if "cells" not in facts:
        raise ImageError(f"{labels} does not say how many cells it has; segment again")
    path = find_image(labels, facts, given_image)
    with open_image(labels) as opened:
        found, pixel_size_um = opened.plane(0), opened.pixel_size_um
    level = int(facts.get("level") or 0)
    pixels, overview, channel_name = open_segmented(path, facts, level, overview_px)
    if pixels.shape != found.shape:
        raise ImageError(
            f"{path} has {pixels.shape[0]} x {pixels.shape[1]} px at level {level} and the labels "
            f"{found.shape[0]} x {found.shape[1]}; pass the image that was segmented"
        )
    return Source(
        labels.name,
        path.name,
        found,
        pixels,
        overview,
        int(facts["cells"]),
        int(facts.get("largest id", facts["cells"])),
        channel_name,
        pixel_size_um,
        facts,
    )


def open_segmented(
    path: Path, facts: dict[str, Any], level: int, overview_px: int
) -> tuple[Plane, Plane, str]:
    """The plane that was segmented, its overview, and the name of its channel."""
    with open_image(path) as image:
        channel = 0 if facts.get("channel") is None else image.pick_channel(facts["channel"])
        place = facts.get("z"), facts.get("t")
        pixels = image.plane(channel, level, *place)
        overview = image.plane(channel, overview_level(image, level, overview_px), *place)
        return pixels, overview, image.channels[channel].name


def overview_level(image: Image, level: int, overview_px: int) -> int:
    """The coarsest level from `level` on whose longer side has `overview_px`, else `level`."""
    fine: list[Level] = [one for one in image.levels[level:] if max(one.shape) >= overview_px]
    return fine[-1].index if fine else level
