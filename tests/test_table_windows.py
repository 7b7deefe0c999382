"""The windows of a table: chunks are decoded once, and windows added once, one at a time."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from tbscale.engine.table import measure as measuring
from tbscale.engine.table.measure import measure_cells
from tbscale.images.open import open_plane
from tbscale.images.plane import ArrayPlane


@pytest.mark.parametrize(
    "chunks",
    [
        {"tile": (16, 16)},  # inside a window
        {"tile": (48, 48)},  # across the borders of windows
        {"tile": (64, 64)},  # beyond a window
        {"tile": (128, 128)},  # beyond the plane
        {"rowsperstrip": 1},
        {"rowsperstrip": 7},
        {"rowsperstrip": 96},
    ],
)
def test_chunks_are_decoded_once_and_only_where_cells_are(
    chunks: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "WINDOW_PX", 32)
    labels = np.ones((96, 96), np.uint32)
    labels[:48, :48] = 0
    pixels = np.arange(labels.size, dtype=np.uint16).reshape(labels.shape)
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, pixels, compression="zlib", **chunks)
    plane, whole, left_out = open_plane(path), open_plane(path), open_plane(path)
    _, means = measure_cells(ArrayPlane(labels), plane, 1)
    assert means[0] == pixels[labels == 1].sum() / (labels == 1).sum()
    whole.read(slice(0, 96), slice(0, 96))
    if chunks == {"tile": (16, 16)}:  # the window without cells
        left_out.read(slice(0, 32), slice(0, 32))
    assert plane.bytes_read == whole.bytes_read - left_out.bytes_read


@pytest.mark.parametrize("threads", ["1", "2", "8"])
def test_each_window_is_added_once_and_one_at_a_time(
    threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where adding is slower than reading: no more windows are held than planned for."""
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(measuring, "WINDOW_PX", 17)
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 71, (150, 210)).astype(np.uint32)
    pixels = rng.integers(0, 2**16, labels.shape).astype(np.uint16)
    wanted = measure_cells(ArrayPlane(labels), ArrayPlane(pixels), 70)
    turn, counting, loaded, most = threading.Lock(), threading.Lock(), [0, 0], [0]
    load, add_cells = measuring._Windows._load, measuring.add_cells

    def load_and_count(self: Any, region: Any) -> Any:
        found = load(self, region)
        with counting:
            loaded[0] += 1
            most[0] = max(most[0], loaded[0] - loaded[1])
        return found

    def add_slowly(*given: Any) -> Any:
        assert turn.acquire(blocking=False), "two windows are added at once"
        time.sleep(0.002)
        beyond = add_cells(*given)
        with counting:
            loaded[1] += 1
        turn.release()
        return beyond

    monkeypatch.setattr(measuring._Windows, "_load", load_and_count)
    monkeypatch.setattr(measuring, "add_cells", add_slowly)
    shapes, means = measure_cells(ArrayPlane(labels), ArrayPlane(pixels), 70)
    for name in ("area", "sum_y", "sum_x", "box"):
        np.testing.assert_array_equal(getattr(shapes, name), getattr(wanted[0], name))
    np.testing.assert_array_equal(means, wanted[1])
    assert loaded == [9 * 13, 9 * 13]
    assert most[0] <= int(threads) + measuring.MOST_LEFT
