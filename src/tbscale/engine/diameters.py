"""The size of cells that a model was trained for, by the rules of stock Cellpose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbscale.engine.weights import NUCLEI_FILE, Weights, read_state

DIAM_MEAN_PX = 30.0  # of CellposeModel, where neither the model nor its name says otherwise
DIAM_MEAN_NUCLEI_PX = 17.0


@dataclass(frozen=True)
class Diameters:
    """The sizes of cells that a model knows, pixels; in the types that stock Cellpose holds.

    Attributes
    ----------
    mean_px : cells were resized to this diameter for training
    labels_px : mean diameter of the training cells before that
    """

    mean_px: float | np.float32
    labels_px: np.float32


def read_diameters(weights: Weights) -> Diameters:
    """The diameters of a model, by the rules of stock Cellpose and without making the network."""
    mean, builtin = _builtin_diameter(weights)
    state = read_state(weights.path)
    default = DIAM_MEAN_PX if mean is None else mean
    stored = {
        key: np.float32(state[key][0].item()) if key in state else np.float32(default)
        for key in ("diam_mean", "diam_labels")
    }
    return Diameters(default if builtin else stored["diam_mean"], stored["diam_labels"])


def _builtin_diameter(weights: Weights) -> tuple[float | None, bool]:
    """What Cellpose decides by a model's name: its diameter, and whether it is its own."""
    if not weights.builtin:
        is_nuclei = str(weights.path).endswith(NUCLEI_FILE)
        return (DIAM_MEAN_NUCLEI_PX if is_nuclei else None), is_nuclei
    from cellpose import models

    _, mean, builtin, _ = models.get_model_params(None, weights.name, None)
    return mean, builtin
