"""Made-up TIFFs, and what reading one is set beside: tifffile's full read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from tbscale.images.image import Image
from tbscale.images.open import open_image
from tbscale.images.plane import Plane

ALL = slice(None)


def noise(shape: tuple[int, ...], dtype: str = "uint16", seed: int = 0) -> np.ndarray:
    """Values over the whole range of a type, some smooth, so that codecs have work to do."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.random(shape) < 0.4
    if kind.kind in "fc":
        return rng.normal(size=shape).astype(kind)
    limits = np.iinfo(kind)
    high = min(int(limits.max), 2**62)
    return rng.integers(max(int(limits.min), -(2**62)), high, shape, dtype=kind, endpoint=True)


def regions(shape: tuple[int, int], count: int = 8) -> Iterator[tuple[slice, slice]]:
    """The whole plane, its corners, an empty region, and some at random."""
    height, width = shape
    rng = np.random.default_rng(1)
    yield ALL, ALL
    yield slice(0, 1), slice(0, 1)
    yield slice(height - 1, height), slice(width - 1, width)
    yield slice(height // 2, height // 2), slice(0, width)
    for _ in range(count):
        y0, y1 = np.sort(rng.integers(0, height + 1, 2))
        x0, x1 = np.sort(rng.integers(0, width + 1, 2))
        yield slice(int(y0), int(y1)), slice(int(x0), int(x1))


def assert_reads(plane: Plane, expected: np.ndarray) -> None:
    assert plane.shape == expected.shape
    assert plane.dtype == expected.dtype.newbyteorder("=")
    for y, x in regions(plane.shape):
        found = plane.read(y, x)
        assert found.dtype == plane.dtype
        assert found.dtype.isnative
        assert found.flags.c_contiguous
        assert found.flags.writeable
        assert np.array_equal(found, expected[y, x])


def channels_first(image: Image, pixels: np.ndarray, axes: str, z: int, t: int) -> np.ndarray:
    """(channel, Y, X) at z and t, from tifffile's full read; samples are the fastest channels."""
    for axis, index in (("Z", z), ("T", t)):
        if axis in axes:
            pixels = np.take(pixels, index, axes.index(axis))
            axes = axes.replace(axis, "")
    y = axes.index("Y")
    stack: np.ndarray = np.moveaxis(pixels, (y, y + 1), (-2, -1))
    return stack.reshape(-1, *stack.shape[-2:])


def assert_file_reads(path: Path) -> Image:
    """Every plane of every level equals tifffile's."""
    with open_image(path) as image, tifffile.TiffFile(path) as tif:
        levels = tif.series[0].levels
        assert len(image.levels) == len(levels)
        for n, level in enumerate(levels):
            pixels = level.asarray()
            for z in range(image.size_z):
                for t in range(image.size_t):
                    stack = channels_first(image, pixels, level.axes, z, t)
                    assert len(stack) == len(image.channels)
                    for channel, expected in enumerate(stack):
                        assert_reads(image.plane(channel, n, z, t), expected)
    return image


# codec, arguments of tifffile, type that it takes
