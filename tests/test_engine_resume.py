"""A run that was begun and is asked something else: refused by name, or gone on from."""

import os
from dataclasses import replace

import pytest
import tifffile
import zarr
from fake_run import BENCH, SETTINGS, SHAPE, broken, climber, request

from tbscale.engine.cells import Rules
from tbscale.engine.segmentation import segment
from tbscale.engine.weights import Weights, embedded_weights
from tbscale.errors import RunError


@pytest.fixture
def folder(tmp_path):
    BENCH["write_image"](tmp_path / "image.tif", SHAPE, 2)
    return tmp_path


CHANGES = {
    "channel was 0, is 1": {"channel": 1},
    "channel2 was None, is 1": {"channel2": 1},
    "overlap was 0.1, is 0.2": {"settings": replace(SETTINGS, overlap=0.2)},
    "batch_size was 8, is 4": {"settings": replace(SETTINGS, batch_size=4)},
    "tile_px was 224, is 160": {"settings": replace(SETTINGS, tile_px=160)},
    "cellprob_threshold was 0.0, is 1.0": {"settings": replace(SETTINGS, cellprob_threshold=1.0)},
    "niter was 200, is 100": {"settings": replace(SETTINGS, niter=100)},
    "flow_threshold was 3.0, is 0.4": {"settings": replace(SETTINGS, rules=Rules())},
    "min_size was 15, is 30": {"settings": replace(SETTINGS, rules=Rules(3.0, min_size=30))},
    "core_px was 200, is 128": {"core_px": 128},
    "z was None, is 0": {"z": 0},
}


def start(folder, **changes):
    """A run that ends in the middle."""
    with pytest.raises(RuntimeError):
        segment(replace(request(folder), **changes), make_network=broken)


@pytest.mark.parametrize("change", CHANGES)
def test_another_parameter_is_refused_by_name(change, folder):
    start(folder)
    with pytest.raises(RunError, match=rf"another one \({change}\); .* pass --restart to drop it"):
        segment(replace(request(folder), **CHANGES[change]), make_network=broken)


def test_another_image_is_refused(folder):
    start(folder)
    os.utime(folder / "image.tif", (1, 1))
    with pytest.raises(RunError, match=r"another one \(image changed was"):
        segment(request(folder), make_network=broken)


def test_a_changed_chunk_of_a_store_is_noticed(folder):
    """The directory itself stays as it was: what changed lies below."""
    store = folder / "image.zarr"
    level = zarr.create_group(store).create_array("0", shape=SHAPE, chunks=(128, 128), dtype="u2")
    level[:] = tifffile.imread(folder / "image.tif")[0]
    axes = [{"name": name, "type": "space"} for name in "yx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    zarr.open_group(store).attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    start(folder, image=store)
    top = store.stat()
    level[130:140, 130:140] = 7
    assert store.stat().st_mtime_ns == top.st_mtime_ns
    with pytest.raises(RunError, match=r"another one \(image bytes was .* image changed was"):
        segment(request(folder, image=store), make_network=broken)


def test_other_weights_are_refused(folder, monkeypatch):
    start(folder)
    other = Weights("embedded", embedded_weights(), False, "0" * 64)
    monkeypatch.setattr("tbscale.engine.segmentation.resolve_model", lambda name: other)
    with pytest.raises(RunError, match=r"another one \(weights sha256 was"):
        segment(request(folder), make_network=broken)


def test_a_run_finds_the_core_again_that_it_had_chosen(folder):
    """The plan chose by the memory that was free then; now there is more or less."""
    start(folder, core_px=None)
    result = segment(
        replace(request(folder), core_px=None, memory_bytes=1 << 40), make_network=climber
    )
    assert result.plan.core_px == 2048
    start(folder, core_px=256, out=folder / "b.ome.tif")
    result = segment(
        replace(request(folder, "b.ome.tif"), core_px=None, memory_bytes=1 << 40),
        make_network=climber,
    )
    assert result.plan.core_px == 256
