"""Stock Cellpose on a whole plane, which the engine's labels are set beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from cellpose.models import CellposeModel
from numpy.typing import NDArray


def stock_labels(
    model: str | Path, image: Path, channels: tuple[int, ...] = (0,), **options: Any
) -> NDArray[Any]:
    """Labels (Y, X) of one channel, or of two as the network's first and second input.

    Parameters
    ----------
    model : path of weights
    image : TIFF of channels (C, Y, X)
    options : of Cellpose's `eval`
    """
    pixels = tifffile.imread(image, series=0, level=0)[list(channels)]
    two = len(channels) > 1
    masks = CellposeModel(pretrained_model=str(model)).eval(
        pixels if two else pixels[0],
        channels=[1, 2] if two else [0, 0],
        channel_axis=0 if two else None,
        **options,
    )[0]
    return np.asarray(masks)
