"""How well weights do on images they have not seen, by stock Cellpose's own `eval`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import fastremap
import numpy as np
from cellpose import metrics
from cellpose.models import CellposeModel
from numpy.typing import NDArray

from tbscale.engine.training.data import LabelledImage

THRESHOLDS = (0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Score:
    """Agreement of one image's labels with the truth.

    Attributes
    ----------
    ap : average precision TP / (TP + FP + FN) at each of THRESHOLDS
    true_cells, found_cells : counts
    """

    name: str
    ap: tuple[float, ...]
    true_cells: int
    found_cells: int


def segment(model: CellposeModel, image: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Segment at native scale with Cellpose's defaults; labels uint32 (Y, X)."""
    return np.asarray(model.eval(image, channels=[0, 0])[0], np.uint32)


def score(model: CellposeModel, item: LabelledImage) -> Score:
    """Score one image."""
    found = segment(model, item.image)
    # average_precision takes the largest label for the count of cells: no gaps, then
    true, _ = fastremap.renumber(item.labels, in_place=False)
    ap = metrics.average_precision(true, found.astype(np.int32), list(THRESHOLDS))[0]
    return Score(
        item.name,
        tuple(float(a) for a in ap),
        len(np.unique(item.labels)) - 1,
        len(np.unique(found)) - 1,
    )


def score_all(model: CellposeModel, items: Iterable[LabelledImage]) -> list[Score]:
    """Score many images."""
    return [score(model, item) for item in items]


def mean_ap(scores: list[Score]) -> tuple[float, ...]:
    """Mean average precision over images, at each of THRESHOLDS."""
    return tuple(float(a) for a in np.mean([s.ap for s in scores], axis=0))
