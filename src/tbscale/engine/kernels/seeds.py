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

from tbscale.images.compiled import compiled, compiled_with

PEAK_PX = 2  # half of the 5 x 5 window
GROW_PX = 5  # a seed grows by one pixel, five times
MIN_SEED_COUNT = 10
MIN_GROW_COUNT = 2
RIVAL_PX = 2 * GROW_PX  # seeds that can win a place from a seed in the core
REACH_PX = RIVAL_PX + GROW_PX  # histogram that decides about the seeds of a core
_RUN_PX = 32  # places that are looked at together for one with enough sinks


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
    y0, x0, height, width = window_around(core, margin_px)
    counts = np.zeros((height, width), np.int32)
    strips = numba.get_num_threads()
    crosses = np.zeros(sinks.shape[1], np.bool_)
    _count_within(sinks, y0, x0, strips, counts, crosses)
    _count_across(sinks, y0, x0, strips, counts, crosses)
    return counts


@compiled_with(parallel=True)
def _count_within(sinks, y0, x0, strips, counts, crosses):  # type: ignore[no-untyped-def]
    """Count the sinks in the strip of `counts` that their strip of pixels has for itself.

    Notes in `crosses` the rows of pixels with a sink in another strip.
    """
    rows, (height, width) = sinks.shape[1], counts.shape
    for strip in prange(strips):
        top, bottom = height * strip // strips, height * (strip + 1) // strips
        for r in range(rows * strip // strips, rows * (strip + 1) // strips):
            for k in range(sinks.shape[2]):
                y, x = sinks[0, r, k] - y0, sinks[1, r, k] - x0
                if 0 <= y < height and 0 <= x < width:
                    if top <= y < bottom:
                        counts[y, x] += 1
                    else:
                        crosses[r] = True


@compiled
def _count_across(sinks, y0, x0, strips, counts, crosses):  # type: ignore[no-untyped-def]
    """Count the sinks that `_count_within` left out."""
    rows, (height, width) = sinks.shape[1], counts.shape
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
def _peaks_of_row(counts, y, margin, out, at):  # type: ignore[no-untyped-def]
    """Number of the peaks in a row; where `out` has rows, they are filled from `at` on."""
    n = 0
    for left in range(margin, counts.shape[1] - margin, _RUN_PX):
        right = min(left + _RUN_PX, counts.shape[1] - margin)
        highest = np.int32(0)
        for here in counts[y, left:right]:
            highest = max(highest, here)
        if highest <= MIN_SEED_COUNT:
            continue
        for x in range(left, right):
            if counts[y, x] > MIN_SEED_COUNT and _is_peak(counts, y, x):
                if out.shape[0]:
                    out[at + n, 0], out[at + n, 1], out[at + n, 2] = counts[y, x], y, x
                n += 1
    return n


@compiled_with(parallel=True)
def _find_peaks(counts, margin):  # type: ignore[no-untyped-def]
    """Places in `counts`, `margin` away from its border, that are seeds; int64 (n, 3).

    Columns: count, y, x (of the window).
    """
    rows = counts.shape[0] - 2 * margin
    start, none = np.zeros(rows + 1, np.int64), np.empty((0, 3), np.int64)
    for r in prange(rows):
        start[r + 1] = _peaks_of_row(counts, r + margin, margin, none, 0)
    start = np.cumsum(start)
    found = np.empty((start[rows], 3), np.int64)
    for r in prange(rows):
        if start[r + 1] > start[r]:
            _peaks_of_row(counts, r + margin, margin, found, start[r])
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
def _grow(counts, places):  # type: ignore[no-untyped-def]
    """Grow the seeds, in their order, over `counts`; later ones take what earlier ones had.

    The winner, -1 - the seed's index, takes the place of the count, so that what a seed may grow
    over is what has a winner or a count that is large enough.
    """
    side = 2 * GROW_PX + 1
    level = np.empty((side, side), np.int8)
    for k in range(places.shape[0]):
        cy, cx = places[k, 0], places[k, 1]
        level[:] = -1
        level[GROW_PX, GROW_PX] = 0
        counts[cy, cx] = -1 - k
        for step in range(GROW_PX):
            for a in range(GROW_PX - step, GROW_PX + step + 1):
                for b in range(GROW_PX - step, GROW_PX + step + 1):
                    if level[a, b] != step:
                        continue
                    for da in range(-1, 2):
                        for db in range(-1, 2):
                            u, v = a + da, b + db
                            y, x = cy + u - GROW_PX, cx + v - GROW_PX
                            here = counts[y, x]
                            if level[u, v] < 0 and (here < 0 or here > MIN_GROW_COUNT):
                                level[u, v] = step + 1
                                counts[y, x] = -1 - k


@compiled_with(parallel=True)
def _assign(sinks, winner, y0, x0, local_id, labels):  # type: ignore[no-untyped-def]
    """Label each pixel with the id of the seed that has won the place of its sink."""
    height, width = winner.shape
    for r in prange(sinks.shape[1]):
        for k in range(sinks.shape[2]):
            y, x = sinks[0, r, k] - y0, sinks[1, r, k] - x0
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
    _grow(counts, seeds[turn] - np.array([y0, x0]))
    owned = in_core(seeds, core)
    local_id = np.where(owned, np.cumsum(owned), 0)[turn].astype(np.uint32)
    labels = np.zeros(sinks.shape[1:], np.uint32)
    _assign(sinks, counts, y0, x0, local_id, labels)
    return labels, int(owned.sum())


def in_core(places: NDArray[np.int64], core: tuple[slice, slice]) -> NDArray[np.bool_]:
    """Say which places, int64 (n, 2) of (y, x), lie in a core."""
    y, x = places.T
    inside: NDArray[np.bool_] = (
        (y >= core[0].start) & (y < core[0].stop) & (x >= core[1].start) & (x < core[1].stop)
    )
    return inside
