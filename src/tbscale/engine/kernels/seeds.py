"""Find the seeds among the sinks, and the seed of every pixel.

The rule is that of the reference (Cellpose 3.1.1.3, `dynamics.get_masks_torch`): a seed is a
maximum of the sink histogram in a 5 x 5 window with more than 10 pixels; it grows five times by
one pixel over places with more than 2; where grown seeds meet, the one with the larger count wins.
Among equal counts the reference leaves it to torch's sort of all seeds of the plane, which is not
stable on CPUs with AVX-512: so all seeds are found first, and sorted by the same call.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tbscale.images.compiled import compiled

PEAK_PX = 2  # half of the 5 x 5 window
GROW_PX = 5  # a seed grows by one pixel, five times
MIN_SEED_COUNT = 10
MIN_GROW_COUNT = 2
RIVAL_PX = 2 * GROW_PX  # seeds that can win a place from a seed in the core
REACH_PX = RIVAL_PX + GROW_PX  # histogram that decides about the seeds of a core


@compiled
def histogram(sinks, y0, x0, height, width):  # type: ignore[no-untyped-def]
    """Count the sinks in the window that starts at (y0, x0); int32 (height, width)."""
    counts = np.zeros((height, width), np.int32)
    for r in range(sinks.shape[1]):
        for k in range(sinks.shape[2]):
            y, x = sinks[0, r, k] - y0, sinks[1, r, k] - x0
            if 0 <= y < height and 0 <= x < width:
                counts[y, x] += 1
    return counts


@compiled
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


@compiled
def grow(counts, places):  # type: ignore[no-untyped-def]
    """Grow the seeds, in their order, over `counts`; later ones take what earlier ones had.

    Returns int32 like `counts`: 0, or 1 + the seed's index.
    """
    winner = np.zeros(counts.shape, np.int32)
    side = 2 * GROW_PX + 1
    for k in range(places.shape[0]):
        cy, cx = places[k, 0], places[k, 1]
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


@compiled
def _assign(sinks, winner, y0, x0, local_id, labels):  # type: ignore[no-untyped-def]
    height, width = winner.shape
    for r in range(sinks.shape[1]):
        for k in range(sinks.shape[2]):
            y, x = sinks[0, r, k] - y0, sinks[1, r, k] - x0
            if 0 <= y < height and 0 <= x < width:
                labels[r, k] = local_id[winner[y, x]]


def window_around(core: tuple[slice, slice], margin_px: int) -> tuple[int, int, int, int]:
    """(y0, x0, height, width) of a core with a margin that may reach beyond the plane."""
    y0, x0 = core[0].start - margin_px, core[1].start - margin_px
    return y0, x0, core[0].stop + margin_px - y0, core[1].stop + margin_px - x0


def find_seeds(sinks: NDArray[np.int32], core: tuple[slice, slice]) -> NDArray[np.int64]:
    """Find the seeds that lie in a core.

    Parameters
    ----------
    sinks : int32 (2, H, W), plane coordinates, of a region around the core that holds every
        pixel with a sink up to PEAK_PX from the core
    core : slices of the plane

    Returns
    -------
    seeds : int64 (n, 3): count, y, x in the plane, in raster order
    """
    y0, x0, height, width = window_around(core, PEAK_PX)
    peaks = find_peaks(histogram(sinks, y0, x0, height, width), PEAK_PX)
    peaks[:, 1:] += np.array([y0, x0])
    return np.asarray(peaks, np.int64)


def label_owned(
    sinks: NDArray[np.int32],
    core: tuple[slice, slice],
    seeds: NDArray[np.int64],
    order: NDArray[np.int64],
) -> tuple[NDArray[np.uint32], int]:
    """Label the pixels of a region whose seed lies in the core.

    Parameters
    ----------
    sinks : int32 (2, H, W), plane coordinates, of a region around the core that holds every
        pixel with a sink up to REACH_PX from the core
    core : slices of the plane
    seeds : int64 (n, 2), y and x in the plane, in raster order: those in the core and all
        rivals up to RIVAL_PX from it
    order : int64 (n,), where two grown seeds meet, the larger one wins

    Returns
    -------
    labels : uint32 (H, W), 0 = background or another block's, else k for the k-th seed of the core
    count : seeds in the core
    """
    y0, x0, height, width = window_around(core, REACH_PX)
    counts = histogram(sinks, y0, x0, height, width)
    turn = np.argsort(order, kind="stable")
    winner = grow(counts, seeds[turn] - np.array([y0, x0]))
    owned = in_core(seeds, core)
    local_id = np.zeros(len(seeds) + 1, np.uint32)
    local_id[1:][owned[turn]] = np.cumsum(owned)[turn][owned[turn]]
    labels = np.zeros(sinks.shape[1:], np.uint32)
    _assign(sinks, winner, y0, x0, local_id, labels)
    return labels, int(owned.sum())


def in_core(places: NDArray[np.int64], core: tuple[slice, slice]) -> NDArray[np.bool_]:
    """Say which places, int64 (n, 2) of (y, x), lie in a core."""
    y, x = places.T
    inside: NDArray[np.bool_] = (
        (y >= core[0].start) & (y < core[0].stop) & (x >= core[1].start) & (x < core[1].stop)
    )
    return inside
