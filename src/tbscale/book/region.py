"""The labels over one region of the image: the eye's check that a segmentation is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbscale.bench.agreement import LabelsOnDisk
from tbscale.book.drawing import ORANGE, Drawing, csv_of, finish, new_axes, styled
from tbscale.book.figures import described
from tbscale.book.shelf import Entry
from tbscale.images.open import open_plane

SIDE_PX = 320
CANDIDATES = 5  # windows a side, of which the one with most foreground is shown


def region_drawing(entry: Entry, image: Path, labels: Path) -> Drawing:
    """Outlines of the cells over the pixels of the fullest of some windows.

    Parameters
    ----------
    entry : its record says channel, level and crop
    image : the image that was segmented
    labels : TIFF of the labels of the crop
    """
    record = entry.record
    found = LabelsOnDisk(open_plane(labels))
    y, x = fullest_window(found)
    y0, _, x0, _ = record.dataset.crop or (0, 0, 0, 0)
    plane = open_plane(image, record.dataset.channel, record.dataset.level)
    pixels = plane.read(slice(y0 + y.start, y0 + y.stop), slice(x0 + x.start, x0 + x.stop))
    return _draw(entry, pixels, found[y, x], (y0 + y.start, x0 + x.start))


def fullest_window(labels: LabelsOnDisk, side_px: int = SIDE_PX) -> tuple[slice, slice]:
    """Of a grid of windows the one with most pixels in cells; the first of equals."""
    windows = [
        (slice(y, min(y + side_px, labels.shape[0])), slice(x, min(x + side_px, labels.shape[1])))
        for y in _starts(labels.shape[0], side_px)
        for x in _starts(labels.shape[1], side_px)
    ]
    return max(windows, key=lambda window: int(np.count_nonzero(labels[window])))


def _starts(length_px: int, side_px: int) -> list[int]:
    room = max(0, length_px - side_px)
    return sorted({room * number // (CANDIDATES - 1) for number in range(CANDIDATES)})


def outlines(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels of a cell that touch another label on the right, left, above or below."""
    edge = np.zeros(labels.shape, bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge & (labels > 0)


def _draw(
    entry: Entry, pixels: NDArray[Any], labels: NDArray[Any], corner: tuple[int, int]
) -> Drawing:
    low, high = np.percentile(pixels, (1, 99.7))
    grey = np.clip((pixels.astype(np.float32) - low) / max(float(high - low), 1e-6), 0, 1)
    shown = np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=2)
    shown[outlines(labels)] = [int(ORANGE[i : i + 2], 16) for i in (1, 3, 5)]
    cells = len(np.unique(labels[labels > 0]))
    y, x = corner
    where = f"rows {y} to {y + labels.shape[0]}, columns {x} to {x + labels.shape[1]}"
    noun = "cell" if cells == 1 else "cells"
    alt = f"{cells} {noun} outlined over the pixels of {where}: {described(entry)}."
    with styled():
        figure, axes = new_axes(5.0)
        axes.imshow(shown, interpolation="nearest")
        axes.set_axis_off()
        return finish(figure, f"{entry.address}-region", alt, csv_of(("cells",), [(cells,)]))
