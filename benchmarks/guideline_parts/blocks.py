"""Blocks: who owns a cell, who numbers it, and what a kill costs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guideline_parts.notes import Notes
from guideline_parts.sample import Sample, label, padded_rows
from tbscale.engine.grid import plan_tiles
from tbscale.engine.normalise import Limits
from tbscale.engine.scratch import FlowStore
from tbscale.engine.strips import stream_flows
from tbscale.steps import StepClock

CORE_PX = 256
SPACING = 100_000
ORDERS = 10
TALL = 8
BATCH = 8


class KilledError(Exception):
    """Stands for a kill: the process ends between two batches."""


def measure_blocks(sample: Sample, notes: Notes) -> None:
    """Owning, numbering, resuming."""
    _own(sample, notes)
    _number(sample.cells, notes)
    _resume(sample.image, notes)


def cores_of(shape: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Squares that cover a plane, row by row."""
    return [
        (slice(y, min(y + CORE_PX, shape[0])), slice(x, min(x + CORE_PX, shape[1])))
        for y in range(0, shape[0], CORE_PX)
        for x in range(0, shape[1], CORE_PX)
    ]


def _own(sample: Sample, notes: Notes) -> None:
    whole, output = sample.cells, sample.output
    pasted = np.zeros_like(whole)
    for core in cores_of((whole.shape[0], whole.shape[1])):
        piece = label(np.ascontiguousarray(output[:, core[0], core[1]]))
        pasted[core] = np.where(piece > 0, piece + pasted.max(), 0)
    owned = label(output, CORE_PX)
    count = int(whole.max())
    for name, found in (("cropped and pasted", pasted), ("owned by the seed", owned)):
        notes.count("own.changed", name, 1 - _equal_cells(found, whole) / max(1, count))
        notes.count("own.cells", name, len(np.unique(found)) - 1)
    notes.count("own.cells", "the whole plane at once", count)


def _equal_cells(found: NDArray[np.uint32], reference: NDArray[np.uint32]) -> int:
    """Cells of the reference that some cell of `found` equals pixel for pixel."""
    pairs = (found.astype(np.uint64) << np.uint64(32)) | reference
    values, shared = np.unique(pairs, return_counts=True)
    one, other = (values >> np.uint64(32)).astype(np.int64), (values & np.uint64(0xFFFFFFFF))
    area_one = np.bincount(found.ravel())[one]
    area_other = np.bincount(reference.ravel())[other.astype(np.int64)]
    both = (one > 0) & (other > 0)
    return int((both & (shared == area_one) & (shared == area_other)).sum())


def _number(cells: NDArray[np.uint32], notes: Notes) -> None:
    """Ids given by a prefix sum, by a shared counter, and by a wide spacing."""
    first = np.unique(cells, return_index=True)[1][1:]
    blocks = -(-cells.shape[1] // CORE_PX)
    block = first // cells.shape[1] // CORE_PX * blocks + first % cells.shape[1] // CORE_PX
    counts = np.bincount(block, minlength=int(block.max()) + 1)
    offsets = np.cumsum(counts) - counts
    rng = np.random.default_rng(2026)
    moved = []
    for _ in range(ORDERS):
        order = rng.permutation(len(counts))
        shared = np.empty_like(offsets)
        shared[order] = np.cumsum(counts[order]) - counts[order]
        moved.append(counts[shared != offsets].sum() / counts.sum())
    notes.count("number.changed", "a shared counter", float(np.mean(moved)))
    notes.count("number.changed", "a prefix sum", float(_by_prefix_sum(counts, rng)))
    spaced = (len(counts) - 1) * SPACING + int(counts[-1])
    notes.count("number.largest-id", "a prefix sum", int(counts.sum()))
    notes.count("number.largest-id", f"blocks spaced by {SPACING:,}", spaced)


def _by_prefix_sum(counts: NDArray[np.int64], rng: np.random.Generator) -> float:
    """Share of cells whose id depends on the order in which blocks report their counts."""
    wanted = np.cumsum(counts) - counts
    moved = 0.0
    for _ in range(ORDERS):
        reported = np.zeros_like(counts)
        for one in rng.permutation(len(counts)):
            reported[one] = counts[one]
        moved += counts[np.cumsum(reported) - reported != wanted].sum() / counts.sum()
    return moved / ORDERS


def _resume(image: NDArray[np.uint16], notes: Notes) -> None:
    """Kill a run half way, continue, and count the tiles that the network saw."""
    plane = np.tile(image, (TALL, 1))
    shape = (plane.shape[0], plane.shape[1])
    grid = plan_tiles(shape)
    rows_of = padded_rows(plane, Limits(np.float32(0), np.float32(1)), grid)
    seen = 0
    limit = grid.tile_count // 2

    def network(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal seen
        if seen >= limit:
            raise KilledError
        seen += len(tiles)
        return np.repeat(tiles[:, :1], 3, axis=1)

    with tempfile.TemporaryDirectory() as folder:
        try:
            _fill(FlowStore(Path(folder), shape), grid, network, rows_of)
        except KilledError:
            limit = seen + grid.tile_count
        before = seen
        _fill(FlowStore(Path(folder), shape), grid, network, rows_of)
    notes.count("resume.tiles", "one run, never killed", grid.tile_count)
    notes.count("resume.tiles", "killed half way, continued", seen)
    notes.count("resume.tiles", "killed half way, started again", before + grid.tile_count)


def _fill(flows: FlowStore, grid, network, rows_of) -> None:  # type: ignore[no-untyped-def]
    for rows in stream_flows(grid, network, rows_of, BATCH, StepClock(), flows.rows_done):
        flows.append(rows, 0.0)
