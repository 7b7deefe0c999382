"""The diameters of a model, and those that a user may ask for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from cellpose import models
from cellpose.resnet_torch import CPnet

from tbscale.engine.diameters import Diameters, read_diameters
from tbscale.engine.rescale import (
    LARGEST_FACTOR,
    choose_scaling,
)
from tbscale.engine.weights import load_model, resolve_model
from tbscale.errors import PlanError

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")

MODEL = Diameters(np.float32(17), np.float32(17))


def stored_model(path: Path, **diameters: float) -> str:
    """Untrained weights of the true network with the diameters given, or without any."""
    torch.manual_seed(3)
    state = CPnet([2, 32, 64, 128, 256], 3, sz=3).state_dict()
    state["output.2.bias"] += torch.tensor([0.0, 0.0, 1.0])
    for name in ("diam_mean", "diam_labels"):
        del state[name]
        if name in diameters:
            state[name] = torch.tensor([diameters[name]])
    torch.save(state, path)
    return str(path)


def check_diameters(weights):
    model, ours = load_model(weights), read_diameters(weights)
    assert (ours.mean_px, ours.labels_px) == (model.diam_mean, model.diam_labels)
    assert type(ours.mean_px) is type(model.diam_mean)
    assert choose_scaling(None, ours).factor == model.diam_mean / model.diam_labels


@pytest.mark.parametrize("stored", [{}, {"diam_mean": 17.0}, {"diam_mean": 30, "diam_labels": 22}])
def test_a_model_is_read_as_stock_cellpose_reads_it(stored, tmp_path):
    check_diameters(resolve_model(stored_model(tmp_path / "own.pth", **stored)))


@pytest.mark.parametrize("name", ["nuclei", "cyto3"])
def test_a_named_model_is_read_as_stock_cellpose_reads_it(name, tmp_path, monkeypatch):
    path = stored_model(tmp_path / f"{name}torch_0", diam_mean=30.0, diam_labels=19.5)
    monkeypatch.setattr(models, "model_path", lambda name, index=0: path)
    check_diameters(resolve_model(name))


@pytest.mark.parametrize("diameter", [0.0, -3.0, float("nan")])
def test_a_diameter_is_above_nothing(diameter):
    with pytest.raises(PlanError, match="pass pixels above 0"):
        choose_scaling(diameter, MODEL)


@pytest.mark.parametrize("mean", [17.0, np.float32(17), 30.0, np.float32(12.3)])
@pytest.mark.parametrize("diameter", [1e-300, 0.1, 0.5, None])
def test_a_diameter_that_enlarges_too_much_is_refused_and_the_one_it_names_is_not(diameter, mean):
    model = Diameters(mean, np.float32(0.5))
    with pytest.raises(PlanError, match=rf"16 times smaller .* {mean:g} px; pass a") as refused:
        choose_scaling(diameter, model)
    least = float(str(refused.value).rpartition(" ")[2])
    assert choose_scaling(least, model).factor <= LARGEST_FACTOR
    with pytest.raises(PlanError):
        choose_scaling(least - 0.011, model)


@pytest.mark.parametrize("shape", [(420, 520), (3, 900), (1, 1), (27120, 26139)])
@pytest.mark.parametrize("mean", [17.0, np.float32(12.3)])
def test_a_diameter_that_leaves_nothing_of_the_plane_is_refused_with_one_that_does_not(shape, mean):
    model = Diameters(mean, np.float32(17))
    for diameter in (1e6, float("inf")):
        with pytest.raises(PlanError, match="is 0 x 0 px; pass a --diameter of at most") as refused:
            choose_scaling(diameter, model).frame(shape)
        most = float(str(refused.value).rpartition(" ")[2])
        assert min(choose_scaling(most, model).frame(shape)) == 1
