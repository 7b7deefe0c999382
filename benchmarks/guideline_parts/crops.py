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
    regions = _regions(sample.image.shape, (side, side))
    tissue = max(regions, key=lambda one: int(sample.foreground[one].sum()))
    kinds = {"a piece of the tissue": (sample.image[tissue],)}
    if sample.glass:
        kinds["pieces without cells"] = sample.glass
    for name, pieces in kinds.items():
        changed = followed = 0
        found = {"limits of the plane": 0, "own limits": 0}
        for piece in pieces:
            globally = sample.flows_of(piece, sample.limits)
            locally = sample.flows_of(piece, intensity_limits(ArrayPlane(piece)))
            here, all_here = _changed(locally[2] > 0, globally[2] > 0)
            changed, followed = changed + here, followed + all_here
            for words, output in zip(found, (globally, locally), strict=True):
                found[words] += int(label(output).max())
        notes.count("limits.pieces", name, len(pieces))
        if followed:
            notes.count("limits.changed", name, changed / followed)
        for words, cells in found.items():
            notes.count("limits.cells", f"{name}, {words}", cells)


def _regions(shape: tuple[int, ...], size: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Pieces of a plane near its corners; they overlap where it is less than two pieces wide."""
    starts = [
        sorted({min(SHIFT_PX, side - piece), side - piece})
        for side, piece in zip(shape, size, strict=True)
    ]
    return [(slice(y, y + size[0]), slice(x, x + size[1])) for y in starts[0] for x in starts[1]]


def _changed(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[int, int]:
    """Pixels that differ, and those that are set in either."""
    return int((one != other).sum()), int((one | other).sum())


def _grid(sample: Sample, notes: Notes) -> None:
    """The same pixels and limits, through the plane's grid and through the pieces' own."""
    height, width = (min(PIECE_PX, side - SHIFT_PX) for side in sample.image.shape)
    inner = (slice(MARGIN_PX, height - MARGIN_PX), slice(MARGIN_PX, width - MARGIN_PX))
    changed = followed = 0
    furthest = 0.0
    for y, x in _regions(sample.image.shape, (height, width)):
        own = sample.flows_of(sample.image[y, x], sample.limits)[2][inner]
        whole = sample.output[2, y, x][inner]
        here, all_here = _changed(own > 0, whole > 0)
        changed, followed = changed + here, followed + all_here
        furthest = max(furthest, float(np.abs(own - whole).max()))
    if followed:
        notes.count("grid.changed", "a grid of its own", changed / followed)
    notes.count("grid.logit", "a grid of its own", furthest)
    again = _lower_rows(sample)
    first = sample.image.shape[0] - again.shape[1]
    changed, followed = _changed(again[2] > 0, sample.output[2, first:] > 0)
    if followed:
        notes.count("grid.changed", "the grid of the plane", changed / followed)
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
