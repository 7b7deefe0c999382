"""Following pixels: the order of the loops, the fixed point, the empty, the far coordinates."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from guideline_parts.notes import Notes
from guideline_parts.sample import Sample
from tbscale.engine.kernels.follow import NO_SINK, _mix, follow

NITER = 200
OFFSETS_PX = (0, 4_096, 27_120, 131_072, 1_048_576)


@njit(nogil=True, inline="always")
def _step(flow, py, px):  # type: ignore[no-untyped-def]
    """Where one position is after one iteration, float32 in and out."""
    height, width = flow.shape[:2]
    y, x = np.int32(py), np.int32(px)
    wy, wx = np.float32(py - np.float32(y)), np.float32(px - np.float32(x))
    c, d = min(height - 1, y + 1), min(width - 1, x + 1)
    dy = _mix(flow[y, x, 0], flow[y, d, 0], flow[c, x, 0], flow[c, d, 0], wy, wx)
    dx = _mix(flow[y, x, 1], flow[y, d, 1], flow[c, x, 1], flow[c, d, 1], wy, wx)
    ny, nx = np.float32(py + dy), np.float32(px + dx)
    zero = np.float32(0)
    return (
        min(np.float32(height - 1), max(zero, ny)),
        min(np.float32(width - 1), max(zero, nx)),
    )


@njit(nogil=True)
def by_iteration(flow, starts, niter):  # type: ignore[no-untyped-def]
    """All pixels make a step, then all make the next; float32 (n, 2)."""
    at = starts.astype(np.float32)
    for _ in range(niter):
        for k in range(at.shape[0]):
            at[k, 0], at[k, 1] = _step(flow, at[k, 0], at[k, 1])
    return at


@njit(nogil=True)
def by_pixel(flow, starts, niter):  # type: ignore[no-untyped-def]
    """One pixel makes all its steps, then the next one; float32 (n, 2)."""
    at = starts.astype(np.float32)
    for k in range(at.shape[0]):
        y, x = at[k, 0], at[k, 1]
        for _ in range(niter):
            y, x = _step(flow, y, x)
        at[k, 0], at[k, 1] = y, x
    return at


@njit(nogil=True)
def by_pixel_until_still(flow, starts, niter):  # type: ignore[no-untyped-def]
    """As `by_pixel`, but stop at a fixed point or a cycle of two; also the steps made."""
    at = starts.astype(np.float32)
    steps = 0
    for k in range(at.shape[0]):
        y, x = at[k, 0], at[k, 1]
        before_y, before_x = np.float32(-1), np.float32(-1)
        t = 0
        while t < niter:
            ny, nx = _step(flow, y, x)
            t += 1
            if ny == y and nx == x:
                break
            if ny == before_y and nx == before_x:
                if (niter - t) % 2 == 0:
                    y, x = ny, nx
                break
            before_y, before_x = y, x
            y, x = ny, nx
        at[k, 0], at[k, 1] = y, x
        steps += t
    return at, steps


def measure_dynamics(sample: Sample, notes: Notes) -> None:
    """Everything about following."""
    flow = sample.flow
    starts = np.argwhere(sample.foreground).astype(np.int32)
    _order_and_stop(flow, starts, notes)
    _skip(flow, starts, notes)
    _far(sample, notes)


def _order_and_stop(flow: NDArray[np.float32], starts: NDArray[np.int32], notes: Notes) -> None:
    notes.time_rounds(
        "follow.time",
        {
            "one iteration at a time": lambda: by_iteration(flow, starts, NITER),
            "one pixel at a time": lambda: by_pixel(flow, starts, NITER),
            "one pixel at a time, to the fixed point": lambda: by_pixel_until_still(
                flow, starts, NITER
            ),
        },
        rounds=3,
    )
    first, second = by_iteration(flow, starts, NITER), by_pixel(flow, starts, NITER)
    third, steps = by_pixel_until_still(flow, starts, NITER)
    notes.count("follow.differing", "one pixel at a time", int((first != second).sum()))
    notes.count("follow.differing", "to the fixed point", int((first != third).sum()))
    notes.count("follow.steps", "all iterations", len(starts) * NITER)
    notes.count("follow.steps", "to the fixed point", int(steps))


def _skip(flow: NDArray[np.float32], starts: NDArray[np.int32], notes: Notes) -> None:
    height, width = flow.shape[:2]
    everything = np.argwhere(np.ones((height, width), np.bool_)).astype(np.int32)
    notes.time_rounds(
        "skip.time",
        {
            "every pixel": lambda: by_pixel(flow, everything, NITER),
            "only the foreground": lambda: by_pixel(flow, starts, NITER),
        },
        rounds=3,
    )
    notes.count("skip.pixels", "every pixel", height * width, "px")
    notes.count("skip.pixels", "only the foreground", len(starts), "px")
    found = by_pixel(flow, everything, NITER).reshape(height, width, 2)
    same = found[starts[:, 0], starts[:, 1]] == by_pixel(flow, starts, NITER)
    notes.count("skip.differing", "only the foreground", int((~same).sum()))


def _far(sample: Sample, notes: Notes) -> None:
    """How many pixels end elsewhere when the same flow lies far from the origin."""
    height, width = sample.image.shape
    near: NDArray[np.int32] | None = None
    for offset in OFFSETS_PX:
        core = (slice(offset, offset + height), slice(offset, offset + width))
        plane = (offset + height, offset + width)
        sinks, _, _ = follow(sample.flow, sample.foreground, (offset, offset), plane, core, NITER)
        here = np.where(sinks == NO_SINK, NO_SINK, sinks - offset)
        near = here if near is None else near
        known = (near[0] != NO_SINK) & (here[0] != NO_SINK)
        moved = known & (here != near).any(axis=0)
        variant = f"{offset:,} px from the origin"
        notes.count("far.moved-share", variant, moved.sum() / max(1, known.sum()))
        notes.count("far.resolution", variant, float(np.spacing(np.float32(offset))), "px")
