"""Segment an image file into a label file: the run from top to bottom."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import tbscale
from tbscale.engine.blocks import plan_blocks
from tbscale.engine.diameters import read_diameters
from tbscale.engine.network import EXACT, GRADES, Network, weakest
from tbscale.engine.peaks import PeakSampler
from tbscale.engine.plan import Plan
from tbscale.engine.progress import progress
from tbscale.engine.request import (
    MakeNetwork,
    Request,
    check_outputs,
    check_request,
    network_of,
    open_measured,
    open_planes,
    plan_request,
)
from tbscale.engine.rescale import choose_scaling, measured_grade
from tbscale.engine.result import ByRegion, PlaneLabels
from tbscale.engine.run import Settings, label_plane, network_beside_follow, network_step
from tbscale.engine.run_facts import run_facts
from tbscale.engine.scratch import FlowStore
from tbscale.engine.table.task import Measured, drop_table, write_table
from tbscale.engine.weights import Weights, resolve_model
from tbscale.engine.workdir import WorkDir, started_core_px, workdir_path
from tbscale.images.fingerprint import fingerprint
from tbscale.images.labels_out.disk import told_if_full
from tbscale.images.labels_out.writer import LabelWriter, open_label_writer
from tbscale.images.open import open_image
from tbscale.images.plane import Plane
from tbscale.steps import StepClock

logger = logging.getLogger(__name__)

REFERENCE = "Cellpose 3.1.1.3, CellposeModel.eval, whole plane, CPU"
WRITTEN_AT_ONCE_PX = 8192  # a side: at the end of each part threads wait for each other
Finishing = Callable[[LabelWriter], Mapping[str, Any]]


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
    peak_rss_bytes : largest resident memory of the process during this run
    step_peak_rss_bytes : the same while each step ran, by samples
    cells : the table of cells, if one was asked for
    report : the page to look at, if one was asked for
    """

    out: Path
    cell_count: int
    plan: Plan
    steps_s: dict[str, float]
    wall_s: float
    peak_rss_bytes: int = 0
    step_peak_rss_bytes: dict[str, int] = field(default_factory=dict)
    cells: Path | None = None
    report: Path | None = None


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
    RunError : the device is not here, another run writes to the same output, an unfinished one was
        another, or the disk is full
    """
    started = time.perf_counter()
    clock = StepClock()
    check_request(request)
    job = prepare(request, restart, make_network)
    folder, check = workdir_path(request.out), partial(check_outputs, request)
    with (
        told_if_full(request.out),
        PeakSampler(clock) as peaks,
        WorkDir(folder, job.identity, restart, drop_table, check) as work,
    ):
        labels, resumed = run_steps(job, work.path, clock)

        def finish(writer: LabelWriter) -> Mapping[str, Any]:
            write_cells(job, work.path, writer, labels.largest_id, clock)
            wall_s = time.perf_counter() - started
            return {"run": run_facts(job.plan, clock, peaks, wall_s, resumed)}

        write_labels(labels, request.out, job.plan, job.pixel_size_um, job.identity, clock, finish)
    return SegmentResult(
        request.out,
        labels.count,
        job.plan,
        clock.wall_s(),
        time.perf_counter() - started,
        peaks.peak_bytes,
        dict(peaks.step_bytes),
        request.cells,
    )


@dataclass(frozen=True)
class PreparedRun:
    """A request that was checked: everything that a run needs, and nothing computed yet.

    Attributes
    ----------
    request : with the core of an unfinished run, where it continues one
    settings, plan : how the labels are made, and how the work is cut
    planes, measured : what is segmented, and the channels of the table
    pixel_size_um : (y, x), where the image says so
    identity : see `identify`
    """

    request: Request
    settings: Settings
    plan: Plan
    planes: list[Plane]
    measured: tuple[Measured, ...]
    pixel_size_um: tuple[float, float] | None
    network: Network
    identity: dict[str, Any]


def prepare(
    request: Request, restart: bool = False, make_network: MakeNetwork | None = None
) -> PreparedRun:
    """Open the image, load the network and plan; errors as `segment` raises them."""
    with open_image(request.image) as image:
        planes = open_planes(image, request)
        measured = open_measured(image, request) if request.cells else ()
        pixel_size_um = image.pixel_size_um if request.level == 0 else None
    if request.core_px is None and not restart:
        request = replace(request, core_px=started_core_px(workdir_path(request.out)))
    weights = resolve_model(request.model)
    scaling = choose_scaling(request.diameter, read_diameters(weights))
    plan = plan_request(request, planes, scaling, measured)
    settings = replace(
        request.settings, core_px=plan.core_px, scaling=scaling, keeps_freed=plan.keeps_freed
    )
    network = network_of(request, weights, make_network)
    identity = identify(request, settings, weights, planes, network)
    return PreparedRun(request, settings, plan, planes, measured, pixel_size_um, network, identity)


def run_steps(job: PreparedRun, folder: Path, clock: StepClock) -> tuple[PlaneLabels, bool]:
    """The network and what follows it, in a scratch folder; also whether work was found there."""
    plan, settings, limit = job.plan, job.settings, job.plan.region_limit_px
    flows = FlowStore(folder, plan.shape)
    resumed = flows.rows_done > 0
    if (
        job.request.follows_beside and not settings.scaling.is_needed
    ):  # kernels of both are parallel
        beside_limit = plan.region_limit_beside_network_px
        network_beside_follow(job.planes, job.network, settings, folder, flows, clock, beside_limit)
    else:
        network_step(job.planes, job.network, settings, flows, clock)
    return label_plane(folder, plan.shape, settings, flows, clock, limit), resumed


def identify(
    request: Request,
    settings: Settings,
    weights: Weights,
    planes: list[Plane],
    network: Network,
) -> dict[str, Any]:
    """Everything that decides the labels and the scratch, as JSON values."""
    of_network = getattr(network, "grade", GRADES[EXACT])
    return {
        "tbscale": tbscale.__version__,
        "reference": REFERENCE,
        **what_is_segmented(request, planes),
        "model": weights.name,
        "weights sha256": weights.sha256,
        "tile_px": settings.tile_px,
        "overlap": settings.overlap,
        "batch_size": settings.batch_size,
        "cellprob_threshold": settings.cellprob_threshold,
        "diameter": request.diameter,
        "rescale": float(settings.scaling.factor),
        "niter": settings.iterations,
        "flow_threshold": settings.rules.flow_threshold,
        "min_size": settings.rules.min_size,
        "max_size_fraction": settings.rules.max_size_fraction,
        "core_px": settings.core_px,
        "device": request.device,
        "network": request.network,
        "network uses": getattr(network, "uses", ""),
        "grade": weakest(of_network, measured_grade(settings.scaling)),
    }


def what_is_segmented(request: Request, planes: list[Plane]) -> dict[str, Any]:
    """The image as it is on disk now, and which of its planes."""
    files = fingerprint(request.image)
    return {
        "image": str(request.image.resolve()),
        "image bytes": files.bytes,
        "image files": files.files,
        "image changed": files.changed_ns,
        "image name": request.image.absolute().name,
        "shape": list(planes[0].shape),
        "channel": request.channel,
        "channel2": request.channel2,
        "level": request.level,
        "z": request.z,
        "t": request.t,
    }


def shared_facts(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What made the labels, without what must not leave this machine: paths are cut to names."""
    private = {"image", "image changed"}
    facts = {name: value for name, value in identity.items() if name not in private}
    if facts.get("model"):
        facts["model"] = Path(str(facts["model"])).name
    return facts


