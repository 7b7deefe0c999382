"""Copies, unasked results, and memory that grows with the plane or does not."""

from __future__ import annotations

import numpy as np
from cellpose import plot, transforms
from numpy.typing import NDArray

from guideline_parts.notes import Notes, traced_peak_bytes
from guideline_parts.sample import Sample, padded_rows
from tbscale.engine.grid import plan_tiles
from tbscale.engine.normalise import Limits
from tbscale.engine.strips import stream_flows
from tbscale.steps import StepClock

STACKED = (1, 2, 4)
LEAST_ROWS = 2048  # several strips and rows of chunks, so that the peak is the steady one
BATCH = 8
TILE_PX = 224


def with_copies(image: NDArray[np.uint16], low: float, high: float) -> NDArray[np.float32]:
    """Normalise and clip, one whole copy an operation."""
    floats = image.astype(np.float32)
    shifted = floats - np.float32(low)
    scaled = shifted / np.float32(high - low)
    return np.clip(scaled, 0, 1)


def in_place(image: NDArray[np.uint16], low: float, high: float) -> NDArray[np.float32]:
    """The same numbers in one array."""
    out = image.astype(np.float32)
    out -= np.float32(low)
    out /= np.float32(high - low)
    return np.clip(out, 0, 1, out=out)


def measure_memory(sample: Sample, notes: Notes) -> None:
    """Copies, the display image, and the growth with the plane."""
    image, pixels = sample.image, sample.image.size
    low, high = (float(one) for one in np.percentile(image, (1, 99)))
    variants = {
        "a copy for each operation": lambda: with_copies(image, low, high),
        "in place": lambda: in_place(image, low, high),
    }
    for variant, work in variants.items():
        notes.count("copies.peak", variant, traced_peak_bytes(work) / pixels, "bytes/px")
    notes.time_rounds("copies.time", dict(variants))
    differing = with_copies(image, low, high) != in_place(image, low, high)
    notes.count("copies.differing", "in place", int(differing.sum()))
    flow = np.ascontiguousarray(sample.output[:2])
    display = traced_peak_bytes(lambda: plot.dx_to_circ(flow))
    notes.count("asked.peak", "the flow drawn in colours", display / pixels, "bytes/px")
    notes.count("asked.peak", "the labels", np.dtype(np.uint32).itemsize, "bytes/px")
    _growth(image, notes)


def _echo(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """In place of the network: three outputs, and no time."""
    return np.repeat(tiles[:, :1], 3, axis=1)


def _growth(image: NDArray[np.uint16], notes: Notes) -> None:
    """Peak memory of tiling and blending a plane, once, twice and four times as high."""
    whole_times = -(-LEAST_ROWS // image.shape[0])
    for times in STACKED:
        plane = np.tile(image, (times * whole_times, 1))
        variant = f"{plane.shape[0]:,} rows"
        streamed = traced_peak_bytes(lambda p=plane: _streamed(p))
        whole = traced_peak_bytes(lambda p=plane: _whole(p))
        notes.count("bounded.peak", f"strip by strip, {variant}", streamed, "bytes")
        notes.count("bounded.peak", f"the whole plane, {variant}", whole, "bytes")
        notes.count("bounded.streamed", str(times), streamed, "bytes")
        notes.count("bounded.whole", str(times), whole, "bytes")


def _streamed(plane: NDArray[np.uint16]) -> float:
    """Blend strip by strip and keep one number."""
    grid = plan_tiles((plane.shape[0], plane.shape[1]))
    rows_of = padded_rows(plane, Limits(np.float32(0), np.float32(1)), grid)
    rows = stream_flows(grid, _echo, rows_of, BATCH, StepClock())
    return sum(float(one.values[2].sum()) for one in rows)


def _whole(plane: NDArray[np.uint16]) -> float:
    """Cut all tiles, keep all outputs, blend at the end: the reference's own functions."""
    pair = np.stack([plane, np.zeros_like(plane)]).astype(np.float32)
    tiles, ys, xs, height, width = transforms.make_tiles(pair, bsize=TILE_PX)
    flat = tiles.reshape(-1, *tiles.shape[-3:])
    out = np.concatenate([_echo(flat[k : k + BATCH]) for k in range(0, len(flat), BATCH)])
    return float(transforms.average_tiles(out, ys, xs, height, width)[2].sum())
