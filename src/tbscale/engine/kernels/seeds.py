"""Find the seeds among the sinks, and the seed of every pixel.

The rule is that of the reference (Cellpose 3.1.1.3, `dynamics.get_masks_torch`): a seed is a
maximum of the sink histogram in a 5 x 5 window with more than 10 pixels; it grows five times by
one pixel over places with more than 2; where grown seeds meet, the one with the larger
(count, y, x) wins.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

PEAK_PX = 2  # half of the 5 x 5 window
GROW_PX = 5  # a seed grows by one pixel, five times
MIN_SEED_COUNT = 10
MIN_GROW_COUNT = 2
RIVAL_PX = 2 * GROW_PX  # seeds that can win a place from a seed in the core
REACH_PX = RIVAL_PX + GROW_PX  # histogram that decides about the seeds of a core


@njit(nogil=True, cache=True)
def histogram(sinks, y0, x0, height, width):  # type: ignore[no-untyped-def]
    """Count the sinks in the window that starts at (y0, x0); int32 (height, width)."""
    counts = np.zeros((height, width), np.int32)
    for r in range(sinks.shape[1]):
        for k in range(sinks.shape[2]):
            y, x = sinks[0, r, k] - y0, sinks[1, r, k] - x0
            if 0 <= y < height and 0 <= x < width:
                counts[y, x] += 1
    return counts


@njit(nogil=True, cache=True)
def find_peaks(counts, margin):  # type: ignore[no-untyped-def]
    """Places in `counts`, `margin` away from its border, that are seeds; int64 (n, 3).

    Columns: count, y, x (of the window).
    """
    height, width = counts.shape
    found = []
    for y in range(margin, height - margin):
        for x in range(margin, width - margin):
            here = counts[y, x]
            if here <= MIN_SEED_COUNT:
                continue
            highest = here
            for a in range(y - PEAK_PX, y + PEAK_PX + 1):
                for b in range(x - PEAK_PX, x + PEAK_PX + 1):
                    highest = max(highest, counts[a, b])
            if here == highest:
                found.append((here, y, x))
    out = np.empty((len(found), 3), np.int64)
    for k in range(len(found)):
        out[k, 0], out[k, 1], out[k, 2] = found[k]
    return out


@njit(nogil=True, cache=True)
def grow(counts, peaks):  # type: ignore[no-untyped-def]
    """Grow the peaks, in their order, over `counts`; later ones take what earlier ones had.

    Returns int32 like `counts`: 0, or 1 + the peak's index.
    """
    winner = np.zeros(counts.shape, np.int32)
    side = 2 * GROW_PX + 1
    for k in range(peaks.shape[0]):
        cy, cx = peaks[k, 1], peaks[k, 2]
        level = np.full((side, side), -1, np.int8)
        level[GROW_PX, GROW_PX] = 0
        winner[cy, cx] = k + 1
        for step in range(GROW_PX):
            for a in range(GROW_PX - step, GROW_PX + step + 1):
                for b in range(GROW_PX - step, GROW_PX + step + 1):
                    if level[a, b] != step:
                        continue
                    for da in range(-1, 2):
                        for db in range(-1, 2):
                            u, v = a + da, b + db
                            y, x = cy + u - GROW_PX, cx + v - GROW_PX
                            if level[u, v] < 0 and counts[y, x] > MIN_GROW_COUNT:
                                level[u, v] = step + 1
                                winner[y, x] = k + 1
    return winner


@njit(nogil=True, cache=True)
def _assign(sinks, winner, y0, x0, local_id, labels):  # type: ignore[no-untyped-def]
    height, width = winner.shape
    for r in range(sinks.shape[1]):
        for k in range(sinks.shape[2]):
            y, x = sinks[0, r, k] - y0, sinks[1, r, k] - x0
            if 0 <= y < height and 0 <= x < width:
                labels[r, k] = local_id[winner[y, x]]


def label_owned(
    sinks: NDArray[np.int32], core: tuple[slice, slice]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Label the pixels of a region whose seed lies in the core.

    Parameters
    ----------
    sinks : int32 (2, H, W), plane coordinates, of a region around the core that holds every
        pixel with a sink up to REACH_PX from the core
    core : slices of the plane

    Returns
    -------
    labels : uint32 (H, W), 0 = background or another block's, else 1 + index into `seeds`
    seeds : int64 (n, 2), plane coordinates (y, x), sorted
    """
    y0, x0 = core[0].start - REACH_PX, core[1].start - REACH_PX
    height = core[0].stop + REACH_PX - y0
    width = core[1].stop + REACH_PX - x0
    counts = histogram(sinks, y0, x0, height, width)
    peaks = find_peaks(counts, GROW_PX)
    peaks = peaks[np.lexsort((peaks[:, 2], peaks[:, 1], peaks[:, 0]))]
    winner = grow(counts, peaks)
    places = peaks[:, 1:] + np.array([y0, x0])
    owned = (
        (places[:, 0] >= core[0].start)
        & (places[:, 0] < core[0].stop)
        & (places[:, 1] >= core[1].start)
        & (places[:, 1] < core[1].stop)
    )
    order = np.flatnonzero(owned)[np.lexsort((places[owned, 1], places[owned, 0]))]
    local_id = np.zeros(len(peaks) + 1, np.uint32)
    local_id[order + 1] = np.arange(1, len(order) + 1)
    labels = np.zeros(sinks.shape[1:], np.uint32)
    _assign(sinks, winner, y0, x0, local_id, labels)
    return labels, places[order]
