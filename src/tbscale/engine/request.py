"""What is asked for: an image, an output and how; checked, opened and planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tbscale.engine.check import check_numbers
from tbscale.engine.device import check_device
from tbscale.engine.kernels.choice import choose_kernels
from tbscale.engine.memory import default_budget_bytes
from tbscale.engine.network import EXACT, Network
from tbscale.engine.network import make_network as make_network_of
from tbscale.engine.network_memory import NetworkMemory, network_memory
from tbscale.engine.plan import Plan, plan_segmentation
from tbscale.engine.projection import Extras, Workload
from tbscale.engine.rescale import Scaling
from tbscale.engine.run import Settings
from tbscale.engine.table.file import check_table_path
from tbscale.engine.table.measure import cache_bytes
from tbscale.engine.table.task import Measured, was_written_to
from tbscale.engine.weights import Weights
from tbscale.engine.workdir import workdir_path
from tbscale.errors import RunError
from tbscale.images.cached_plane import beside_bytes, row_of_chunks_bytes
from tbscale.images.image import Image
from tbscale.images.labels_out.writer import check_label_path
from tbscale.images.plane import Plane
from tbscale.images.workers import worker_count

MakeNetwork = Callable[[Weights, str], Network]


@dataclass(frozen=True)
class Request:
    """What to segment and how; the defaults are the reference's.

    Attributes
    ----------
    image, out : files
    channel, channel2 : index from 0 or name; channel2 is the second input of the network
    level : pyramid level, 0 = full resolution
    z, t : which plane of a volume or a series; None where there is one alone
    model : see `tbscale.engine.weights.resolve_model`
    diameter : of the cells, pixels; the plane is resized by the model's diameter over this one,
        as in the reference; None is the mean diameter of the cells that the model was trained on
    settings : what decides the labels
    memory_bytes : budget; None takes 60 % of what is free
    core_px : pixels of a block's core; None lets the plan choose
    device : cpu, cuda or mps
    network : exact, fast or half, see `tbscale.engine.network.make_network`
    network_memory : what the network holds; None is what that of `network` was measured to
    cells : table of cells to write, .csv or .parquet
    measure : channels whose mean goes into the table, index from 0 or name; None takes all
    report : page that `tbscale.report` makes after the run; here it only counts in the plan
    """

    image: Path
    out: Path
    channel: int | str | None = None
    channel2: int | str | None = None
    level: int = 0
    z: int | None = None
    t: int | None = None
    model: str | None = None
    diameter: float | None = None
    settings: Settings = Settings()  # noqa: RUF009, frozen and without state
    memory_bytes: int | None = None
    core_px: int | None = None
    device: str = "cpu"
    network: str = EXACT
    network_memory: NetworkMemory | None = None
    cells: Path | None = None
    measure: tuple[int | str, ...] | None = None
    report: Path | None = None

    @property
    def follows_beside(self) -> bool:
        """Whether blocks are followed while the network works: it leaves the processor idle."""
        return self.device != "cpu"


def network_of(request: Request, weights: Weights, make_network: MakeNetwork | None) -> Network:
    """The network that a caller makes, or that of the request."""
    if make_network is None:
        return make_network_of(weights, request.device, request.network)
    return make_network(weights, request.device)


def check_request(request: Request) -> None:
    """Refuse what cannot be run or written, before any work is done."""
    check_outputs(request)
    check_device(request.device)
    choose_kernels(request.settings.plain)
    check_numbers(request.settings, request.diameter)


def check_outputs(request: Request) -> None:
    """Refuse labels and a table that cannot be written, or are there already.

    Raises
    ------
    ImageError, RunError : see `check_label_path` and `check_cells`; or scratch beside labels
    """
    left = workdir_path(request.out)
    if request.out.exists() and left.is_dir():  # killed after the labels got their name
        raise RunError(
            f"{request.out} exists, and {left.name} beside it is what its run left; remove "
            "that, or both to segment again"
        )
    check_label_path(request.out)
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
    channels = [request.channel]
    if request.channel2 is not None:
        channels.append(request.channel2)
    return [image.plane(one, request.level, request.z, request.t) for one in channels]


def open_measured(image: Image, request: Request) -> tuple[Measured, ...]:
    """The channels of the table, each once, in the order asked for; all where none is named.

    Raises
    ------
    ImageError : no such channel
    """
    if request.measure is None:
        chosen = [channel.index for channel in image.channels]
    else:
        chosen = list(dict.fromkeys(image.pick_channel(one) for one in request.measure))
    planes = (image.plane(k, request.level, request.z, request.t) for k in chosen)
    return tuple(map(Measured, (image.channels[k] for k in chosen), planes))


def plan_request(
    request: Request,
    planes: list[Plane],
    scaling: Scaling = Scaling(),  # noqa: B008, frozen and without state
    measured: tuple[Measured, ...] = (),
) -> Plan:
    """Plan a request within its budget.

    Parameters
    ----------
    planes : what is segmented
    scaling : how large the network sees them
    measured : channels of the table of cells, if one is asked for
    """
    tables = [one.plane for one in measured] or planes[:1]
    cached = max(cache_bytes(plane) for plane in tables) if request.cells else None
    budget = request.memory_bytes
    return plan_segmentation(
        planes[0].shape,
        default_budget_bytes() if budget is None else budget,
        request.core_px,
        Workload(
            len(planes),
            planes[0].dtype.itemsize,
            sum(row_of_chunks_bytes(plane) for plane in planes),
            request.settings.batch_size,
            request.network_memory
            or network_memory(request.network, torch.get_num_threads(), request.device),
            scaling.frame_if_needed(planes[0].shape),
            request.follows_beside,
            worker_count(),
            max(beside_bytes(plane) for plane in [*planes, *(one.plane for one in measured)]),
            Extras(cached, request.report is not None),
        ),
        request.settings.tile_px,
        request.settings.overlap,
    )
