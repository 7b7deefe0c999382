"""`cellpose.dynamics.compute_masks`, drop-in: the same arguments, the same array, less time."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Region
from tbscale.engine.cells import Rules, rank
from tbscale.engine.kernels.choice import FAST, Kernels
from tbscale.engine.kernels.flow_qc import pixels_by_label
from tbscale.engine.kernels.seeds import REACH_PX
from tbscale.engine.owned import ArrayLabels
from tbscale.engine.result import CellTable, finish_labels, with_zero
from tbscale.engine.scratch import mask_flow
from tbscale.engine.seed_order import rank_seeds
from tbscale.engine.tasks.own import measure

logger = logging.getLogger(__name__)
Labels = NDArray[np.uint16] | NDArray[np.uint32]


def compute_masks(
    dP: NDArray[np.float32],  # noqa: N803, the reference's name
    cellprob: NDArray[np.float32],
    p: None = None,
    niter: int = 200,
    cellprob_threshold: float = 0.0,
    flow_threshold: float | None = 0.4,
    interp: bool = True,
    do_3D: bool = False,  # noqa: N803
    min_size: int = -1,
    max_size_fraction: float = 0.4,
    device: Any = None,
) -> Labels:
    """Labels from flows, equal to those of Cellpose 3.1.1.3 on a CPU.

    Parameters
    ----------
    dP : float32 (2, Y, X), the network's flow (dy, dx)
    cellprob : float32 (Y, X), logit
    niter : iterations of the dynamics
    flow_threshold : largest flow error; None or 0 keeps all cells
    min_size : smallest cell, pixels; above 0 holes are filled too, as in the reference
    max_size_fraction : largest cell as a share of the plane
    p, device : taken for the sake of the signature; the work is done on the CPU
    interp, do_3D : without interpolation, or in three dimensions, Cellpose's own function runs,
        and a log line says so

    Returns
    -------
    labels : uint16 (Y, X), uint32 above 65,535 cells
    """
    if do_3D or not interp:
        return _give_to_cellpose(
            dP, cellprob, niter, cellprob_threshold, flow_threshold, interp, do_3D, min_size,
            max_size_fraction,
        )  # fmt: skip
    foreground = cellprob > cellprob_threshold
    flow = mask_flow(dP[0], dP[1], foreground)
    rules = Rules(flow_threshold or 0.0, min_size, max_size_fraction)
    return masks_of(flow, foreground, niter, rules)


def masks_of(
    flow: NDArray[np.float32],
    foreground: NDArray[np.bool_],
    niter: int,
    rules: Rules,
    kernels: Kernels = FAST,
) -> Labels:
    """Labels of a plane in memory, from flow float32 (Y, X, 2) in pixels an iteration."""
    shape = (foreground.shape[0], foreground.shape[1])
    labels, cells = label_whole(flow, foreground, niter, rules.flow_threshold > 0, kernels)
    if rules.min_size > 0:
        whole = finish_labels(cells, ArrayLabels(labels), shape, rules, kernels)
        return narrow(whole.read(whole_of(shape)))
    return narrow(with_zero(number_kept(cells, labels.size, rules))[labels])


def number_kept(cells: CellTable, pixels: int, rules: Rules) -> NDArray[np.uint32]:
    """The label of each cell before holes are filled; 0 for one that is too large or bad."""
    keep = (cells.area > 0) & (cells.area <= pixels * rules.max_size_fraction)
    ids = rank(cells.first, keep)
    if rules.flow_threshold > 0:
        ids[cells.error > rules.flow_threshold] = 0
    return ids


def whole_of(shape: tuple[int, int]) -> Region:
    """The region that is the whole plane."""
    return slice(0, shape[0]), slice(0, shape[1])


def narrow(labels: NDArray[np.uint32]) -> Labels:
    """uint16 where the labels fit, as the reference returns them."""
    return labels.astype(np.uint16) if labels.max(initial=0) < 2**16 else labels


def label_whole(
    flow: NDArray[np.float32],
    foreground: NDArray[np.bool_],
    niter: int,
    check_flows: bool,
    kernels: Kernels = FAST,
) -> tuple[NDArray[np.uint32], CellTable]:
    """Label a plane as one block; the cells are not yet sorted, checked or filled."""
    shape = (foreground.shape[0], foreground.shape[1])
    sinks, _, _ = kernels.follow(flow, foreground, (0, 0), shape, whole_of(shape), niter)
    labels, cells = label_sinks(sinks, kernels)
    if check_flows:
        cells = replace(cells, error=kernels.flow_errors(labels, len(cells.first), flow))
    return labels, cells


def label_sinks(
    sinks: NDArray[np.int32], kernels: Kernels = FAST
) -> tuple[NDArray[np.uint32], CellTable]:
    """Label a plane from its sinks, int32 (2, Y, X); flow errors are left at 0."""
    whole = whole_of((sinks.shape[1], sinks.shape[2]))
    counts = kernels.count_sinks(sinks, whole, REACH_PX)
    seeds = rank_seeds(kernels.find_seeds(counts, whole, REACH_PX))
    labels, count = kernels.label_owned(sinks, counts, whole, seeds.places, seeds.order)
    del counts
    start, at = pixels_by_label(labels, count)
    first, area, box = measure(start, at, whole, sinks.shape[2])
    return labels, CellTable([0], [whole], [whole], first, area, np.zeros(count), box)


def _give_to_cellpose(
    dP: NDArray[np.float32],  # noqa: N803
    cellprob: NDArray[np.float32],
    niter: int,
    cellprob_threshold: float,
    flow_threshold: float | None,
    interp: bool,
    do_3D: bool,  # noqa: N803
    min_size: int,
    max_size_fraction: float,
) -> Labels:
    from cellpose import dynamics

    logger.info("compute_masks: Cellpose's own, because of do_3D or interp=False")
    labels: Labels = dynamics.compute_masks(
        dP,
        cellprob,
        niter=niter,
        cellprob_threshold=cellprob_threshold,
        flow_threshold=flow_threshold,
        interp=interp,
        do_3D=do_3D,
        min_size=min_size,
        max_size_fraction=max_size_fraction,
    )
    return labels
