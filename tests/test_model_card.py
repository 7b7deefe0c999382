"""The script of the model card: it says how the weights were trained, of these weights alone."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from made_up import made_up_document

from tbscale.bench.records import save_record, seal
from tbscale.engine.weights import EMBEDDED_FILE, file_sha256
from tbscale.errors import RunError

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
FACTS: Json = {
    "weights_sha256": "a" * 64,
    "command": "python -m tbscale.engine.training --work DIR",
    "trained_on": "cpu",
    "settings": {"crops": 80, "batch": 8, "seed": 3},
    "wall_s": 12.5,
    "crops_done": 72,
    "synthetic_images": 6,
    "real_training_images": ["one", "two"],
}


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("model_card_training")


def save_card(folder: Path, weights: str, created: str, crops: float) -> None:
    document = made_up_document()
    document.update(experiment="model-card", passes=[], result=None, created=created)
    document["weights"]["sha256"] = weights * 64
    one = {"name": "crops", "subject": "training", "value": crops, "unit": "1", "scope": "portable"}
    document["measures"] = [one, {**one, "subject": "varied", "name": "images"}]
    save_record(seal(document), folder)


def test_facts_become_measures_and_parameters(training: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "nuclear.json"
    path.write_text(json.dumps(FACTS))
    told = training.read_facts(path, "a" * 64)
    assert {one["name"]: one["value"] for one in told.measures} == {
        "training-time": 12.5,
        "crops": 72,
        "crops-asked-for": 80,
        "synthetic-images": 6,
        "real-images": 2,
    }
    assert told.parameters["training_command"] == FACTS["command"]
    assert told.parameters["seed"] == 3


def test_facts_of_other_weights_are_refused(training: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "nuclear.json"
    path.write_text(json.dumps(FACTS))
    with pytest.raises(RunError, match=r"is of the weights a{16}, embedded are b{16}; pass the"):
        training.read_facts(path, "b" * 64)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weights_sha256": 7}'])
def test_what_is_no_json_of_a_training_is_refused(
    training: ModuleType, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(RunError, match=r"other.json is not what a training writes"):
        training.read_facts(path, "b" * 64)


def test_the_newest_card_of_the_same_weights_tells(training: ModuleType, tmp_path: Path) -> None:
    save_card(tmp_path, "a", "2026-01-02", 20)
    save_card(tmp_path, "a", "2026-01-03", 30)
    save_card(tmp_path, "c", "2026-01-04", 40)
    told = training.read_last_card(tmp_path, "a" * 64)
    assert [(one["subject"], one["value"]) for one in told.measures] == [("training", 30)]
    with pytest.raises(RunError, match=r"no model card of the weights b{16} under .* --training"):
        training.read_last_card(tmp_path, "b" * 64)


def test_the_book_knows_how_the_embedded_weights_were_trained(training: ModuleType) -> None:
    told = training.read_last_card(ROOT / "results", file_sha256(EMBEDDED_FILE))
    assert {one["name"] for one in told.measures} >= {"training-time", "crops", "real-images"}
    assert "tbscale.engine.training" in told.parameters["training_command"]
