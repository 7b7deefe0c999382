"""How the embedded weights were trained: from the training's own JSON, or from their last record.

The weights do not change when they are scored again, and neither does how they came to be; so a
record of the same weights says it for every later one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measures import Measure, measure

from tbscale.book.loading import load_shelf
from tbscale.errors import RunError


@dataclass(frozen=True)
class Training:
    """What a model card says of the training.

    Attributes
    ----------
    parameters : settings, command and device, as in a record
    measures : time, crops and images, of the subject "training"
    """

    parameters: dict[str, Any]
    measures: list[Measure]


def read_facts(path: Path, sha256: str) -> Training:
    """Read the JSON that the training wrote beside its weights.

    Raises
    ------
    RunError : it is of other weights than those of this sha256, or not such a JSON
    """
    try:
        facts = json.loads(path.read_text())
        if facts["weights_sha256"] != sha256:
            raise RunError(
                f"{path} is of the weights {facts['weights_sha256'][:16]}, embedded are "
                f"{sha256[:16]}; pass the JSON written beside these"
            )
        return _from_facts(facts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} is not what a training writes beside its weights ({error!r}); pass its JSON"
        ) from error


def _from_facts(facts: dict[str, Any]) -> Training:
    settings = facts["settings"]
    return Training(
        {"training_command": facts["command"], "trained_on": facts["trained_on"], **settings},
        [
            measure("training-time", "training", facts["wall_s"], "s", "local"),
            measure("crops", "training", facts["crops_done"]),
            measure("crops-asked-for", "training", settings["crops"]),
            measure("synthetic-images", "training", facts["synthetic_images"]),
            measure("real-images", "training", len(facts["real_training_images"])),
        ],
    )


def read_last_card(records: Path, sha256: str) -> Training:
    """Take it from the newest model card of the same weights under a folder of records.

    Raises
    ------
    RunError : no such record there
    RecordError : no such folder, or a bad record in it
    """
    shelf = load_shelf(records)
    told = [one.record for one in shelf.of_experiment("model-card")]
    cards = [one for one in told if one.weights and one.weights.sha256 == sha256]
    if not cards:
        raise RunError(
            f"no model card of the weights {sha256[:16]} under {records}; pass --training with "
            "the JSON that the training wrote beside them"
        )
    newest = cards[-1].model_dump(mode="json")
    measures = [one for one in newest["measures"] if one["subject"] == "training"]
    return Training(newest["parameters"], measures)
