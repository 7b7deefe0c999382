"""Find the seeds among the sinks, and the seed of every pixel.

The rule is that of the reference (Cellpose 3.1.1.3, `dynamics.get_masks_torch`): a seed is a
maximum of the sink histogram in a 5 x 5 window with more than 10 pixels; it grows five times by
one pixel over places with more than 2; where grown seeds meet, the one with the larger count wins.
Among equal counts the reference leaves it to torch's sort of all seeds of the plane, which is not
stable on CPUs with AVX-512: so all seeds are found first, and sorted by the same call.

Large arrays are made by numpy, not in the loops: it asks the system for huge pages, and to touch
31 MB of small ones for the first time takes as long as to count the sinks.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import prange
from numpy.typing import NDArray

from tbscale.engine.kernels.follow import NO_SINK
from tbscale.engine.kernels.runs import above
from tbscale.images.compiled import compiled, compiled_with

PEAK_PX = 2  # half of the 5 x 5 window
GROW_PX = 5  # a seed grows by one pixel, five times
MIN_SEED_COUNT = 10
MIN_GROW_COUNT = 2
RIVAL_PX = 2 * GROW_PX  # seeds that can win a place from a seed in the core
REACH_PX = RIVAL_PX + GROW_PX  # histogram that decides about the seeds of a core


def window_around(core: tuple[slice, slice], margin_px: int) -> tuple[int, int, int, int]:
    """(y0, x0, height, width) of a core with a margin that may reach beyond the plane."""
    y0, x0 = core[0].start - margin_px, core[1].start - margin_px
    return y0, x0, core[0].stop + margin_px - y0, core[1].stop + margin_px - x0


def count_sinks(
    sinks: NDArray[np.int32], core: tuple[slice, slice], margin_px: int
) -> NDArray[np.int32]:
    """Count the sinks at each place of a core and its margin.

    Parameters
    ----------
    sinks : int32 (2, H, W), plane coordinates, of a region around the core that holds every
        pixel with a sink up to `margin_px` from the core
    core : slices of the plane

    Returns
    -------
    counts : int32 (core height + 2 margin_px, core width + 2 margin_px)
    """
    box = window_around(core, margin_px)
    counts = np.empty(box[2:], np.int32)
    strips = numba.get_num_threads()
    crosses = np.zeros(sinks.shape[1], np.bool_)
    sinks = np.ascontiguousarray(sinks)
    _count_within(sinks, box, strips, counts, crosses)
    _count_across(sinks, box, strips, counts, crosses)
    return counts


@compiled
def _count_row(ys, xs, box, top, bottom, counts, at):  # type: ignore[no-untyped-def]
    """Count the sinks of a row of pixels that lie in rows top to bottom of `counts`.

    Returns whether the row has a sink in another strip.
    """
    others, (y0, x0, height, width) = False, box
    for k in at[: above(ys, NO_SINK, xs, at)]:
        y, x = ys[k] - y0, xs[k] - x0
        if 0 <= x < width:
            if top <= y < bottom:
                counts[y, x] += 1
            elif 0 <= y < height:
                others = True
    return others


@compiled_with(parallel=True)
def _count_within(sinks, box, strips, counts, crosses):  # type: ignore[no-untyped-def]
    """Count the sinks in the strip of `counts` that their strip of pixels has for itself.

    Notes in `crosses` the rows of pixels with a sink in another strip.
    """
    rows, height = sinks.shape[1], box[2]
    for strip in prange(strips):
        at = np.empty(sinks.shape[2], np.int64)
        top, bottom = height * strip // strips, height * (strip + 1) // strips
        counts[top:bottom] = 0
        for r in range(rows * strip // strips, rows * (strip + 1) // strips):
            crosses[r] = _count_row(sinks[0, r], sinks[1, r], box, top, bottom, counts, at)


@compiled
def _count_across(sinks, box, strips, counts, crosses):  # type: ignore[no-untyped-def]
    """Count the sinks that `_count_within` left out."""
    rows, (y0, x0, height, width) = sinks.shape[1], box
    for strip in range(strips):
        top, bottom = height * strip // strips, height * (strip + 1) // strips
        for r in range(rows * strip // strips, rows * (strip + 1) // strips):
            if not crosses[r]:
                continue
            for k in range(sinks.shape[2]):
                y, x = sinks[0, r, k] - y0, sinks[1, r, k] - x0
                if 0 <= y < height and 0 <= x < width and not top <= y < bottom:
                    counts[y, x] += 1


@compiled
def _is_peak(counts, y, x):  # type: ignore[no-untyped-def]
    """Whether no place of the 5 x 5 window around a place has more sinks."""
    for a in range(y - PEAK_PX, y + PEAK_PX + 1):
        for b in range(x - PEAK_PX, x + PEAK_PX + 1):
            if counts[a, b] > counts[y, x]:
                return False
    return True


@compiled
def _peaks_of_row(counts, y, margin, at):  # type: ignore[no-untyped-def]
    """Fill `at` with the columns of the peaks in a row; return how many they are."""
    n, row = 0, counts[y, margin:-margin]
    for k in at[: above(row, MIN_SEED_COUNT, row, at)]:
        if _is_peak(counts, y, k + margin):
            at[n] = k + margin
            n += 1
    return n


@compiled_with(parallel=True)
def _find_peaks(counts, margin):  # type: ignore[no-untyped-def]
    """Places in `counts`, `margin` away from its border, that are seeds; int64 (n, 3).

    Columns: count, y, x (of the window).
    """
    rows = counts.shape[0] - 2 * margin
    columns = np.empty((rows, counts.shape[1]), np.int32)  # in small pages: few are touched
    start = np.zeros(rows + 1, np.int64)
    for r in prange(rows):
        start[r + 1] = _peaks_of_row(counts, r + margin, margin, columns[r])
    start = np.cumsum(start)
    found = np.empty((start[rows], 3), np.int64)
    for r in prange(rows):
        for k in range(start[r + 1] - start[r]):
            x = columns[r, k]
            found[start[r] + k, 0] = counts[r + margin, x]
            found[start[r] + k, 1] = r + margin
            found[start[r] + k, 2] = x
    return found


def find_seeds(
    counts: NDArray[np.int32], core: tuple[slice, slice], margin_px: int
) -> NDArray[np.int64]:
    """Find the seeds that lie in a core.

    Parameters
    ----------
    counts : sinks of the core and a margin of at least PEAK_PX, as `count_sinks` gives them
    core : slices of the plane

    Returns
    -------
    seeds : int64 (n, 3): count, y, x in the plane, in raster order
    """
    y0, x0, _, _ = window_around(core, margin_px)
    peaks = _find_peaks(counts, margin_px)
    peaks[:, 1:] += np.array([y0, x0])
    return np.asarray(peaks, np.int64)


@compiled
def _grow_one(counts, cy, cx, winner, top, bottom, level):  # type: ignore[no-untyped-def]
    """Grow a seed over `counts`, and put `winner` to its places in rows top to bottom.

    Parameters
    ----------
    level : int8 (2 GROW_PX + 1,) * 2, to work in
    """
    level[:] = -1
    level[GROW_PX, GROW_PX] = 0
    for step in range(GROW_PX + 1):
        for a in range(GROW_PX - step, GROW_PX + step + 1):
            for b in range(GROW_PX - step, GROW_PX + step + 1):
                if level[a, b] != step:
                    continue
                if top <= cy + a - GROW_PX < bottom:
                    counts[cy + a - GROW_PX, cx + b - GROW_PX] = winner
                if step == GROW_PX:
                    continue
                for u in range(a - 1, a + 2):
                    for v in range(b - 1, b + 2):
                        here = counts[cy + u - GROW_PX, cx + v - GROW_PX]
                        if level[u, v] < 0 and (here < 0 or here > MIN_GROW_COUNT):
                            level[u, v] = step + 1


@compiled_with(parallel=True)
def _grow(counts, places, strips):  # type: ignore[no-untyped-def]
    """Grow the seeds, in their order, over `counts`; later ones take what earlier ones had.

    The winner, -1 - the seed's index, takes the place of the count, so that what a seed may grow
    over is what has a winner or a count that is large enough. That holds as well where another
    thread is at work: each grows all seeds near its strip, and writes to its strip alone.
    """
    for strip in prange(strips):
        level = np.empty((2 * GROW_PX + 1, 2 * GROW_PX + 1), np.int8)
        top, bottom = counts.shape[0] * strip // strips, counts.shape[0] * (strip + 1) // strips
        for k in range(places.shape[0]):
            if top - GROW_PX <= places[k, 0] < bottom + GROW_PX:
                _grow_one(counts, places[k, 0], places[k, 1], -1 - k, top, bottom, level)


@compiled_with(parallel=True)
def _assign(sinks, winner, y0, x0, local_id, labels):  # type: ignore[no-untyped-def]
    """Label each pixel with the id of the seed that has won the place of its sink."""
    height, width = winner.shape
    for r in prange(sinks.shape[1]):
        ys, xs = sinks[0, r], sinks[1, r]
        at = np.empty(xs.size, np.int64)
        labels[r] = 0
        for k in at[: above(ys, NO_SINK, xs, at)]:
            y, x = ys[k] - y0, xs[k] - x0
            if 0 <= y < height and 0 <= x < width and winner[y, x] < 0:
                labels[r, k] = local_id[-1 - winner[y, x]]


def label_owned(
    sinks: NDArray[np.int32],
    counts: NDArray[np.int32],
    core: tuple[slice, slice],
    seeds: NDArray[np.int64],
    order: NDArray[np.int64],
) -> tuple[NDArray[np.uint32], int]:
    """Label the pixels of a region whose seed lies in the core.

    Parameters
    ----------
    sinks : int32 (2, H, W), plane coordinates, of a region around the core that holds every
        pixel with a sink up to REACH_PX from the core
    counts : these sinks at each place of the core and a margin of REACH_PX; used up
    core : slices of the plane
    seeds : int64 (n, 2), y and x in the plane, in raster order: those in the core and all
        rivals up to RIVAL_PX from it
    order : int64 (n,), where two grown seeds meet, the larger one wins

    Returns
    -------
    labels : uint32 (H, W), 0 = background or another block's, else k for the k-th seed of the core
    count : seeds in the core
    """
    y0, x0, _, _ = window_around(core, REACH_PX)
    turn = np.argsort(order, kind="stable")
    _grow(counts, seeds[turn] - np.array([y0, x0]), numba.get_num_threads())
    owned = in_core(seeds, core)
    local_id = np.where(owned, np.cumsum(owned), 0)[turn].astype(np.uint32)
    labels = np.empty(sinks.shape[1:], np.uint32)
    _assign(np.ascontiguousarray(sinks), counts, y0, x0, local_id, labels)
    return labels, int(owned.sum())


def in_core(places: NDArray[np.int64], core: tuple[slice, slice]) -> NDArray[np.bool_]:
    """Say which places, int64 (n, 2) of (y, x), lie in a core."""
    y, x = places.T
    inside: NDArray[np.bool_] = (
        (y >= core[0].start) & (y < core[0].stop) & (x >= core[1].start) & (x < core[1].stop)
    )
    return inside
