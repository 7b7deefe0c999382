"""The picture of README.md: a piece of an image, and the same piece with its cells outlined."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from tbscale.book.region import outlines
from tbscale.images.open import open_plane

ZOOM = 2  # screen pixels for one pixel of the image
GAP_PX = 6
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7")
WHITE = 255


def draw_picture(
    image: Path, labels: Path, out: Path, crop: tuple[int, int, int, int], channel: int = 0
) -> None:
    """Write a PNG of two panels: the pixels, and the pixels with each cell outlined.

    Parameters
    ----------
    image, labels : files with planes of the same shape; `channel` of the image is shown
    crop : (y0, y1, x0, x1) in pixels, the piece that is shown
    """
    y, x = slice(crop[0], crop[1]), slice(crop[2], crop[3])
    grey = stretch(open_plane(image, channel).read(y, x))
    cells = open_plane(labels).read(y, x)
    left = np.repeat(grey[..., None], 3, axis=2)
    gap = np.full((left.shape[0], GAP_PX // ZOOM, 3), WHITE, np.uint8)
    panels = np.concatenate([left, gap, outlined(left, cells)], axis=1)
    buffer = io.BytesIO()
    enlarged = panels.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    imsave(buffer, enlarged, format="png", metadata={"Software": "tbscale"})
    part = out.with_name(f".{out.name}.part")
    part.write_bytes(buffer.getvalue())
    part.replace(out)


def stretch(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey from the 1st to the 99.7th percentile, with the square root of light."""
    low, high = np.percentile(pixels, (1, 99.7))
    light = np.clip((pixels.astype(np.float32) - low) / max(float(high - low), 1e-6), 0, 1)
    return np.asarray(np.sqrt(light) * WHITE, np.uint8)


def outlined(rgb: NDArray[np.uint8], labels: NDArray[Any]) -> NDArray[np.uint8]:
    """A copy of the picture with the edge of each cell in one of a few colours."""
    palette = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in COLOURS], np.uint8)
    drawn = rgb.copy()
    edge = outlines(labels)
    drawn[edge] = palette[labels[edge] % len(COLOURS)]
    return drawn
