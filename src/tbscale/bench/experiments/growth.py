"""How time and memory grow with a plane, and what a second thread does for each step.

Crops of one stand-in, each run in a fresh process without a warm-up, as most runs of users are;
kernels that are compiled once for a machine were compiled before.
Small crops are run more often than large ones, in rounds, so that no size has a quiet hour to
itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tbscale.bench.command import Crop
from tbscale.bench.experiments.lab import About, Json, Lab, all_threads, open_lab, seal_experiment
from tbscale.bench.schema import Record
from tbscale.engine.workload.engines import find_engine
from tbscale.engine.workload.job import Job
from tbscale.errors import RunError
from tbscale.images.datasets import dataset
from tbscale.images.standin.writer import StandIn, write_stand_in

MEGA = 1_000_000
SIZES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 100.0)  # megapixels
MOST_ROUNDS = 3


@dataclass(frozen=True)
class GrowthRequest:
    """What to measure.

    Attributes
    ----------
    dataset : whose stand-in; its plane bounds the crops
    smallest, largest : megapixels
    engines : in this order within a round
    threads_size : megapixels of the crop that is run with one thread and with all
    rounds : of the small crops; larger ones run less often, at least once
    """

    dataset: str = "exemplar-001"
    smallest: float = 0.25
    largest: float = 8.0
    engines: tuple[str, ...] = ("stock", "tbscale")
    threads_size: float = 0.5
    rounds: int = MOST_ROUNDS

    @property
    def command(self) -> str:
        """How to make the record again."""
        return (
            f"python benchmarks/growth.py --dataset {self.dataset} --smallest {self.smallest:g} "
            f"--largest {self.largest:g} --engines {','.join(self.engines)} "
            f"--threads-size {self.threads_size:g} --rounds {self.rounds}"
        )


def crops_of(shape: tuple[int, int], smallest: float, largest: float) -> list[Crop]:
    """Crops in the middle of a plane, of its aspect, smallest first; the last may be all of it.

    Parameters
    ----------
    shape : (Y, X), pixels
    smallest, largest : megapixels

    >>> crops_of((1000, 1000), 0.25, 8)
    [(250, 750, 250, 750), (146, 853, 146, 853), (0, 1000, 0, 1000)]
    """
    sizes = [smallest, *(size for size in SIZES if smallest < size < largest), largest]
    return list(dict.fromkeys(_middle(shape, size * MEGA) for size in sizes))


def _middle(shape: tuple[int, int], pixels: float) -> Crop:
    scale = min(1.0, math.sqrt(pixels / (shape[0] * shape[1])))
    height, width = (max(1, round(side * scale)) for side in shape)
    y0, x0 = (shape[0] - height) // 2, (shape[1] - width) // 2
    return y0, y0 + height, x0, x0 + width


def area_px(crop: Crop) -> int:
    """Pixels of a crop."""
    return (crop[1] - crop[0]) * (crop[3] - crop[2])


def rounds_of(crop: Crop, rounds: int) -> int:
    """How often a crop is run: all rounds up to a megapixel, then in inverse proportion."""
    return max(1, min(rounds, rounds * MEGA // area_px(crop)))


def measure_growth(request: GrowthRequest) -> Record:
    """Run every crop and seal the record.

    Raises
    ------
    RunError : a run ended early, an engine is unknown, or the sizes are no range
    DatasetError : the dataset is unknown
    """
    if not (0 < request.smallest <= request.largest < math.inf and request.threads_size > 0):
        raise RunError(
            f"crops from {request.smallest:g} to {request.largest:g} megapixels, and one of "
            f"{request.threads_size:g}, are not to be had; pass sizes above 0, --smallest at most "
            "--largest"
        )
    for engine in request.engines:
        find_engine(engine)
    data = dataset(request.dataset)
    crops = crops_of(data.shape, request.smallest, request.largest)
    with open_lab() as lab:
        image = lab.folder / "stand-in.ome.tif"
        window = _bounds(crops[-1])
        write_stand_in(StandIn(data, channels=1, crop=window), image)
        local = [_inside(crop, crops[-1]) for crop in crops]
        job = Job(request.engines[0], str(image), 0, threads=all_threads(), warm_ups=0, repeats=1)
        for engine in request.engines:
            lab.prime(replace(job, engine=engine, crop=local[0]))
        report: Json = {}
        for number in range(request.rounds):
            for crop in local:
                if number < rounds_of(crop, request.rounds):
                    report = _run_engines(lab, replace(job, crop=crop), request.engines)
            _run_threads(lab, job, request, local[-1])
        about = About(
            "growth", data.name, "stand-in", report, request.engines[0],
            {"smallest_mpx": request.smallest, "largest_mpx": request.largest,
             "threads": job.threads, "rounds": request.rounds, "warm_ups": 0},
            request.command,
        )  # fmt: skip
        return seal_experiment(about, lab)


def _bounds(crop: Crop) -> tuple[slice, slice]:
    return slice(crop[0], crop[1]), slice(crop[2], crop[3])


def _inside(crop: Crop, outer: Crop) -> Crop:
    """A crop in the coordinates of another that holds it."""
    y, x = outer[0], outer[2]
    return crop[0] - y, crop[1] - y, crop[2] - x, crop[3] - x


def _run_engines(lab: Lab, job: Job, engines: tuple[str, ...]) -> Json:
    assert job.crop is not None
    report: Json = {}
    for engine in reversed(engines):  # the first engine's report is returned
        report = lab.run(f"{engine}/{area_px(job.crop)}", replace(job, engine=engine))
    return report


def _run_threads(lab: Lab, job: Job, request: GrowthRequest, whole: Crop) -> None:
    """The same crop with one thread and with all, for each engine."""
    shape = (whole[1], whole[3])
    crop = _middle(shape, request.threads_size * MEGA)
    for engine in request.engines:
        for threads in dict.fromkeys((1, job.threads)):
            one = replace(job, engine=engine, crop=crop, threads=threads)
            lab.run(f"threads/{engine}/{threads}", one)
