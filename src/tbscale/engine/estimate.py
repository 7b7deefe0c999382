"""Estimate how long a run will take: a small piece of the image is segmented and scaled up."""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tbscale.engine.allocator import keep_freed
from tbscale.engine.diameters import read_diameters
from tbscale.engine.grid import plan_tiles
from tbscale.engine.network import Network
from tbscale.engine.plan import Plan, plan_segmentation
from tbscale.engine.request import (
    MakeNetwork,
    Request,
    check_request,
    network_of,
    open_measured,
    open_planes,
    plan_request,
)
from tbscale.engine.rescale import Scaling, choose_scaling
from tbscale.engine.run import Settings, label_plane, network_step
from tbscale.engine.scratch import FlowStore
from tbscale.engine.segmentation import write_labels
from tbscale.engine.weights import resolve_model
from tbscale.images.open import open_image
from tbscale.images.plane import ArrayPlane, Plane
from tbscale.steps import StepClock

PIECE_PX = 512
SMALLEST_PIECE_PX = 64
FIRST_PX = 64  # a run that loads kernels and fills caches, not timed
PLACES_PER_AXIS = 3
PER_TILE = ("tile", "network", "blend")
UNBOUNDED_BYTES = 1 << 62
TIMES_READ = 2  # every pixel: once for the limits, once for the network


@dataclass(frozen=True)
class Estimate:
    """Estimated seconds of a run.

    Attributes
    ----------
    tiles, pixels : of the piece that was timed
    steps_s : of the whole plane, by step
    """

    tiles: int
    pixels: int
    steps_s: dict[str, float]

    @property
    def wall_s(self) -> float:
        """All steps, one after the other."""
        return sum(self.steps_s.values())


def estimate_time(
    planes: list[Plane], plan: Plan, network: Network, settings: Settings
) -> Estimate:
    """Segment the brightest of nine pieces of the image, and scale what each step took.

    The network scales with its tiles, everything else with the area. Costs a few batches of the
    network. An image whose other parts differ takes another time.
    """
    settings = for_piece(settings)
    pieces, read_s = read_piece(planes, piece_px(settings.scaling))
    first_px = max(FIRST_PX, math.ceil(2 / settings.scaling.factor))  # at least a pixel, rescaled
    first = [ArrayPlane(piece.pixels[:first_px, :first_px]) for piece in pieces]
    settings = replace(settings, keeps_freed=plan.keeps_freed)
    with keep_freed(settings.kept_bytes):  # from piece to piece, as a run does from batch to batch
        time_piece(first, network, settings)
        clock = time_piece(pieces, network, settings)
    shape = pieces[0].shape
    tiles = plan_tiles(settings.scaling.frame(shape), settings.tile_px, settings.overlap).tile_count
    by_tile = plan.grid.tile_count / tiles
    area = plan.shape[0] * plan.shape[1]
    by_area = area / (shape[0] * shape[1])
    steps_s = {
        step: spent * (by_tile if step in PER_TILE else by_area)
        for step, spent in clock.wall_s().items()
    }
    steps_s["read"] = steps_s.get("read", 0.0) + TIMES_READ * read_s * area
    return Estimate(tiles, shape[0] * shape[1], steps_s)


def estimate_request(
    request: Request, make_network: MakeNetwork | None = None
) -> tuple[Plan, Estimate]:
    """Plan a request and estimate its time; nothing is written beside the output.

    Raises
    ------
    ImageError, WeightsError, BudgetError : as `segment`
    """
    check_request(request)
    with open_image(request.image) as image:
        planes = open_planes(image, request)
        measured = open_measured(image, request) if request.cells else ()
    weights = resolve_model(request.model)
    scaling = choose_scaling(request.diameter, read_diameters(weights))
    plan = plan_request(request, planes, scaling, measured)
    network = network_of(request, weights, make_network)
    settings = replace(request.settings, scaling=scaling)
    return plan, estimate_time(planes, plan, network, settings)


def piece_px(scaling: Scaling) -> int:
    """Side of a piece, pixels: smaller where the plane is enlarged, for about as many tiles.

    >>> piece_px(Scaling(0.5)), piece_px(Scaling(2.0)), piece_px(Scaling(16.0))
    (512, 256, 64)
    """
    return max(SMALLEST_PIECE_PX, int(PIECE_PX / max(1.0, float(scaling.factor))))


def for_piece(settings: Settings) -> Settings:
    """The same settings; the scale is one at which a piece has pixels left."""
    factor = max(settings.scaling.factor, 2 / PIECE_PX)
    scaling = replace(settings.scaling, factor=factor)
    return replace(settings, scaling=scaling, niter=settings.iterations)


def read_piece(planes: list[Plane], side_px: int = PIECE_PX) -> tuple[list[ArrayPlane], float]:
    """The same piece of each plane, the brightest of nine in the first; and seconds a pixel read.

    A piece lies along chunks where it can, so that little is decoded for nothing.
    """
    shape, chunk = planes[0].shape, planes[0].chunk_shape
    started, decoded = time.perf_counter(), 0
    best: tuple[float, tuple[slice, slice]] | None = None
    for y in starts(shape[0], chunk[0], side_px):
        for x in starts(shape[1], chunk[1], side_px):
            region = (
                slice(y, min(y + side_px, shape[0])),
                slice(x, min(x + side_px, shape[1])),
            )
            brightness = float(np.mean(planes[0].read(*region)))
            decoded += touched_px(region, shape, chunk)
            if best is None or brightness > best[0]:
                best = (brightness, region)
    assert best is not None
    read_s = (time.perf_counter() - started) / decoded
    return [ArrayPlane(plane.read(*best[1])) for plane in planes], read_s * len(planes)


def starts(size_px: int, chunk_px: int, side_px: int = PIECE_PX) -> list[int]:
    """Where pieces start along an axis: spread evenly, at borders of chunks where they fit.

    >>> starts(10101, 1024)
    [0, 4096, 9216]
    >>> starts(300, 1024)
    [0]
    """
    last = max(size_px - side_px, 0)
    spread = [last * k // (PLACES_PER_AXIS - 1) for k in range(PLACES_PER_AXIS)]
    return sorted({start - start % chunk_px for start in spread})


def touched_px(region: tuple[slice, slice], shape: tuple[int, int], chunk: tuple[int, int]) -> int:
    """Pixels of the chunks that a region meets."""
    total = 1
    for part, size, unit in zip(region, shape, chunk, strict=True):
        total *= min(-(-int(part.stop) // unit) * unit, size) - int(part.start) // unit * unit
    return total


def time_piece(planes: list[ArrayPlane], network: Network, settings: Settings) -> StepClock:
    """Segment planes in memory into a folder that is dropped; returns the clock."""
    clock, shape = StepClock(), planes[0].shape
    with tempfile.TemporaryDirectory(prefix="tbscale-estimate-") as name:
        folder = Path(name)
        plan = plan_segmentation(shape, UNBOUNDED_BYTES, max(shape))
        chosen = replace(settings, core_px=plan.core_px)
        flows = FlowStore(folder, shape)
        network_step([*planes], network, chosen, flows, clock)
        labels = label_plane(folder, shape, chosen, flows, clock)
        write_labels(labels, folder / "piece.ome.tif", plan, None, {}, clock)
    return clock
