"""Real tissue, the embedded weights, the usual rules: equal to stock Cellpose on the whole plane.

Slow, and only where the folder of real images is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from stock_cellpose import stock_labels

from tbscale.bench.agreement import compare_labels
from tbscale.engine import embedded_weights
from tbscale.engine.request import Request
from tbscale.engine.segmentation import segment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning"),
]
TONSIL, CODEX = "tonsil", "codex"
FEWEST_CELLS = 100


def stock(image: Path, channel2: bool, diameter: float | None) -> NDArray[Any]:
    """What Cellpose finds on the whole plane."""
    channels = (0, 1) if channel2 else (0,)
    return stock_labels(embedded_weights(), image, channels, diameter=diameter)


def ours(
    image: Path, out: Path, channel2: bool, diameter: float | None, core_px: int | None
) -> NDArray[Any]:
    """What the engine finds, block by block."""
    second = 1 if channel2 else None
    segment(Request(image, out, 0, second, diameter=diameter, core_px=core_px))
    return tifffile.imread(out, series=0, level=0)


@pytest.fixture(scope="module", params=[TONSIL, CODEX])
def tissue(
    request: pytest.FixtureRequest, real_images: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A file of channels (C, Y, X)."""
    if request.param == TONSIL:
        return real_images / "cycif_tonsil" / "TEST1.ome.tif"
    folder = real_images / "codex_tissue"
    pixels = np.stack([tifffile.imread(folder / f"{one}.tif") for one in ("nucleus", "membrane")])
    path = tmp_path_factory.mktemp("codex") / "two.ome.tif"
    tifffile.imwrite(path, pixels, tile=(256, 256), metadata={"axes": "CYX"})
    return path


@pytest.mark.parametrize("channel2", [False, True])
def test_labels_equal_stock_cellpose(tissue: Path, channel2: bool, tmp_path: Path) -> None:
    theirs = stock(tissue, channel2, None)
    assert theirs.max() >= FEWEST_CELLS
    for core_px in (100, 256, None):
        labels = ours(tissue, tmp_path / f"{core_px}.ome.tif", channel2, None, core_px)
        np.testing.assert_array_equal(labels, theirs)


@pytest.mark.parametrize("diameter", [12.0, 25.0])
def test_nearly_equal_at_another_diameter(tissue: Path, diameter: float, tmp_path: Path) -> None:
    theirs = stock(tissue, False, diameter)
    labels = ours(tissue, tmp_path / "labels.ome.tif", False, diameter, 200)
    assert theirs.max() >= FEWEST_CELLS
    assert compare_labels(labels, theirs).ap[0.9] >= 0.99
