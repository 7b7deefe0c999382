"""What is measured: which image file stands behind a name, and whether it is a stand-in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tifffile

from tbscale.errors import DatasetError
from tbscale.images.datasets import DATASETS
from tbscale.images.standin.writer import labels_path

# what the writer of stand-ins says in the file's description
STAND_IN = re.compile(r"stand-in of (?P<name>[A-Za-z0-9._-]+), seed (?P<seed>\d+)")
FOLDERS = (Path("data"), Path())  # where `tbscale data` puts files, and the present folder
TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf2", ".tf8")


@dataclass(frozen=True)
class Subject:
    """An image to measure.

    Attributes
    ----------
    name : of the dataset, or made of the file's name
    image : the file
    origin : real, or stand-in where the file says so
    true_labels : the known labels of a stand-in, if they lie beside it
    """

    name: str
    image: Path
    origin: Literal["real", "stand-in"]
    true_labels: Path | None


def find_subject(name: str | None, image: Path | None) -> Subject:
    """Find the image of a name, or the name of an image.

    Parameters
    ----------
    name : a dataset; its real file or stand-in is looked for in `data/` and here
    image : a file or store, which then goes under `name`, its stand-in's name, or its own

    Raises
    ------
    DatasetError : neither was given, the file is missing, nothing was found for the name, or the
        file is the stand-in of another dataset
    """
    if image is None:
        if name is None:
            raise DatasetError("neither a dataset nor an image was given; pass one of them")
        image = find_image(name)
    if not image.exists():
        raise DatasetError(f"there is no image {image}; pass the path of one")
    imitated = stand_in_of(image)
    if imitated and name in DATASETS and name != imitated:
        raise DatasetError(f"{image} is a stand-in of {imitated}, not of {name}; pass {imitated}")
    own_name = imitated or slugify(image.name)
    labels = _true_labels(image) if imitated else None
    return Subject(name or own_name, image, "stand-in" if imitated else "real", labels)


def find_image(name: str) -> Path:
    """The file of a dataset: the real one if it was fetched, else its stand-in.

    Raises
    ------
    DatasetError : unknown name, or no file of it here
    """
    if name not in DATASETS:
        raise DatasetError(
            f"{name!r} is neither a file nor a dataset; pass the path of an image, or one of "
            f"{', '.join(DATASETS)}"
        )
    files = (DATASETS[name].file, f"{name}-stand-in.ome.tif")
    for file in files:
        for folder in FOLDERS:
            if (folder / file).is_file():
                return folder / file
    raise DatasetError(
        f"there is no {files[0]} in data/ or here; make its stand-in with "
        f"`tbscale data stand-in {name} --out data/{files[0]}`, or fetch it with "
        f"`tbscale data fetch {name}`"
    )


def stand_in_of(image: Path) -> str | None:
    """Name of the dataset that a file imitates, as its description says; None for others."""
    if image.is_dir() or not image.name.lower().endswith(TIFF_SUFFIXES):
        return None
    try:
        with tifffile.TiffFile(image) as tif:
            found = STAND_IN.search(tif.pages.first.description)
    except (tifffile.TiffFileError, ValueError, IndexError):
        return None
    return found["name"] if found else None


def _true_labels(image: Path) -> Path | None:
    path = labels_path(image)
    return path if path.is_file() else None


def slugify(file_name: str) -> str:
    """A file's name as a dataset name: no suffix, no odd characters.

    >>> slugify("Lung section 7.ome.tif")
    'Lung-section-7'
    """
    stem = re.sub(r"(\.ome)?\.[A-Za-z0-9]+$", "", file_name)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:60] or "image"
