"""Cellpose 3.1.1.3 untouched on a whole plane, timed at its step boundaries.

Module attributes are replaced by functions that mark a boundary and call the original with the
same arguments, and are put back afterwards; the arithmetic and its order stay Cellpose's own.
What lies between two of its functions (copies, padding, allocation) is charged to the phase in
which it happens: tile until the first batch, network until the last, blend after it; follow
until the seeds, and so on.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from cellpose import core, dynamics, models, plot, transforms, utils
from numpy.typing import NDArray

from tbscale.engine.device import check_device, synchroniser
from tbscale.engine.weights import load_model, resolve_model
from tbscale.engine.workload.engines import Prepared, Segmentation
from tbscale.engine.workload.image import job_region
from tbscale.engine.workload.job import Job, Scalar
from tbscale.errors import RunError
from tbscale.images.open import open_plane
from tbscale.images.plane import Plane
from tbscale.steps import StepClock

logger = logging.getLogger(__name__)

# defaults of CellposeModel.eval in 3.1.1.3
DEFAULTS: dict[str, Scalar] = {
    "flow_threshold": 0.4,
    "cellprob_threshold": 0.0,
    "min_size": 15,
    "max_size_fraction": 0.4,
    "niter": None,
    "resample": True,
    "interp": True,
    "augment": False,
    "tile_overlap": 0.1,
    "bsize": 224,
    "batch_size": 8,
}


def prepare(job: Job) -> Prepared:
    """Load the weights and open the plane; the returned `run` reads and segments.

    Raises
    ------
    RunError : unknown device or setting
    ImageError, WeightsError : the image or the model cannot be used
    """
    device = check_device(job.device)
    settings = fill_settings(job.settings)
    weights = resolve_model(job.model)
    planes = [open_plane(job.image, channel, job.level) for channel in _channels(job)]
    rows, columns = job_region(job, planes[0])
    model = load_model(weights, str(device))

    def run(clock: StepClock) -> Segmentation:
        return segment_stock(model, planes, (rows, columns), job.diameter, settings, clock)

    return Prepared(run, weights.name, weights.sha256, settings, synchroniser(device))


def _channels(job: Job) -> list[int | str | None]:
    return [job.channel] if job.channel2 is None else [job.channel, job.channel2]


def fill_settings(settings: dict[str, Scalar]) -> dict[str, Scalar]:
    """Settings with Cellpose's defaults filled in. RunError names the unknown ones."""
    unknown = sorted(set(settings) - set(DEFAULTS))
    if unknown:
        raise RunError(
            f"the stock engine has no setting {', '.join(unknown)}; choose from "
            f"{', '.join(sorted(DEFAULTS))}"
        )
    return {**DEFAULTS, **settings}


def segment_stock(
    model: models.CellposeModel,
    planes: list[Plane],
    region: tuple[slice, slice],
    diameter: float | None,
    settings: dict[str, Scalar],
    clock: StepClock,
) -> Segmentation:
    """Read a region and give it to `CellposeModel.eval`; labels are as Cellpose returns them.

    Parameters
    ----------
    planes : one plane, or (cells, nuclei) for a two-channel model
    diameter : pixels; None is the diameter of the weights
    settings : keyword arguments of `eval`
    """
    already_read = sum(plane.bytes_read for plane in planes)
    with clock.step("read"):
        regions = [plane.read(*region) for plane in planes]
        pixels = regions[0] if len(regions) == 1 else np.stack(regions)
        del regions
    counts = Counts()
    with timed_steps(clock, counts):
        labels, _, _ = evaluate(model, pixels, diameter, settings)
    read = sum(plane.bytes_read for plane in planes) - already_read
    return Segmentation(
        labels,
        {
            "pixels": int(labels.size),
            "file_bytes_read": int(read),
            "decoded_bytes": int(pixels.nbytes),
            **counts.totals,
        },
    )


def evaluate(
    model: models.CellposeModel,
    pixels: NDArray[Any],
    diameter: float | None,
    settings: dict[str, Scalar],
) -> tuple[NDArray[Any], Any, Any]:
    """`CellposeModel.eval` on (Y, X) grey pixels, or on (2, Y, X) cells and nuclei."""
    two = pixels.ndim == 3
    return model.eval(  # type: ignore[no-any-return]
        pixels,
        channels=[1, 2] if two else [0, 0],
        channel_axis=0 if two else None,
        diameter=diameter,
        **settings,
    )


@dataclass
class Counts:
    """What was counted on the way: portable between machines."""

    totals: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, amount: int) -> None:
        """Add to one count."""
        self.totals[name] = self.totals.get(name, 0) + int(amount)


@contextmanager
def timed_steps(clock: StepClock, counts: Counts) -> Iterator[None]:
    """Charge Cellpose's steps to `clock` while the `with` is open; everything is put back."""
    with ExitStack() as stack:
        for owner, name, wrap in _boundaries(clock, counts):
            original = getattr(owner, name)
            setattr(owner, name, wrap(original))
            stack.callback(setattr, owner, name, original)
        yield


Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def _boundaries(clock: StepClock, counts: Counts) -> list[tuple[ModuleType | type, str, Wrap]]:
    """Which attribute of Cellpose marks which boundary."""

    def count_batch(arguments: tuple[Any, ...]) -> None:
        counts.add("network_calls", 1)
        counts.add("tiles", len(arguments[1]))

    return [
        (transforms, "convert_image", _as_step(clock, "convert")),
        (transforms, "normalize_img", _as_step(clock, "normalise")),
        (models.CellposeModel, "_run_net", _as_step(clock, "tile")),
        (core, "_forward", _from_here(clock, "network", count_batch)),
        (transforms, "average_tiles", _from_here(clock, "blend")),
        (models.CellposeModel, "_compute_masks", _as_step(clock, "follow")),
        (dynamics, "follow_flows", _counted_follow(counts)),
        (dynamics, "get_masks_torch", _from_here(clock, "seeds")),
        (dynamics, "remove_bad_flow_masks", _from_here(clock, "flow_qc")),
        (dynamics, "compute_masks", _afterwards(clock, "fill")),
        (utils, "fill_holes_and_remove_small_masks", _from_here(clock, "fill")),
        (plot, "dx_to_circ", _as_step(clock, "display")),
    ]


def _as_step(clock: StepClock, step: str) -> Wrap:
    """The whole call is one step."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with clock.step(step):
                return original(*args, **kwargs)

        return timed

    return wrap


def _from_here(
    clock: StepClock, step: str, note: Callable[[tuple[Any, ...]], None] | None = None
) -> Wrap:
    """From this call on, the step that is open is `step`."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            clock.switch(step)
            if note is not None:
                note(args)
            return original(*args, **kwargs)

        return timed

    return wrap


def _afterwards(clock: StepClock, step: str) -> Wrap:
    """From the end of this call on, the step that is open is `step`."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            clock.switch(step)
            return result

        return timed

    return wrap


def _counted_follow(counts: Counts) -> Wrap:
    """Count the pixels that are followed, and for how many iterations."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def counted(*args: Any, **kwargs: Any) -> Any:
            inds = kwargs["inds"] if "inds" in kwargs else args[1]
            counts.add("followed_pixels", len(inds[0]))
            counts.add("follow_iterations", int(np.uint32(kwargs.get("niter", 200))))
            return original(*args, **kwargs)

        return counted

    return wrap
