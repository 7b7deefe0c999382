"""Draw the best and the worst of the varied synthetic images, with what the weights found.

    python benchmarks/model_card_picture.py --out notebooks/images/model-card-cases.png

Synthetic images only: the real ones are not ours to publish.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
from matplotlib.image import imsave
from model_card import VARIED, VARIED_PX, VARIED_SEED
from numpy.typing import NDArray

from tbscale.book.picture import outlined, stretch
from tbscale.engine.training.data import draw_synthetic
from tbscale.engine.training.evaluate import score, segment
from tbscale.engine.weights import EMBEDDED, load_model, resolve_model

CASES = 4
SHOWN_PX = 208
GAP_PX = 4
WHITE = 255


def panel(image: NDArray[np.float32], labels: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """The middle of an image with the found cells outlined."""
    begin = (VARIED_PX - SHOWN_PX) // 2
    middle = (slice(begin, begin + SHOWN_PX), slice(begin, begin + SHOWN_PX))
    grey = np.repeat(stretch(image[middle])[..., None], 3, axis=2)
    return np.pad(
        outlined(grey, labels[middle]),
        ((0, GAP_PX), (0, GAP_PX), (0, 0)),
        constant_values=WHITE,
    )


def main(arguments: list[str]) -> None:
    """Score, choose, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    model = load_model(resolve_model(EMBEDDED))
    items = [draw_synthetic(VARIED_SEED + k, VARIED_PX) for k in range(VARIED)]
    ranked = sorted(items, key=lambda item: score(model, item).ap[0])
    rows = [ranked[-CASES:][::-1], ranked[:CASES]]
    picture = np.concatenate(
        [
            np.concatenate([panel(one.image, segment(model, one.image)) for one in row], axis=1)
            for row in rows
        ]
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    imsave(options.out, picture, metadata={"Software": "tbscale"})


if __name__ == "__main__":
    logging.getLogger("cellpose").setLevel(logging.WARNING)
    main(sys.argv[1:])
