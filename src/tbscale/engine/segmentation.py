"""Segment an image file into a label file: the run from top to bottom."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

import tbscale
from tbscale.engine.blocks import plan_blocks
from tbscale.engine.cells import Rules
from tbscale.engine.check import check_numbers
from tbscale.engine.memory import default_budget_bytes
from tbscale.engine.network import EXACT, GRADES, Network
from tbscale.engine.network import make_network as make_network_of
from tbscale.engine.peaks import PeakSampler
from tbscale.engine.plan import Plan, plan_segmentation
from tbscale.engine.result import PlaneLabels
from tbscale.engine.run import Settings, label_plane, network_step
from tbscale.engine.run_facts import run_facts
from tbscale.engine.scratch import FlowStore
from tbscale.engine.table.file import check_table_path
from tbscale.engine.table.task import Measured, open_measured, was_written_to, write_table
from tbscale.engine.weights import Weights, resolve_model
from tbscale.engine.workdir import WorkDir, workdir_path
from tbscale.errors import PlanError, RunError
from tbscale.images.cached_plane import row_of_chunks_bytes
from tbscale.images.image import Image
from tbscale.images.labels_out.writer import LabelWriter, check_label_path, open_label_writer
from tbscale.images.open import open_image
from tbscale.images.plane import Plane
from tbscale.steps import StepClock

logger = logging.getLogger(__name__)

REFERENCE = "Cellpose 3.1.1.3, CellposeModel.eval, whole plane, CPU"
MakeNetwork = Callable[[Weights, str], Network]
Finishing = Callable[[LabelWriter], Mapping[str, Any]]


@dataclass(frozen=True)
class Request:
    """What to segment and how; the defaults are the reference's.

    Attributes
    ----------
    image, out : files
    channel, channel2 : index from 0 or name; channel2 is the second input of the network
    level : pyramid level, 0 = full resolution
    model : see `tbscale.engine.weights.resolve_model`
    diameter : pixels; only the model's own for now
    settings : what decides the labels
    memory_bytes : budget; None takes 60 % of what is free
    core_px : pixels of a block's core; None lets the plan choose
    device : cpu, cuda or mps
    network : exact, fast or half, see `tbscale.engine.network.make_network`
    cells : table of cells to write, .csv or .parquet
    measure : channels whose mean goes into the table, index from 0 or name; None takes all
    report : page that `tbscale.report` makes after the run; here it only counts in the plan
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
    cells: Path | None = None
    measure: tuple[int | str, ...] | None = None
    report: Path | None = None


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
    RunError : another run writes to the same output, or an unfinished one was another
    """
    started = time.perf_counter()
    clock = StepClock()
    check_request(request)
    with open_image(request.image) as image:
        planes = open_planes(image, request)
        measured = open_measured(image, request.measure, request.level) if request.cells else ()
        pixel_size_um = image.pixel_size_um if request.level == 0 else None
    plan = plan_request(request, planes, measured)
    weights = resolve_model(request.model)
    settings = replace(request.settings, core_px=plan.core_px)
    if make_network is None:
        network: Network = make_network_of(weights, request.device, request.network)
    else:
        network = make_network(weights, request.device)
    identity = identify(request, settings, weights, planes, network)
    check_diameter(request.diameter, network)
    with (
        PeakSampler(clock) as peaks,
        WorkDir(workdir_path(request.out), identity, restart) as work,
    ):
        flows = FlowStore(work.path, plan.shape)
        resumed = flows.rows_done > 0
        network_step(planes, network, settings, flows, clock)
        limit = plan.region_limit_px
        labels = label_plane(work.path, plan.shape, settings, flows, clock, limit)

        def finish(writer: LabelWriter) -> Mapping[str, Any]:
            if request.cells is not None:
                facts = shared_facts(identity)
                write_table(request.cells, work.path, writer, labels.count, measured, facts, clock)
            wall_s = time.perf_counter() - started
            return {"run": run_facts(plan, clock, peaks, wall_s, resumed)}

        write_labels(labels, request.out, plan, pixel_size_um, identity, clock, finish)
    return SegmentResult(
        request.out,
        labels.count,
        plan,
        clock.wall_s(),
        time.perf_counter() - started,
        peaks.peak_bytes,
        dict(peaks.step_bytes),
        request.cells,
    )


def check_request(request: Request) -> None:
    """Refuse what cannot be run or written, before any work is done."""
    check_label_path(request.out)
    check_numbers(request.settings, request.diameter, request.core_px)
    check_cells(request)


def check_cells(request: Request) -> None:
    """Refuse a table of cells that cannot be written, before any work is done.

    Raises
    ------
    RunError : see `check_table_path`; or channels to measure without a table
    """
    if request.cells is None and request.measure is not None:
        raise RunError("--measure says what the table of cells holds; pass --cells FILE too")
    if request.cells is not None:
        earlier = was_written_to(workdir_path(request.out), request.cells)
        check_table_path(request.cells, request.out, earlier)


def open_planes(image: Image, request: Request) -> list[Plane]:
    """The plane to segment and, where asked for, the second input."""
    planes = [image.plane(request.channel, request.level)]
    if request.channel2 is not None:
        planes.append(image.plane(request.channel2, request.level))
    return planes


def plan_request(
    request: Request, planes: list[Plane], measured: tuple[Measured, ...] = ()
) -> Plan:
    """Plan a request within its budget.

    Parameters
    ----------
    planes : what is segmented
    measured : channels of the table of cells, if one is asked for
    """
    tables = [one.plane for one in measured] or planes[:1]
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
        max(row_of_chunks_bytes(plane) for plane in tables) if request.cells else None,
        request.report is not None,
    )


def check_diameter(diameter: float | None, network: Network) -> None:
    """Refuse a diameter at which the reference would rescale the image.

    Raises
    ------
    PlanError : rescaling is not built
    """
    mean = getattr(network, "diam_mean_px", None)
    trained = getattr(network, "diam_labels_px", mean)
    wanted = trained if diameter is None else diameter
    if mean is not None and wanted != mean:
        raise PlanError(
            f"the cells are {wanted:g} px wide and the model works at {mean:g} px; images are not "
            f"rescaled yet, so resize the image by {mean / wanted:.3g} or pass --diameter {mean:g}"
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
    return {
        "tbscale": tbscale.__version__,
        "reference": REFERENCE,
        "image": str(request.image.resolve()),
        "image bytes": stat.st_size,
        "image changed": stat.st_mtime_ns,
        "image name": request.image.absolute().name,
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
        "niter": settings.niter,
        "flow_threshold": rules.flow_threshold,
        "min_size": rules.min_size,
        "max_size_fraction": rules.max_size_fraction,
        "core_px": settings.core_px,
        "network": request.network,
        "network uses": getattr(network, "uses", ""),
        "grade": getattr(network, "grade", GRADES[EXACT]),
    }


def shared_facts(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What made the labels, without what must not leave this machine: paths are cut to names."""
    private = {"image", "image changed"}
    facts = {name: value for name, value in identity.items() if name not in private}
    if facts.get("model"):
        facts["model"] = Path(str(facts["model"])).name
    return facts


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
    provenance = shared_facts(identity) | {"cells": labels.count}
    with open_label_writer(
        out, plan.shape, pixel_size_um=pixel_size_um, provenance=provenance
    ) as writer:
        for block in tqdm(plan_blocks(plan.shape, plan.core_px), desc="write", disable=None):
            with clock.step("write"):
                writer.write(*block.core, labels.read(block.core))
        if finish is not None:
            writer.annotate(finish(writer))
