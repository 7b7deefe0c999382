"""Score the embedded weights on images they have not seen, and write the record of the model card.

    python benchmarks/model_card.py --images DSB --tissue CODEX --out results

`--images` holds images/ and labels/; only those that the training left aside are scored.
`--tissue` holds nucleus.tif and labels_NAME.tif of expert1, expert2 and cellpose_0.6.1. The images
stay where they are: the record holds numbers only. How the weights were trained is taken from
their last record, or, where they are new, from `--training`, the JSON written beside them.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from cellpose.models import CellposeModel
from experiment import said_in_words
from measures import Measure, make_record, measure
from model_card_training import read_facts, read_last_card
from numpy.typing import NDArray

from tbscale.bench.agreement import average_precision, count_overlaps
from tbscale.bench.machine import read_load
from tbscale.bench.records import save_record
from tbscale.engine.training.data import LabelledImage, draw_synthetic, read_pairs
from tbscale.engine.training.evaluate import THRESHOLDS, Score, mean_ap, score_all, segment
from tbscale.engine.weights import EMBEDDED, load_model, resolve_model
from tbscale.images.datasets import DATASETS
from tbscale.images.standin.tissue import render_channel, render_labels

logger = logging.getLogger("model_card")

SEED = 2026  # neither a stand-in's nor a training image's
WINDOW_PX = 768
WINDOWS = 4
VARIED = 24
VARIED_SEED = 20_000_000
VARIED_PX = 416


def stand_in_windows(name: str) -> list[LabelledImage]:
    """Windows of a dataset's stand-in, of a seed that nothing else uses."""
    data = DATASETS[name]
    spec = data.stand_in_tissue(SEED)
    rng = np.random.default_rng(SEED)
    found: list[LabelledImage] = []
    while len(found) < WINDOWS:
        y0, x0 = (int(rng.integers(0, size - WINDOW_PX)) for size in data.shape)
        y, x = slice(y0, y0 + WINDOW_PX), slice(x0, x0 + WINDOW_PX)
        labels = render_labels(spec, y, x).astype(np.int32)
        if (labels > 0).mean() > 0.05:  # not glass alone
            image = render_channel(spec, y, x).astype(np.float32)
            found.append(LabelledImage(f"{name}-{y0}-{x0}", image, labels))
    return found


def summarise(group: str, scores: list[Score]) -> list[Measure]:
    """Mean AP, the count error, and the AP of every image of a group."""
    out = [
        measure(f"mean-ap-{t}", group, ap)
        for t, ap in zip(THRESHOLDS, mean_ap(scores), strict=True)
    ]
    true, found = sum(s.true_cells for s in scores), sum(s.found_cells for s in scores)
    out.append(measure("images", group, len(scores)))
    out.append(measure("true-cells", group, true))
    out.append(measure("count-error", group, (found - true) / true))
    for one in scores:
        out += [
            measure(f"ap-{t}", f"{group}/{one.name}", ap)
            for t, ap in zip(THRESHOLDS, one.ap, strict=True)
        ]
    return out


def f1(labels: NDArray[Any], reference: NDArray[Any]) -> float:
    """F1 at IoU 0.5, from the average precision there: 2 AP / (1 + AP)."""
    ap = average_precision(count_overlaps(labels, reference), 0.5)
    return 2 * ap / (1 + ap)


def score_tissue(model: CellposeModel, folder: Path) -> list[Measure]:
    """F1 at IoU 0.5 of every pair among the weights, two experts and Cellpose 0.6.1."""
    image = tifffile.imread(folder / "nucleus.tif").astype(np.float32)
    others = {
        name: tifffile.imread(folder / f"labels_{file}.tif").squeeze().astype(np.uint32)
        for name, file in {
            "expert-1": "expert1",
            "expert-2": "expert2",
            "cellpose-0.6.1": "cellpose_0.6.1",
        }.items()
    }
    others["embedded"] = segment(model, image)
    pairs = [(a, b) for a in ("embedded", "cellpose-0.6.1") for b in ("expert-1", "expert-2")]
    out = [measure("f1-0.5", f"codex/{a}/{b}", f1(others[a], others[b])) for a, b in pairs]
    out.append(
        measure("f1-0.5", "codex/expert-1/expert-2", f1(others["expert-1"], others["expert-2"]))
    )
    out += [measure("cells", f"codex/{n}", len(np.unique(lab)) - 1) for n, lab in others.items()]
    return out


def collection(items: list[LabelledImage]) -> dict[str, Any]:
    """The held-out images as one row of pixels, image after image in order of their names."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(item.image.astype("<f4").tobytes())
    return {
        "name": "dsb2018-held-out",
        "origin": "real",
        "shape": [1, sum(item.image.size for item in items)],
        "level": 0,
        "channel": 0,
        "channel_name": None,
        "channels": 1,
        "crop": None,
        "dtype": "float32",
        "pixel_size_um": None,
        "sha256": digest.hexdigest(),
    }


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--tissue", type=Path, required=True)
    parser.add_argument("--training", type=Path, help="JSON of the training, for new weights")
    parser.add_argument("--records", type=Path, default=Path("results"), help="of earlier cards")
    parser.add_argument("--out", type=Path, default=Path("results"))
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Score everything and save the record."""
    options = parse(arguments)
    before = read_load()
    weights = resolve_model(EMBEDDED)
    if options.training:
        training = read_facts(options.training, weights.sha256)
    else:
        training = read_last_card(options.records, weights.sha256)
    model = load_model(weights)
    held_out = sorted(read_pairs(options.images, "test"), key=lambda item: item.name)
    groups = {"dsb2018": held_out}
    groups |= {f"stand-in-{name}": stand_in_windows(name) for name in DATASETS}
    groups["varied"] = [draw_synthetic(VARIED_SEED + k, VARIED_PX) for k in range(VARIED)]
    measures = list(training.measures)
    for group, items in groups.items():
        scores = score_all(model, items)
        logger.info("%s: mean AP %s", group, mean_ap(scores))
        measures += summarise(group, scores)
    measures += score_tissue(model, options.tissue)
    named = {"name": weights.name, "sha256": weights.sha256}
    record = make_record(
        "model-card",
        collection(held_out),
        named,
        training.parameters,
        measures,
        None,
        before,
        engine="stock",
    )
    logger.info("wrote %s", save_record(record, options.out))


if __name__ == "__main__":
    logging.getLogger("cellpose").setLevel(logging.WARNING)
    with said_in_words():
        main(sys.argv[1:])
