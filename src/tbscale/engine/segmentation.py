"""Segment an image file into a label file: the run from top to bottom."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import tbscale
from tbscale.engine.blocks import plan_blocks
from tbscale.engine.cells import Rules
from tbscale.engine.device import check_device
from tbscale.engine.memory import default_budget_bytes
from tbscale.engine.network import EXACT, GRADES, Network, weakest
from tbscale.engine.network import make_network as make_network_of
from tbscale.engine.plan import Plan, plan_segmentation
from tbscale.engine.progress import progress
from tbscale.engine.projection import NetworkMemory, network_memory
from tbscale.engine.rescale import UNSCALED, Scaling, choose_scaling, measured_grade
from tbscale.engine.result import PlaneLabels
from tbscale.engine.run import Settings, label_plane, network_step
from tbscale.engine.scratch import FlowStore
from tbscale.engine.weights import Weights, read_diameters, resolve_model
from tbscale.engine.workdir import WorkDir, started_core_px, workdir_path
from tbscale.images.cached_plane import row_of_chunks_bytes
from tbscale.images.image import Image
from tbscale.images.labels_out.spool import told_if_full
from tbscale.images.labels_out.writer import check_label_path, open_label_writer
from tbscale.images.open import open_image
from tbscale.images.plane import Plane
from tbscale.steps import StepClock

logger = logging.getLogger(__name__)

REFERENCE = "Cellpose 3.1.1.3, CellposeModel.eval, whole plane, CPU"
MakeNetwork = Callable[[Weights, str], Network]


@dataclass(frozen=True)
class Request:
    """What to segment and how; the defaults are the reference's.

    Attributes
    ----------
    image, out : files
    channel, channel2 : index from 0 or name; channel2 is the second input of the network
    level : pyramid level, 0 = full resolution
    model : see `tbscale.engine.weights.resolve_model`
    diameter : of the cells, pixels; the plane is resized by the model's diameter over this one,
        as in the reference; None is the mean diameter of the cells that the model was trained on
    settings : what decides the labels
    memory_bytes : budget; None takes 60 % of what is free
    core_px : pixels of a block's core; None lets the plan choose
    device : cpu, cuda or mps
    network : exact, fast or half, see `tbscale.engine.network.make_network`
    network_memory : what the network holds; None is what that of `network` was measured to
    """

    image: Path
    out: Path
    channel: int | str | None = None
    channel2: int | str | None = None
    level: int = 0
    model: str | None = None
    diameter: float | None = None
    settings: Settings = Settings()  # noqa: RUF009, frozen and without state
    memory_bytes: int | None = None
    core_px: int | None = None
    device: str = "cpu"
    network: str = EXACT
    network_memory: NetworkMemory | None = None


@dataclass(frozen=True)
class SegmentResult:
    """What a run made.

    Attributes
    ----------
    out : the label file
    cell_count : cells in it
    plan : how the work was cut, and what was projected
    steps_s : seconds of each step of this run; a resumed run counts only its own part
    wall_s : seconds of this run
    """

    out: Path
    cell_count: int
    plan: Plan
    steps_s: dict[str, float]
    wall_s: float


def segment(
    request: Request, restart: bool = False, make_network: MakeNetwork | None = None
) -> SegmentResult:
    """Segment one plane of an image; the labels equal those of Cellpose on the whole plane.

    Killed at any moment, the same request continues where it was; finished work is not repeated.

    Parameters
    ----------
    restart : drop what an unfinished run to the same output left
    make_network : how weights become a network; None takes that of `request.network`

    Raises
    ------
    ImageError, WeightsError : the image, output or model cannot be used
    BudgetError : the plan needs more memory than the budget
    RunError : the device is not here, another run writes to the same output, an unfinished one
        was another, or the disk is full
    """
    started = time.perf_counter()
    clock = StepClock()
    with open_image(request.image) as image:
        planes = open_planes(image, request)
        pixel_size_um = image.pixel_size_um if request.level == 0 else None
    check_label_path(request.out)
    check_device(request.device)
    if request.core_px is None and not restart:
        request = replace(request, core_px=started_core_px(workdir_path(request.out)))
    weights = resolve_model(request.model)
    scaling = choose_scaling(request.diameter, read_diameters(weights))
    plan = plan_request(request, planes, scaling)
    settings = replace(request.settings, core_px=plan.core_px, scaling=scaling)
    network = network_of(request, weights, make_network)
    identity = identify(request, settings, weights, planes, network)
    work_dir = WorkDir(workdir_path(request.out), identity, restart)
    with told_if_full(request.out), work_dir as work:
        flows = FlowStore(work.path, plan.shape)
        network_step(planes, network, settings, flows, clock)
        limit = plan.region_limit_px
        labels = label_plane(work.path, plan.shape, settings, flows, clock, limit)
        write_labels(labels, request.out, plan, pixel_size_um, identity, clock)
    return SegmentResult(
        request.out, labels.count, plan, clock.wall_s(), time.perf_counter() - started
    )


def network_of(request: Request, weights: Weights, make_network: MakeNetwork | None) -> Network:
    """The network that a caller makes, or that of the request."""
    if make_network is None:
        return make_network_of(weights, request.device, request.network)
    return make_network(weights, request.device)


def open_planes(image: Image, request: Request) -> list[Plane]:
    """The plane to segment and, where asked for, the second input."""
    planes = [image.plane(request.channel, request.level)]
    if request.channel2 is not None:
        planes.append(image.plane(request.channel2, request.level))
    return planes


def plan_request(request: Request, planes: list[Plane], scaling: Scaling = UNSCALED) -> Plan:
    """Plan a request within its budget."""
    budget = request.memory_bytes
    return plan_segmentation(
        planes[0].shape,
        default_budget_bytes() if budget is None else budget,
        request.core_px,
        request.settings.tile_px,
        request.settings.overlap,
        request.settings.batch_size,
        len(planes),
        planes[0].dtype.itemsize,
        sum(row_of_chunks_bytes(plane) for plane in planes),
        request.network_memory or network_memory(request.network, torch.get_num_threads()),
        scaling.frame_if_needed(planes[0].shape),
    )


def identify(
    request: Request,
    settings: Settings,
    weights: Weights,
    planes: list[Plane],
    network: Network,
) -> dict[str, Any]:
    """Everything that decides the labels and the scratch, as JSON values."""
    stat = request.image.stat()
    rules: Rules = settings.rules
    of_network = getattr(network, "grade", GRADES[EXACT])
    return {
        "tbscale": tbscale.__version__,
        "reference": REFERENCE,
        "image": str(request.image.resolve()),
        "image bytes": stat.st_size,
        "image changed": stat.st_mtime_ns,
        "shape": list(planes[0].shape),
        "channel": request.channel,
        "channel2": request.channel2,
        "level": request.level,
        "model": weights.name,
        "weights sha256": weights.sha256,
        "tile_px": settings.tile_px,
        "overlap": settings.overlap,
        "batch_size": settings.batch_size,
        "cellprob_threshold": settings.cellprob_threshold,
        "diameter": request.diameter,
        "rescale": float(settings.scaling.factor),
        "niter": settings.iterations,
        "flow_threshold": rules.flow_threshold,
        "min_size": rules.min_size,
        "max_size_fraction": rules.max_size_fraction,
        "core_px": settings.core_px,
        "device": request.device,
        "network": request.network,
        "network uses": getattr(network, "uses", ""),
        "grade": weakest(of_network, measured_grade(settings.scaling)),
    }


def write_labels(
    labels: PlaneLabels,
    out: Path,
    plan: Plan,
    pixel_size_um: tuple[float, float] | None,
    identity: dict[str, Any],
    clock: StepClock,
) -> None:
    """Write the labels block by block; the file appears when it is complete."""
    private = {"image", "image changed"}
    provenance = {name: value for name, value in identity.items() if name not in private}
    with open_label_writer(
        out, plan.shape, pixel_size_um=pixel_size_um, provenance=provenance
    ) as writer:
        blocks = plan_blocks(plan.shape, plan.core_px)
        for block in progress(blocks, "write", "block", len(blocks)):
            with clock.step("write"):
                writer.write(*block.core, labels.read(block.core))
