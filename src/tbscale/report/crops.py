"""Full-resolution crops: pixels, outlines of cells, and borders of blocks, as PNG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tbscale.book.region import outlines
from tbscale.images.plane import Plane
from tbscale.report.survey import Place

OUTLINE = (230, 159, 0)  # the orange of Okabe and Ito
BORDER = (86, 180, 233)  # their sky blue
DASH_PX = 6


@dataclass(frozen=True)
class Crop:
    """One crop, drawn.

    Attributes
    ----------
    plain, outlined : PNG files
    cells : ids in the crop
    crossing : of these, those on both sides of a border of blocks
    """

    place: Place
    plain: bytes
    outlined: bytes
    shape: tuple[int, int]
    cells: int
    crossing: int


def draw_crops(pixels: Plane, labels: Plane, places: list[Place]) -> list[Crop]:
    """Read and draw the crops, all with the same grey scale."""
    windows = [(pixels.read(*p.region), labels.read(*p.region)) for p in places]
    if not windows:
        return []
    together = np.concatenate([values.ravel() for values, _ in windows])
    low, high = (float(v) for v in np.nanpercentile(together.astype(np.float64), (1, 99.7)))
    return [
        _draw(place, to_grey(values, low, high), found)
        for place, (values, found) in zip(places, windows, strict=True)
    ]


def to_grey(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Pixels as uint8: `low` is black, `high` is white."""
    scaled = (values.astype(np.float32) - low) / max(high - low, 1e-6)
    return (np.clip(np.nan_to_num(scaled), 0, 1) * 255).astype(np.uint8)


def _draw(place: Place, grey: NDArray[np.uint8], found: NDArray[Any]) -> Crop:
    shown = np.repeat(grey[..., None], 3, axis=2)
    plain = bytes(imagecodecs.png_encode(shown))
    top, left = place.region[0].start, place.region[1].start
    rows, columns = [y - top for y in place.borders_y], [x - left for x in place.borders_x]
    shown[outlines(found)] = OUTLINE
    for y in rows:
        shown[y, np.arange(shown.shape[1]) // DASH_PX % 2 == 0] = BORDER
    for x in columns:
        shown[np.arange(shown.shape[0]) // DASH_PX % 2 == 0, x] = BORDER
    ids = np.unique(found[found > 0])
    height, width = grey.shape
    crossing: set[int] = set()
    for y in rows:
        crossing |= _on_both_sides(found[:y], found[y:])
    for x in columns:
        crossing |= _on_both_sides(found[:, :x], found[:, x:])
    return Crop(
        place, plain, bytes(imagecodecs.png_encode(shown)), (height, width), len(ids), len(crossing)
    )


def _on_both_sides(a: NDArray[Any], b: NDArray[Any]) -> set[int]:
    """Ids, without background, that both parts hold."""
    return {int(k) for k in np.intersect1d(a, b)} - {0}
