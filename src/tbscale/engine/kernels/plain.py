"""The plain paths: the reference's own functions, or numpy, one cell or iteration at a time.

Each function here takes and returns what the fast one of the same name does, and gives the same
numbers. They are what `--plain STEP` runs, and what the fast paths are tested against.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from tbscale.engine.kernels.follow import NO_SINK
from tbscale.engine.kernels.seeds import (
    GROW_PX,
    MIN_GROW_COUNT,
    MIN_SEED_COUNT,
    PEAK_PX,
    REACH_PX,
    in_core,
    window_around,
)

Core = tuple[slice, slice]


def follow(
    flow: NDArray[np.float32],
    foreground: NDArray[np.bool_],
    origin: tuple[int, int],
    plane_shape: tuple[int, int],
    core: Core,
    niter: int,
) -> tuple[NDArray[np.int32], int, int]:
    """`kernels.follow.follow` by `cellpose.dynamics.map_coordinates`: all pixels, all iterations.

    Positions are float32 in the plane. To subtract the region's origin from one is exact, so the
    reference's interpolation sees the same weights as on the whole plane.
    """
    from cellpose import dynamics

    planar = np.ascontiguousarray(np.moveaxis(flow, -1, 0))
    y0, x0 = origin
    rows = slice(core[0].start - y0, core[0].stop - y0)
    columns = slice(core[1].start - x0, core[1].stop - x0)
    where = np.stack(np.nonzero(foreground[rows, columns]))
    start = np.array([[core[0].start], [core[1].start]])
    corner = np.array([[y0], [x0]], np.float32)
    position = (where + start).astype(np.float32)
    last = np.array([[plane_shape[0] - 1], [plane_shape[1] - 1]], np.float32)
    inside = np.ones(where.shape[1], np.bool_)
    step = np.zeros_like(position)
    for _ in range(niter):
        inside &= _is_covered(position, origin, flow.shape[:2], plane_shape)
        local = position - corner
        dynamics.map_coordinates(planar, local[0], local[1], step)
        position = np.where(inside, np.minimum(last, np.maximum(0, position + step)), position)
    found = position.astype(np.int32)
    sinks = np.full((2, rows.stop - rows.start, columns.stop - columns.start), NO_SINK, np.int32)
    kept = where[:, inside]
    sinks[:, kept[0], kept[1]] = found[:, inside]
    reach = np.abs(found - where - start)[:, inside]
    return sinks, int((~inside).sum()), int(reach.max(initial=0))


def _is_covered(
    position: NDArray[np.float32],
    origin: tuple[int, int],
    region_shape: tuple[int, ...],
    plane_shape: tuple[int, int],
) -> NDArray[np.bool_]:
    """Say at which positions, float32 (2, n), all four pixels around lie in the region."""
    covered = np.ones(position.shape[1], np.bool_)
    for k in range(2):
        low = position[k].astype(np.int32)
        high = np.minimum(plane_shape[k] - 1, low + 1)
        covered &= (low >= origin[k]) & (high < origin[k] + region_shape[k])
    return covered


def count_sinks(sinks: NDArray[np.int32], core: Core, margin_px: int) -> NDArray[np.int32]:
    """`kernels.seeds.count_sinks` by `numpy.bincount`."""
    y0, x0, height, width = window_around(core, margin_px)
    y, x = sinks[0].astype(np.int64) - y0, sinks[1].astype(np.int64) - x0
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    counts = np.bincount(y[inside] * width + x[inside], minlength=height * width)
    return counts.reshape(height, width).astype(np.int32)


def find_seeds(counts: NDArray[np.int32], core: Core, margin_px: int) -> NDArray[np.int64]:
    """`kernels.seeds.find_seeds` by a maximum filter over the histogram."""
    highest = maximum_filter(counts, size=2 * PEAK_PX + 1, mode="constant")
    peak = (counts == highest) & (counts > MIN_SEED_COUNT)
    y, x = np.nonzero(peak[margin_px:-margin_px, margin_px:-margin_px])
    here = counts[y + margin_px, x + margin_px]
    found = np.stack([here, y + core[0].start, x + core[1].start], axis=1)
    return np.asarray(found, np.int64)


def _grow_one(counts: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Where a seed in the middle of a window of counts grows to."""
    mask = np.zeros(counts.shape, np.bool_)
    mask[GROW_PX, GROW_PX] = True
    for _ in range(GROW_PX):
        mask = maximum_filter(mask, size=3, mode="constant") & (counts > MIN_GROW_COUNT)
    return mask


def label_owned(
    sinks: NDArray[np.int32],
    counts: NDArray[np.int32],
    core: Core,
    seeds: NDArray[np.int64],
    order: NDArray[np.int64],
) -> tuple[NDArray[np.uint32], int]:
    """`kernels.seeds.label_owned` seed by seed, as the reference loops."""
    y0, x0, height, width = window_around(core, REACH_PX)
    owned = in_core(seeds, core)
    label_id = np.where(owned, np.cumsum(owned), 0).astype(np.uint32)
    winner = np.zeros((height, width), np.uint32)
    for k in np.argsort(order, kind="stable"):
        y, x = seeds[k, 0] - y0 - GROW_PX, seeds[k, 1] - x0 - GROW_PX
        window = (slice(y, y + 2 * GROW_PX + 1), slice(x, x + 2 * GROW_PX + 1))
        winner[window][_grow_one(counts[window])] = label_id[k]
    labels = np.zeros(sinks.shape[1:], np.uint32)
    y, x = sinks[0].astype(np.int64) - y0, sinks[1].astype(np.int64) - x0
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    labels[inside] = winner[y[inside], x[inside]]
    return labels, int(owned.sum())


def flow_errors(
    labels: NDArray[np.uint32], n: int, flow: NDArray[np.float32]
) -> NDArray[np.float64]:
    """`kernels.flow_qc.flow_errors` by `cellpose.dynamics.masks_to_flows_cpu`."""
    from cellpose import dynamics

    own, _ = dynamics.masks_to_flows_cpu(labels.astype(np.int64))
    flat = labels.ravel()
    area = np.bincount(flat, minlength=n + 1)
    errors = np.zeros(n + 1, np.float64)
    for k in range(2):
        squares = ((own[k] - flow[..., k]) ** 2).ravel()
        errors += np.bincount(flat, squares, n + 1) / np.maximum(area, 1)
    return errors[1:]


def find_holes(
    labels: NDArray[np.uint32], ids: NDArray[np.uint32], boxes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """`kernels.fill.find_holes` by `fill_voids` on every cell, as the reference does."""
    import fill_voids

    cell, at = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for k, (label, (y0, y1, x0, x1)) in enumerate(zip(ids, boxes, strict=True)):
        mine = labels[y0:y1, x0:x1] == label
        y, x = np.nonzero(fill_voids.fill(mine) & ~mine)
        cell.append(np.full(len(y), k))
        at.append((y + y0) * labels.shape[1] + x + x0)
    places = np.concatenate(at)
    return np.concatenate(cell), places, labels.ravel()[places]
