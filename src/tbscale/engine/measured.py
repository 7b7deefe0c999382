"""The out-of-core engine as a pass of the profile: the same run as `tbscale segment`, timed.

On a GPU blocks are followed after the network here, not beside it, so that every step has seconds
of its own; the whole run takes longer by what would have overlapped.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tbscale.engine.cells import Rules
from tbscale.engine.device import check_device, synchroniser
from tbscale.engine.diameters import read_diameters
from tbscale.engine.kernels.choice import choose_kernels, parse_plain
from tbscale.engine.memory import default_budget_bytes, parse_bytes
from tbscale.engine.network import MODES, Network, make_network
from tbscale.engine.network_memory import network_memory
from tbscale.engine.plan import Plan, plan_segmentation
from tbscale.engine.projection import Workload
from tbscale.engine.rescale import choose_scaling
from tbscale.engine.run import Settings, label_plane, network_step
from tbscale.engine.scratch import FlowStore
from tbscale.engine.segmentation import write_labels
from tbscale.engine.weights import resolve_model
from tbscale.engine.workload.engines import Prepared, Segmentation
from tbscale.engine.workload.image import job_region
from tbscale.engine.workload.job import Job, Scalar
from tbscale.errors import RunError
from tbscale.images.cached_plane import beside_bytes, row_of_chunks_bytes
from tbscale.images.compiled import import_for_kernels
from tbscale.images.open import open_plane
from tbscale.images.plane import Plane, crop_plane
from tbscale.images.workers import worker_count
from tbscale.steps import StepClock

# settings of the reference that the engine has in one form only
FIXED: dict[str, Scalar] = {"resample": True, "interp": True, "augment": False}
# the network mode of each name of the engine
NETWORKS = {"tbscale": "exact", "tbscale-fast": "fast", "tbscale-half": "half"}
DEFAULTS: dict[str, Scalar] = {
    "flow_threshold": 0.4,
    "cellprob_threshold": 0.0,
    "min_size": 15,
    "max_size_fraction": 0.4,
    "niter": None,
    "tile_overlap": 0.1,
    "bsize": 224,
    "batch_size": 8,
    "core_px": None,
    "memory": None,
    "network": "exact",
    "plain": None,
    **FIXED,
}


@dataclass(frozen=True)
class StoredLabels:
    """Labels on disk, read by region."""

    plane: Plane

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X), pixels."""
        return self.plane.shape

    def __getitem__(self, region: tuple[slice, slice]) -> NDArray[Any]:
        return self.plane.read(*region)


@dataclass(frozen=True)
class CountedNetwork:
    """A network that counts its calls and tiles."""

    network: Network
    counts: dict[str, int]

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        self.counts["network_calls"] += 1
        self.counts["tiles"] += len(tiles)
        return self.network(tiles)


def prepare(job: Job) -> Prepared:
    """Load the weights, open the planes and plan; the returned `run` segments to a folder.

    What is imported late is imported here, since that of the other engines is too.

    Raises
    ------
    RunError : an unknown setting, or a device that is not here
    ImageError, WeightsError, PlanError, BudgetError : as `tbscale.engine.segmentation.segment`
    """
    device = check_device(job.device)
    settings = fill_settings(job)
    weights = resolve_model(job.model)
    network = make_network(weights, job.device, str(settings["network"]))
    scaling = choose_scaling(job.diameter, read_diameters(weights))
    channels = [job.channel] if job.channel2 is None else [job.channel, job.channel2]
    whole = [open_plane(job.image, channel, job.level) for channel in channels]
    region = job_region(job, whole[0])
    planes = [crop_plane(plane, *region) for plane in whole]
    choose_kernels(read_settings(settings).plain)  # refuse an unknown step before any work
    chosen = replace(read_settings(settings), scaling=scaling)
    plan = make_plan(settings, chosen, planes, job.device)
    folder = tempfile.TemporaryDirectory(prefix="tbscale-")
    import_for_kernels()

    def run(clock: StepClock) -> Segmentation:
        # the folder goes when this function does
        return segment_in(Path(folder.name), planes, network, plan, chosen, clock)

    used = {**settings, "core_px": plan.core_px}
    used["network_uses"] = network.uses
    used["projected_peak_bytes"] = plan.projection.peak_bytes
    return Prepared(run, weights.name, weights.sha256, used, synchroniser(device))


