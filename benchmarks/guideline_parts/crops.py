"""What changes when a piece is treated as if it were the whole: its limits, its grid of tiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guideline_parts.notes import Notes
from guideline_parts.sample import Sample, label, padded_rows
from tbscale.engine.grid import plan_tiles
from tbscale.engine.normalise import intensity_limits
from tbscale.engine.strips import stream_flows
from tbscale.images.plane import ArrayPlane
from tbscale.steps import StepClock

PIECE_PX = 448
SHIFT_PX = 37
MARGIN_PX = 64


def measure_crops(sample: Sample, notes: Notes) -> None:
    """Limits of a piece, and its grid."""
    _limits(sample, notes)
    _grid(sample, notes)


def _limits(sample: Sample, notes: Notes) -> None:
    side = min(PIECE_PX, min(sample.image.shape) // 2)
    pieces = {"a piece of the tissue": sample.image[:side, :side]}
    if sample.glass is not None:
        pieces["a piece without cells"] = sample.glass
    for name, piece in pieces.items():
        own = intensity_limits(ArrayPlane(piece))
        globally = sample.flows_of(piece, sample.limits)
        locally = sample.flows_of(piece, own)
        changed, followed = _changed(locally[2] > 0, globally[2] > 0)
        notes.count("limits.changed", name, changed / max(1, followed))
        notes.count("limits.cells", f"{name}, limits of the plane", int(label(globally).max()))
        notes.count("limits.cells", f"{name}, its own limits", int(label(locally).max()))
        notes.count("limits.high", f"{name}, limits of the plane", float(sample.limits.high), "1")
        notes.count("limits.high", f"{name}, its own limits", float(own.high), "1")


def _changed(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[int, int]:
    """Pixels that differ, and those that are set in either."""
    return int((one != other).sum()), int((one | other).sum())


def _grid(sample: Sample, notes: Notes) -> None:
    """The same pixels and limits, through the plane's grid and through a piece's own."""
    height = min(PIECE_PX, sample.image.shape[0] - SHIFT_PX)
    width = min(PIECE_PX, sample.image.shape[1] - SHIFT_PX)
    y, x = slice(SHIFT_PX, SHIFT_PX + height), slice(SHIFT_PX, SHIFT_PX + width)
    own = sample.flows_of(sample.image[y, x], sample.limits)
    inner = (slice(MARGIN_PX, height - MARGIN_PX), slice(MARGIN_PX, width - MARGIN_PX))
    whole = sample.output[:, y, x]
    changed, followed = _changed(own[2][inner] > 0, whole[2][inner] > 0)
    notes.count("grid.changed", "a grid of its own", changed / max(1, followed))
    notes.count(
        "grid.logit", "a grid of its own", float(np.abs(own[2][inner] - whole[2][inner]).max())
    )
    again = _lower_rows(sample)
    first = sample.image.shape[0] - again.shape[1]
    changed, followed = _changed(again[2] > 0, sample.output[2, first:] > 0)
    notes.count("grid.changed", "the grid of the plane", changed / max(1, followed))
    notes.count(
        "grid.logit",
        "the grid of the plane",
        float(np.abs(again[2] - sample.output[2, first:]).max()),
    )


def _lower_rows(sample: Sample) -> NDArray[np.float32]:
    """The lower part of the plane alone, computed on the plane's grid; float32 (3, rows, X)."""
    grid = plan_tiles((sample.image.shape[0], sample.image.shape[1]))
    rows_of = padded_rows(sample.image, sample.limits, grid)
    start = sample.image.shape[0] - MARGIN_PX
    rows = stream_flows(grid, sample.network, rows_of, 8, StepClock(), start)
    return np.concatenate([one.values for one in rows], axis=1)