def write_cells(
    job: PreparedRun, folder: Path, labels: LabelWriter, largest_id: int, clock: StepClock
) -> None:
    """Write the table of cells, if one was asked for; `folder` is the run's scratch."""
    if job.request.cells is not None:
        facts = shared_facts(job.identity)
        write_table(job.request.cells, folder, labels, largest_id, job.measured, facts, clock)


def write_labels(
    labels: PlaneLabels,
    out: Path,
    plan: Plan,
    pixel_size_um: tuple[float, float] | None,
    identity: dict[str, Any],
    clock: StepClock,
    finish: Finishing | None = None,
) -> None:
    """Write the labels block by block; the file appears when it is complete.

    Parameters
    ----------
    finish : called when all labels are collected and before the file gets its name; returns what
        its metadata is to hold besides `identity`
    """
    provenance = shared_facts(identity) | {"cells": labels.count, "largest id": labels.largest_id}
    with open_label_writer(
        out, plan.shape, pixel_size_um=pixel_size_um, provenance=provenance
    ) as writer:
        source = ByRegion(labels)
        parts = plan_blocks(plan.shape, WRITTEN_AT_ONCE_PX)
        for part in progress(parts, "write", "part", len(parts)):
            with clock.step("write"):
                writer.write_from(source, *part.core)
        labels.forget()
        if finish is not None:
            writer.annotate(finish(writer))
