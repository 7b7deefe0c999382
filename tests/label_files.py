"""Labels to write, and how the tests read them back."""

from pathlib import Path

import numpy as np

from tbscale.images.open import open_image

ALL = slice(None)
NAMES = ["labels.ome.zarr", "labels.ome.tif", "labels.zarr", "labels.tiff", "LABELS.OME.TIF"]


def cells(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blobs of 5 px with ids over the whole range of uint32."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 2**32, (-(-height // 5), -(-width // 5)), dtype=np.uint32)
    ids[rng.random(ids.shape) < 0.3] = 0
    return np.kron(ids, np.ones((5, 5), np.uint32))[:height, :width]


def blocks(shape: tuple[int, int], core_px: int) -> list[tuple[slice, slice]]:
    return [
        (slice(y, min(y + core_px, shape[0])), slice(x, min(x + core_px, shape[1])))
        for y in range(0, shape[0], core_px)
        for x in range(0, shape[1], core_px)
    ]


def read_levels(path: Path) -> list[np.ndarray]:
    with open_image(path) as image:
        return [image.plane(0, n).read(ALL, ALL) for n in range(len(image.levels))]


class Source:
    """Labels in memory, and what was asked for."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels
        self.asked: list[tuple[slice, slice]] = []

    def read(self, y: slice, x: slice) -> np.ndarray:
        self.asked.append((y, x))
        return self.labels[y, x]


class Padded(Source):
    """The same, with all of what was asked for: 0 beyond the plane."""

    def read(self, y: slice, x: slice) -> np.ndarray:
        inside = super().read(y, x)
        whole = np.zeros((y.stop - y.start, x.stop - x.start), inside.dtype)
        whole[: inside.shape[0], : inside.shape[1]] = inside
        return whole
