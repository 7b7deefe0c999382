"""Labelled images to train on: a folder of real ones, and synthetic tissue.

Cellpose's own function makes the flows of the labels, so that the target is the one its
network was designed for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from cellpose import dynamics
from numpy.typing import NDArray
from skimage.io import imread

from tbscale.errors import DatasetError
from tbscale.images.standin.tissue import render_channel, render_labels, training_spec

IMAGE_SUFFIXES = {".png", ".tif", ".tiff"}
SYNTHETIC_PX = 416
VALIDATION_SHARE, TEST_SHARE = 0.08, 0.2

Source = TypeVar("Source")


@dataclass(frozen=True)
class LabelledImage:
    """An image and its instance labels.

    Attributes
    ----------
    name : stem of the file, or "synthetic-N"
    image : float32 (Y, X), as stored
    labels : int32 (Y, X), 0 = background
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[np.int32]


@dataclass(frozen=True)
class Sample:
    """What a crop is cut from.

    Attributes
    ----------
    image : float32 (Y, X), 0 and 1 at the 1st and 99th percentile
    labels : int32 (Y, X)
    flow : float32 (2, Y, X), unit vectors (dy, dx) towards the centre of each cell
    diameter_px : median diameter of a disk of equal area
    """

    image: NDArray[np.float32]
    labels: NDArray[np.int32]
    flow: NDArray[np.float32]
    diameter_px: float


def find_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Pair `folder/images/NAME.*` with `folder/labels/NAME.*`, sorted by name.

    Raises
    ------
    DatasetError : no such folders, or an image without labels
    """
    images, labels = folder / "images", folder / "labels"
    if not images.is_dir() or not labels.is_dir():
        raise DatasetError(f"{folder} has no images/ and labels/; pass a folder that has both")
    by_stem = {p.stem: p for p in labels.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES}
    pairs = []
    for path in sorted(p for p in images.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES):
        if path.stem not in by_stem:
            raise DatasetError(f"{path} has no labels; put {path.stem}.png into {labels}")
        pairs.append((path, by_stem[path.stem]))
    return pairs


def role_of(name: str) -> str:
    """Say whether an image is for "train", "validation" or "test", by the hash of its name alone.

    >>> role_of("0280fa8f60f6bcae") in {"train", "validation", "test"}
    True
    """
    draw = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    if draw < TEST_SHARE:
        return "test"
    return "validation" if draw < TEST_SHARE + VALIDATION_SHARE else "train"


def read_pairs(folder: Path, role: str) -> Iterator[LabelledImage]:
    """Read the images of `folder` that have this role; colour images are averaged to grey."""
    for image_path, labels_path in find_pairs(folder):
        if role_of(image_path.stem) == role:
            image = np.asarray(imread(image_path), np.float32)
            labels = np.asarray(imread(labels_path), np.int32)
            yield LabelledImage(
                image_path.stem, image.mean(axis=-1) if image.ndim == 3 else image, labels
            )


def draw_synthetic(seed: int, side_px: int = SYNTHETIC_PX) -> LabelledImage:
    """Draw one synthetic tissue image, as varied as training needs.

    Parameters
    ----------
    seed : int, the same seed gives the same image
    side_px : int, pixels, both sides
    """
    spec = training_spec(np.random.default_rng(seed), (side_px, side_px))
    whole = slice(0, side_px)
    image = render_channel(spec, whole, whole).astype(np.float32)
    labels = render_labels(spec, whole, whole).astype(np.int32)
    return LabelledImage(f"synthetic-{seed}", image, labels)


def median_diameter_px(labels: NDArray[np.int32]) -> float:
    """Median over the cells of the diameter of a disk of equal area, pixels; 0 without cells."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return float(np.median(2 * np.sqrt(areas / np.pi))) if areas.size else 0.0


def normalise(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale so that the 1st and 99th percentile become 0 and 1."""
    low, high = np.percentile(image, (1, 99))
    return np.asarray((image - low) / max(high - low, 1e-3), np.float32)


def prepare(item: LabelledImage) -> Sample | None:
    """Normalise an image and make the flows of its labels; None where it has no cell."""
    _, labels = np.unique(item.labels, return_inverse=True)
    labels = labels.reshape(item.labels.shape).astype(np.int32)
    if labels.max() == 0:
        return None
    flow = dynamics.masks_to_flows(labels.astype(np.int64), device=torch.device("cpu"))
    return Sample(
        normalise(item.image), labels, flow.astype(np.float32), median_diameter_px(labels)
    )


def prepare_synthetic(seed: int) -> Sample | None:
    """Draw a synthetic image and make its flows; None where it has no cell."""
    return prepare(draw_synthetic(seed))


def prepare_all(
    make: Callable[[Source], Sample | None], sources: Iterable[Source], workers: int = 0
) -> list[Sample]:
    """Make a sample of every source, in their order.

    Parameters
    ----------
    workers : processes that do so, each on one core; 0 for two threads of this one
    """
    executor: Executor = (
        ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,))
        if workers
        else ThreadPoolExecutor(2)
    )
    with executor as pool:
        return [sample for sample in pool.map(make, sources) if sample is not None]
