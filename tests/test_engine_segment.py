"""A run from file to file: equal to stock Cellpose, resumable, and clear when it refuses."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import torch
from cellpose.resnet_torch import CPnet
from stock_cellpose import stock_labels
from typer.testing import CliRunner

from tbscale.cli import app
from tbscale.engine.cells import Rules
from tbscale.engine.request import Request
from tbscale.engine.run import Settings
from tbscale.engine.segmentation import segment
from tbscale.engine.weights import resolve_model
from tbscale.engine.workdir import workdir_path
from tbscale.errors import BudgetError, ImageError, PlanError, RunError, WeightsError
from tbscale.images.standin.tissue import render_channel, training_spec

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")

SHAPE = (301, 420)
LOOSE = Settings(rules=Rules(flow_threshold=0.0, min_size=5))


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Random weights: the flows are noise, which is hard on exactness and quick to make."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    net = CPnet([2, 32, 64, 128, 256], 3, sz=3, diam_mean=17.0)
    state = net.state_dict()
    state["output.2.bias"] += torch.tensor([0.0, 0.0, 1.0])
    torch.save(state, path)
    return str(path)


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """Two channels of synthetic tissue, uint16."""
    spec = training_spec(np.random.default_rng(5), SHAPE)
    y, x = slice(0, SHAPE[0]), slice(0, SHAPE[1])
    planes = np.stack([render_channel(spec, y, x), render_channel(spec, y, x)[::-1]])
    path = tmp_path_factory.mktemp("image") / "tissue.ome.tif"
    tifffile.imwrite(path, planes, tile=(64, 64), metadata={"axes": "CYX"})
    return path


def stock(weights, image, settings=LOOSE, channels=(0,)):
    options = {"flow_threshold": settings.rules.flow_threshold, "min_size": settings.rules.min_size}
    return stock_labels(weights, image, channels, tile_overlap=settings.overlap, **options)


@pytest.fixture(scope="session")
def reference(weights, image):
    labels = stock(weights, image)
    assert labels.max() > 10
    return labels


@pytest.mark.parametrize(("core_px", "name"), [(97, "a.ome.tif"), (2048, "b.ome.zarr")])
def test_labels_equal_stock_cellpose(core_px, name, weights, image, reference, tmp_path):
    out = tmp_path / name
    result = segment(Request(image, out, model=weights, settings=LOOSE, core_px=core_px))
    assert result.cell_count == reference.max()
    np.testing.assert_array_equal(read_labels(out), reference)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def read_labels(out):
    from tbscale.images.open import open_plane

    plane = open_plane(out)
    return plane.read(slice(0, plane.shape[0]), slice(0, plane.shape[1]))


def test_a_second_channel_is_the_second_input(weights, image, tmp_path):
    out = tmp_path / "two.ome.tif"
    settings = Settings(overlap=0.3, rules=LOOSE.rules)
    segment(Request(image, out, 0, 1, model=weights, settings=settings, core_px=150))
    whole = stock(weights, image, settings, (0, 1))
    np.testing.assert_array_equal(tifffile.imread(out), whole)
    assert whole.max() > 10


def command(image, out, weights):
    return [
        *(sys.executable, "-m", "tbscale", "segment", str(image), str(out), "--model", weights),
        *("--flow-threshold", "0", "--min-size", "5", "--core-px", "64"),
    ]


@pytest.mark.slow
def test_twenty_kills_change_nothing(weights, image, reference, tmp_path):
    out = tmp_path / "killed.ome.tif"
    rng = np.random.default_rng(1)
    kills = 0
    while not out.exists():
        run = subprocess.Popen(command(image, out, weights), stderr=subprocess.PIPE)
        try:
            _, error = run.communicate(timeout=rng.uniform(3, 7) if kills < 20 else None)
            assert run.returncode == 0, error
        except subprocess.TimeoutExpired:
            os.kill(run.pid, signal.SIGKILL)
            run.communicate()
            kills += 1
    np.testing.assert_array_equal(tifffile.imread(out), reference)


def test_a_killed_run_continues(weights, image, reference, tmp_path):
    out = tmp_path / "killed.ome.tif"
    run = subprocess.Popen(command(image, out, weights), stderr=subprocess.DEVNULL)
    flows = workdir_path(out) / "flow-rows.json"
    deadline = time.monotonic() + 60
    while not flows.exists():
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.kill()
    run.wait()
    assert not out.exists()
    before = flows.stat().st_mtime_ns
    settings = Settings(rules=LOOSE.rules)
    segment(Request(image, out, model=weights, settings=settings, core_px=64))
    assert before
    np.testing.assert_array_equal(tifffile.imread(out), reference)


def test_what_changed_is_named_and_refused(weights, image, tmp_path, monkeypatch):
    out = tmp_path / "labels.ome.tif"
    with monkeypatch.context() as patch:
        patch.setattr("tbscale.engine.segmentation.label_plane", None)
        with pytest.raises(TypeError):
            segment(Request(image, out, model=weights, settings=LOOSE, core_px=64))
    with pytest.raises(RunError, match=r"min_size was 5, is 15.*--restart"):
        segment(Request(image, out, model=weights, core_px=64))
    result = segment(Request(image, out, model=weights, core_px=64), restart=True)
    assert result.out.exists()


def test_two_runs_to_one_output_are_refused(weights, image, tmp_path):
    out = tmp_path / "labels.ome.tif"
    lock = workdir_path(out).with_name(workdir_path(out).name + ".lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another run writes here"):
            segment(Request(image, out, model=weights))


def test_refusals_say_what_to_pass(weights, image, tmp_path):
    out = tmp_path / "labels.ome.tif"
    with pytest.raises(BudgetError, match="pass --memory"):
        segment(Request(image, out, model=weights, memory_bytes=10_000_000))
    with pytest.raises(PlanError, match="pass pixels above 0"):
        segment(Request(image, out, model=weights, diameter=-1.0))
    with pytest.raises(RunError, match=r"device 'cuda:9' is not available here; pass cpu"):
        segment(Request(image, out, model=weights, device="cuda:9"))
    with pytest.raises(WeightsError, match="choose embedded"):
        segment(Request(image, out, model="nucleii"))
    with pytest.raises(ImageError, match="no extension of a label file"):
        segment(Request(image, tmp_path / "labels.png", model=weights))
    assert not list(tmp_path.iterdir())
    out.write_bytes(b"")
    with pytest.raises(ImageError, match="exists"):
        segment(Request(image, out, model=weights))


def test_files_that_are_not_weights_are_refused(tmp_path):
    text, other = tmp_path / "notes.txt", tmp_path / "other.pth"
    text.write_text("not weights")
    torch.save({"layer": torch.zeros(3)}, other)
    for path in (text, other):
        with pytest.raises(WeightsError, match=r"pass a file that Cellpose 3 saved"):
            resolve_model(str(path))


def test_dry_run_prints_the_plan_and_writes_nothing(image, tmp_path):
    out = tmp_path / "labels.ome.tif"
    shown = CliRunner().invoke(app, ["segment", str(image), str(out), "--dry-run"])
    assert shown.exit_code == 0
    assert "projected peak" in shown.output
    assert not list(tmp_path.iterdir())
