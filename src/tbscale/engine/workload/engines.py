"""The engines that a pass can run, by name, and what each must provide."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.workload.job import Job, Scalar
from tbscale.errors import RunError
from tbscale.steps import StepClock


class LabelPlane(Protocol):
    """Labels that can be read by region: an array in memory, or one on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X), pixels."""
        ...

    def __getitem__(self, region: tuple[slice, slice]) -> NDArray[Any]:
        """Labels of a region."""
        ...


@dataclass(frozen=True)
class Segmentation:
    """What one run gave: labels (Y, X), 0 = background, and counts such as tiles."""

    labels: LabelPlane | NDArray[np.unsignedinteger[Any]]
    counts: dict[str, int]


@dataclass(frozen=True)
class Prepared:
    """An engine with its weights loaded.

    Attributes
    ----------
    run : reads the region, segments it and charges every step to the clock it is given
    weights_name, weights_sha256 : which weights
    settings : every parameter as it will be used, defaults filled in
    synchronise : waits for queued accelerator work; None on a CPU
    """

    run: Callable[[StepClock], Segmentation]
    weights_name: str
    weights_sha256: str
    settings: dict[str, Scalar]
    synchronise: Callable[[], None] | None = None


@dataclass(frozen=True)
class EngineEntry:
    """How to find an engine.

    Attributes
    ----------
    prepare : "module:function", called with the job, returns `Prepared`
    packages : distributions whose versions identify the engine
    functions : dotted names of the coarse functions that line_profiler watches
    """

    prepare: str
    packages: tuple[str, ...]
    functions: tuple[str, ...]


STOCK_FUNCTIONS = (
    "cellpose.models.CellposeModel.eval",
    "cellpose.models.CellposeModel._run_net",
    "cellpose.core.run_net",
    "cellpose.core._forward",
    "cellpose.transforms.convert_image",
    "cellpose.transforms.normalize_img",
    "cellpose.transforms.make_tiles",
    "cellpose.transforms.average_tiles",
    "cellpose.dynamics.compute_masks",
    "cellpose.dynamics.steps_interp",
    "cellpose.dynamics.get_masks_torch",
    "cellpose.dynamics.remove_bad_flow_masks",
    "cellpose.dynamics.masks_to_flows_cpu",
    "cellpose.metrics.flow_error",
    "cellpose.utils.fill_holes_and_remove_small_masks",
    "cellpose.plot.dx_to_circ",
)

TBSCALE_FUNCTIONS = (
    "tbscale.engine.run.network_step",
    "tbscale.engine.run.label_plane",
    "tbscale.engine.strips.stream_flows",
    "tbscale.engine.network.ExactNetwork.__call__",
    "tbscale.engine.network.FastNetwork.__call__",
    "tbscale.engine.tasks.follow.follow_block",
    "tbscale.engine.tasks.own.own_block",
    "tbscale.engine.result.finish_blocks",
    "tbscale.engine.segmentation.write_labels",
)

TBSCALE = EngineEntry(
    "tbscale.engine.measured:prepare",
    ("tbscale", "cellpose", "torch", "numba", "numpy"),
    TBSCALE_FUNCTIONS,
)

ENGINES: dict[str, EngineEntry] = {
    "stock": EngineEntry(
        "tbscale.engine.stock:prepare", ("cellpose", "torch", "numpy"), STOCK_FUNCTIONS
    ),
    "tbscale": TBSCALE,
    "tbscale-fast": TBSCALE,
    "tbscale-half": TBSCALE,
}


def find_engine(name: str) -> EngineEntry:
    """The entry of an engine. RunError names the known ones."""
    if name not in ENGINES:
        raise RunError(f"there is no engine {name!r}; choose {' or '.join(sorted(ENGINES))}")
    return ENGINES[name]


def prepare(job: Job) -> Prepared:
    """Import the job's engine and load its weights."""
    module, _, function = find_engine(job.engine).prepare.partition(":")
    return cast(Prepared, getattr(importlib.import_module(module), function)(job))
