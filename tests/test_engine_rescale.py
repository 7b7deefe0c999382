"""Whole runs at another diameter than the model's: labels are the reference's."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from stock_cellpose import stock_labels
from tiny import blobs, write_weights

from tbscale.engine import measured
from tbscale.engine.cells import Rules
from tbscale.engine.diameters import read_diameters
from tbscale.engine.request import Request
from tbscale.engine.rescale import (
    Scaling,
    choose_scaling,
    measured_grade,
)
from tbscale.engine.run import Settings, network_step
from tbscale.engine.scratch import FlowStore
from tbscale.engine.segmentation import segment
from tbscale.engine.weights import resolve_model
from tbscale.engine.workload.job import Job
from tbscale.images.plane import ArrayPlane
from tbscale.steps import StepClock

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")

HAS_IPP = measured_grade(Scaling(0.7)) == "bit"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model trained, it says, on cells of 12 px that were resized to 17 px."""
    path = write_weights(tmp_path_factory.mktemp("weights") / "tiny.pth")
    state = torch.load(path, weights_only=True)
    state["diam_labels"] = torch.tensor([12.0])
    torch.save(state, path)
    return str(path)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    planes = np.stack([blobs(171)[:122], blobs(171, 17, 4)[:122]])
    path = tmp_path_factory.mktemp("image") / "two.ome.tif"
    tifffile.imwrite(path, planes, tile=(64, 64), metadata={"axes": "CYX"})
    return path


LOOSE = Settings(rules=Rules(flow_threshold=0.0, min_size=5))


def stock(model, image, diameter, channels=(0,), **options):
    loose = {"flow_threshold": 0.0, "min_size": 5}
    return stock_labels(model, image, channels, diameter=diameter, **loose, **options)


def assert_equal(ours, theirs):
    """The same labels; where OpenCV rounds otherwise, nearly all of them."""
    assert theirs.max() > 5
    if HAS_IPP:
        np.testing.assert_array_equal(ours, theirs)
    else:
        assert abs(int(ours.max()) - int(theirs.max())) <= 0.02 * theirs.max()
        assert np.mean((ours > 0) != (theirs > 0)) <= 1e-4


@pytest.mark.parametrize(
    ("diameter", "core_px"),
    [(8.5, 64), (13.0, 77), (17.0, 150), (25.3, 64), (34.0, 200), (None, 90)],
)
def test_labels_equal_stock_cellpose_at_another_diameter(diameter, core_px, model, image, tmp_path):
    out = tmp_path / "labels.ome.tif"
    request = Request(image, out, 0, model=model, diameter=diameter, settings=LOOSE)
    result = segment(replace(request, core_px=core_px))
    assert_equal(tifffile.imread(out), stock(model, image, diameter))
    frame = [a.size_px for a in (result.plan.grid.y, result.plan.grid.x)]
    factor = 17 / (diameter or 12)
    assert frame == [int(122 * factor), int(171 * factor)]


def test_a_second_channel_is_resized_too(model, image, tmp_path):
    out = tmp_path / "labels.ome.tif"
    segment(Request(image, out, 0, 1, model=model, diameter=13.0, settings=LOOSE, core_px=80))
    assert_equal(tifffile.imread(out), stock(model, image, 13.0, (0, 1)))


@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
def test_a_measured_run_takes_a_diameter(model, image):
    asked = {"flow_threshold": 0.0, "min_size": 5, "core_px": 70}
    job = Job("tbscale", str(image), channel=0, model=model, diameter=25.3, settings=asked)
    prepared = measured.prepare(job)  # its labels go when it does
    labels = prepared.run(StepClock()).labels
    assert_equal(labels[0:122, 0:171], stock(model, image, 25.3))


def test_iterations_asked_for_are_not_rescaled(model, image, tmp_path):
    out = tmp_path / "labels.ome.tif"
    settings = replace(LOOSE, niter=9)
    segment(Request(image, out, 0, model=model, diameter=25.0, settings=settings))
    theirs = stock(model, image, 25.0, niter=9)
    assert_equal(tifffile.imread(out), theirs)
    assert not np.array_equal(theirs, stock(model, image, 25.0))


def fake_network(tiles):
    """Flow and cell probability made of the pixels: no weights, every number depends on them."""
    signal = tiles[:, 0]
    dy = np.gradient(signal, axis=1) * 5
    dx = np.gradient(signal, axis=2) * 5
    return np.stack([dy, dx, signal - 0.3], axis=1).astype(np.float32)


class InterruptedStepError(Exception):
    pass


@pytest.mark.parametrize("factor", [0.61, 1.7])
def test_an_interrupted_network_step_continues_between_rows(factor, tmp_path):
    plane = ArrayPlane(blobs(700)[:, :60])
    settings = Settings(scaling=Scaling(factor))
    folders = [tmp_path / name for name in ("whole", "cut")]
    for folder in folders:
        folder.mkdir()
    whole, cut = (FlowStore(folder, plane.shape) for folder in folders)
    network_step([plane], fake_network, settings, whole, StepClock())
    while cut.rows_done < 700:
        calls = itertools.count()
        before = cut.rows_done

        def failing(tiles, calls=calls):
            if next(calls) == 5:
                raise InterruptedStepError
            return fake_network(tiles)

        try:
            network_step([plane], failing, replace(settings, batch_size=1), cut, StepClock())
        except InterruptedStepError:
            cut = FlowStore(folders[1], plane.shape)
            assert cut.rows_done > before
    everything = (slice(0, 700), slice(0, 60))
    for ours, theirs in zip(cut.read(everything), whole.read(everything), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert whole.read(everything)[1].any()


def test_the_output_says_at_which_scale_it_was_made(model, image, tmp_path):
    from tbscale.engine.request import open_planes
    from tbscale.engine.segmentation import identify
    from tbscale.images.open import open_image

    request = Request(image, tmp_path / "x.ome.tif", 0, model=model, diameter=13.0)
    weights = resolve_model(model)
    with open_image(image) as opened:
        planes = open_planes(opened, request)
        scaling = choose_scaling(13.0, read_diameters(weights))
        said = identify(request, Settings(scaling=scaling), weights, planes, fake_network)
        plain = identify(request, Settings(), weights, planes, fake_network)
    assert said["diameter"] == 13.0
    assert said["rescale"] == pytest.approx(17 / 13)
    assert said["niter"] == 152
    assert said["grade"] == ("bit" if HAS_IPP else "near")
    assert plain["grade"] == "bit"
