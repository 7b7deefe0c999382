"""What more channels, a second input, other networks and several networks cost.

Reading is timed on files that differ in nothing but their number of channels: one channel by
region, as this package reads, beside the whole file, as many scripts do. Networks have random
weights where the record says so: what they cost does not depend on the weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import tifffile

from tbscale.bench.experiments.lab import About, Json, Lab, all_threads, open_lab, seal_experiment
from tbscale.bench.schema import Record
from tbscale.engine.workload.job import Job
from tbscale.images.open import open_plane

DATASET = "WD-76845-097"
NETS = "tbscale.engine.workload.nets"
REFERENCE_WIDTH = (32, 64, 128, 256)
WIDTHS = ((16, 32, 64, 128), REFERENCE_WIDTH, (48, 96, 192, 384))


@dataclass(frozen=True)
class ChannelsRequest:
    """What to measure.

    Attributes
    ----------
    size_px : side of the images
    channels : of the files that are read
    reads : repeats of each reading
    rounds : pairs of one input with two
    widths : features of each level of the network
    nets : networks averaged, as the runs of 2022 did with four
    tiles, repeats : of one batch through a network
    """

    size_px: int = 512
    channels: tuple[int, ...] = (1, 4, 12, 40)
    reads: int = 5
    rounds: int = 3
    widths: tuple[tuple[int, ...], ...] = WIDTHS
    nets: tuple[int, ...] = (1, 2, 4)
    tiles: int = 8
    repeats: int = 3

    @property
    def command(self) -> str:
        """How to make the record again."""
        channels = ",".join(map(str, self.channels))
        nets = ",".join(map(str, self.nets))
        return (
            f"python benchmarks/channels.py --size-px {self.size_px} --channels {channels} "
            f"--rounds {self.rounds} --nets {nets} --tiles {self.tiles} --repeats {self.repeats}"
        )


def measure_channels(request: ChannelsRequest) -> Record:
    """Read, segment with one and two inputs, time networks, and seal the record.

    Raises
    ------
    RunError : a run ended early
    """
    with open_lab() as lab:
        for count in request.channels:
            _read(lab, _write(lab, request.size_px, count), count, request.reads)
        report = _inputs(lab, _write(lab, request.size_px, 2), request.rounds)
        _nets(lab, request)
        about = About(
            "channels", DATASET, "stand-in", report, "stock",
            {"size_px": request.size_px, "rounds": request.rounds, "reads": request.reads,
             "tiles": request.tiles, "repeats": request.repeats, "threads": all_threads(),
             "warm_ups": 1, "network_weights": "random in networks of other widths and numbers"},
            request.command,
        )  # fmt: skip
        return seal_experiment(about, lab)


def _write(lab: Lab, size_px: int, channels: int) -> Path:
    image = lab.folder / f"{channels}-channels.ome.tif"
    if image.exists():
        return image
    return lab.middle_of(DATASET, (size_px, size_px), f"{channels}-channels", channels)


def _read(lab: Lab, image: Path, channels: int, reads: int) -> None:
    """Time one channel and the whole file, in turn; the file is in the system's cache."""
    subject = f"reading/{channels}"
    lab.note("file", subject, image.stat().st_size, "bytes")
    plane = open_plane(image, 0)
    plane.read(*(slice(0, side) for side in plane.shape))
    lab.note("one-channel-bytes", subject, plane.bytes_read, "bytes")

    def one() -> None:
        fresh = open_plane(image, 0)
        fresh.read(*(slice(0, side) for side in fresh.shape))

    for _ in range(reads):
        lab.note("one-channel", subject, _seconds(one), "s", "local")
        lab.note("whole-file", subject, _seconds(lambda: tifffile.imread(image)), "s", "local")


def _seconds(do: Callable[[], object]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def _inputs(lab: Lab, image: Path, rounds: int) -> Json:
    """Stock Cellpose with one input and with two, in turn."""
    job = Job("stock", str(image), 0, threads=all_threads(), warm_ups=1, repeats=1)
    report: Json = {}
    for _ in range(rounds):
        lab.run("inputs/2", replace(job, channel=1, channel2=0))
        report = lab.run("inputs/1", job)
    return report


def _nets(lab: Lab, request: ChannelsRequest) -> None:
    """Networks alone: their widths, and several averaged."""
    asked = {
        "widths": request.widths,
        "nets": request.nets,
        "tiles": request.tiles,
        "tile_px": 224,
        "repeats": request.repeats,
        "threads": all_threads(),
    }
    found: list[Json] = lab.ask(NETS, asked)
    for position, one in enumerate(found):
        widths = position < len(request.widths)
        subject = f"width/{one['width'][0]}" if widths else f"nets/{one['nets']}"
        lab.note("weights", subject, one["weights"], "count")
        for seconds in one["wall_s"]:
            lab.note("wall", subject, seconds, "s", "local")
