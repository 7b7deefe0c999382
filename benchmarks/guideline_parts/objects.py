"""One number for each cell: a loop over the cells, or one pass over the pixels."""

from __future__ import annotations

import numpy as np
import torch
from cellpose import metrics
from numpy.typing import NDArray
from skimage.measure import regionprops_table

from guideline_parts.notes import Notes
from guideline_parts.sample import Sample
from tbscale.engine.kernels.flow_qc import flow_errors

FEW = ("label", "area", "centroid")
MANY = (*FEW, "perimeter", "eccentricity", "solidity", "feret_diameter_max")
SHAPED_PX = 512
CPU = torch.device("cpu")


def mean_by_loop(image: NDArray[np.uint16], cells: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Mean of each cell: for each one, look at the whole image."""
    count = int(cells.max())
    return np.array([image[cells == one].mean() for one in range(1, count + 1)])


def mean_by_pass(image: NDArray[np.uint16], cells: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Mean of each cell: look at each pixel once."""
    flat = cells.ravel()
    return np.asarray((np.bincount(flat, image.ravel()) / np.bincount(flat))[1:])


def measure_objects(sample: Sample, notes: Notes) -> None:
    """Loop against pass on quarters and the whole; the flow check; columns nobody asked for."""
    image, cells = sample.image, sample.cells
    for part in (4, 2, 1):
        rows, columns = image.shape[0] // part, image.shape[1] // part
        window = _renumbered(cells[:rows, :columns])
        pixels = image[:rows, :columns]
        name = "objects.time" if part == 1 else f"objects.time-{part}"
        notes.count("objects.cells", f"1/{part * part} of the image", int(window.max()))
        notes.time_rounds(
            name,
            {
                "a loop over the cells": lambda p=pixels, w=window: mean_by_loop(p, w),
                "one pass over the pixels": lambda p=pixels, w=window: mean_by_pass(p, w),
            },
            rounds=3,
        )
    differing = np.abs(mean_by_loop(image, cells) - mean_by_pass(image, cells)).max()
    notes.count("objects.largest-difference", "means of the two", differing, "counts")
    _flow_check(sample, notes)
    _columns(sample, notes)


def _renumbered(cells: NDArray[np.uint32]) -> NDArray[np.uint32]:
    _, inverse = np.unique(np.append(0, cells), return_inverse=True)
    return np.asarray(inverse[1:].reshape(cells.shape), np.uint32)


def _flow_check(sample: Sample, notes: Notes) -> None:
    """The reference's check, a Python loop over cells, and the same compiled."""
    cells = sample.cells
    count = int(cells.max())
    signed = cells.astype(np.int32)
    dp = np.ascontiguousarray(sample.output[:2])
    network_flow = np.ascontiguousarray(dp.transpose(1, 2, 0) / np.float32(5))
    notes.time_rounds(
        "objects.check-time",
        {
            "a Python loop over the cells": lambda: metrics.flow_error(signed, dp, CPU),
            "a compiled loop over the cells": lambda: flow_errors(cells, count, network_flow),
        },
        rounds=3,
    )
    theirs = metrics.flow_error(signed, dp, CPU)[0]
    ours = flow_errors(cells, count, network_flow)
    notes.count("objects.check-difference", "errors of the two", np.abs(theirs - ours).max())


def _columns(sample: Sample, notes: Notes) -> None:
    """A table with the columns asked for, and one with more."""
    cells = _renumbered(sample.cells[:SHAPED_PX, :SHAPED_PX]).astype(np.int32)
    notes.time_rounds(
        "asked.time",
        {
            "the columns asked for": lambda: regionprops_table(cells, properties=FEW),
            "and four more": lambda: regionprops_table(cells, properties=MANY),
        },
        rounds=3,
    )
