"""The pyramid of a stand-in: halved as a whole plane would be."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tbscale.images.standin.pyramid import (
    CHUNK_PX,
    Pyramid,
    Spool,
    encode,
    grid,
    halve_by_choice,
    halve_by_mean,
    level_shapes,
    windows,
)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 2600), st.integers(1, 2600), st.integers(0, 9))
def test_pyramid_equals_halving_the_whole(height: int, width: int, seed: int) -> None:
    plane = np.random.default_rng(seed).integers(0, 65536, (height, width), dtype=np.uint16)
    levels = level_shapes(plane.shape)
    spool = Spool(Path(tempfile.gettempdir()), len(levels) - 1)
    pyramid = Pyramid(plane.shape, plane.dtype, halve_by_mean, spool)
    for row, column, y, x in windows(plane.shape):
        pyramid.add(row, column, halve_by_mean(plane[y, x]))
    for level, shape in enumerate(levels[1:]):
        plane = halve_by_mean(plane)
        assert plane.shape == shape
        padded = np.zeros([CHUNK_PX * n for n in grid(shape)], plane.dtype)
        padded[: shape[0], : shape[1]] = plane
        expected = [
            encode(padded[y : y + CHUNK_PX, x : x + CHUNK_PX].copy())
            for y in range(0, padded.shape[0], CHUNK_PX)
            for x in range(0, padded.shape[1], CHUNK_PX)
        ]
        assert list(spool.chunks(level)) == expected
    spool.close()


def test_halving_keeps_labels_unmixed() -> None:
    labels = np.array([[1, 9], [7, 7], [3, 4]], np.uint32)
    np.testing.assert_array_equal(halve_by_choice(labels), [[1], [3]])


def test_mean_of_bright_pixels_does_not_wrap() -> None:
    bright = np.full((3, 3), 65535, np.uint16)
    np.testing.assert_array_equal(halve_by_mean(bright), bright[:2, :2])