def fill_settings(job: Job) -> dict[str, Scalar]:
    """Settings with the defaults filled in. RunError names what cannot be had."""
    unknown = sorted(set(job.settings) - set(DEFAULTS))
    if unknown:
        raise RunError(
            f"the tbscale engine has no setting {', '.join(unknown)}; choose from "
            f"{', '.join(sorted(DEFAULTS))}"
        )
    settings = {**DEFAULTS, "network": NETWORKS[job.engine], **job.settings}
    if settings["network"] not in MODES:
        raise RunError(
            f"there is no network mode {settings['network']!r}; choose {', '.join(MODES)}"
        )
    for name, value in FIXED.items():
        if settings[name] != value:
            raise RunError(f"the tbscale engine has {name} {value} only; leave it out")
    return settings


def number(settings: dict[str, Scalar], name: str) -> float:
    """A setting that must be a number. RunError where it is not."""
    value = settings[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RunError(f"the setting {name} is {value!r}; pass a number")
    return float(value)


def read_settings(settings: dict[str, Scalar]) -> Settings:
    """The settings of the engine, checked."""
    rules = Rules(
        number(settings, "flow_threshold"),
        int(number(settings, "min_size")),
        number(settings, "max_size_fraction"),
    )
    return Settings(
        int(number(settings, "bsize")),
        number(settings, "tile_overlap"),
        int(number(settings, "batch_size")),
        number(settings, "cellprob_threshold"),
        None if settings["niter"] is None else int(number(settings, "niter")),
        rules,
        plain=parse_plain(str(settings["plain"] or "")),
    )


def make_plan(
    settings: dict[str, Scalar], chosen: Settings, planes: list[Plane], device: str
) -> Plan:
    """Plan within the `memory` setting, or the default budget."""
    memory = settings["memory"]
    return plan_segmentation(
        planes[0].shape,
        default_budget_bytes() if memory is None else parse_bytes(str(memory)),
        None if settings["core_px"] is None else int(number(settings, "core_px")),
        Workload(
            len(planes),
            planes[0].dtype.itemsize,
            sum(row_of_chunks_bytes(plane) for plane in planes),
            chosen.batch_size,
            network_memory(str(settings["network"]), torch.get_num_threads(), device),
            chosen.scaling.frame_if_needed(planes[0].shape),
            workers=worker_count(),
            beside_bytes=max(beside_bytes(plane) for plane in planes),
        ),
        chosen.tile_px,
        chosen.overlap,
    )


def segment_in(
    folder: Path,
    planes: list[Plane],
    network: Network,
    plan: Plan,
    settings: Settings,
    clock: StepClock,
) -> Segmentation:
    """One whole run inside a folder, from nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    already = sum(plane.bytes_read for plane in planes)
    counts = {"network_calls": 0, "tiles": 0}
    settings = replace(settings, core_px=plan.core_px, keeps_freed=plan.keeps_freed)
    flows = FlowStore(scratch, plan.shape)
    network_step(planes, CountedNetwork(network, counts), settings, flows, clock)
    labels = label_plane(scratch, plan.shape, settings, flows, clock, plan.region_limit_px)
    out = folder / "labels.ome.zarr"
    write_labels(labels, out, plan, None, {}, clock)
    counts |= {
        "pixels": plan.shape[0] * plan.shape[1],
        "file_bytes_read": sum(plane.bytes_read for plane in planes) - already,
        "scratch_bytes": sum(f.stat().st_size for f in scratch.rglob("*") if f.is_file()),
        "blocks": len(plan.blocks),
    }
    return Segmentation(StoredLabels(open_plane(out)), counts)
