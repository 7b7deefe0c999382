"""Whole runs of stock Cellpose and of this package in turn, and how far their labels agree.

A round runs every engine once, each in a fresh process, in an order that moves on from round to
round; a ratio is of two runs of one round. Before the first round each engine runs once on the
middle of the region, unmeasured, so that compiled kernels lie on disk; and the region is read
once, so that whoever comes first does not wait for a disk alone.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from tbscale.bench.agreement import LabelsOnDisk, compare_labels
from tbscale.bench.command import Crop, crop_text
from tbscale.bench.experiments.lab import About, Json, Lab, all_threads, open_lab, seal_experiment
from tbscale.bench.reference import REFERENCE_ENGINE
from tbscale.bench.schema import Record
from tbscale.bench.subject import Subject, find_subject
from tbscale.engine.workload.engines import find_engine
from tbscale.engine.workload.image import job_region, pixels_sha256
from tbscale.engine.workload.job import Job
from tbscale.errors import RunError
from tbscale.images.open import open_plane

PRIMED_PX = 512


@dataclass(frozen=True)
class SpeedupRequest:
    """What to measure.

    Attributes
    ----------
    name, image : of the dataset, as `find_subject` takes them
    channel : index or name; None is the first
    crop : (y0, y1, x0, x1) pixels, or None for the whole plane
    rounds : each runs every engine once
    engines : beside stock Cellpose
    """

    name: str | None = "exemplar-001"
    image: Path | None = None
    channel: int | str | None = None
    crop: Crop | None = None
    rounds: int = 3
    engines: tuple[str, ...] = ("tbscale", "tbscale-fast", "tbscale-half")

    @property
    def command(self) -> str:
        """How to make the record again."""
        words = ["python", "benchmarks/speedup.py", *([self.name] if self.name else [])]
        if self.image is not None:
            words += ["--image", str(self.image)]
        if self.channel is not None:
            words += ["--channel", str(self.channel)]
        if self.crop is not None:
            words += ["--crop", crop_text(self.crop)]
        words += ["--rounds", str(self.rounds), "--engines", ",".join(self.engines)]
        return shlex.join(words)


def measure_speedup(request: SpeedupRequest) -> Record:
    """Run all rounds, compare the labels of the first, and seal the record.

    Raises
    ------
    RunError : an engine is unknown, named twice or missing, or a run ended early
    DatasetError, ImageError : there is no such image, or the crop leaves it
    """
    engines = (REFERENCE_ENGINE, *request.engines)
    if len(engines) == 1 or len(set(engines)) < len(engines):
        raise RunError(
            f"{', '.join(request.engines) or 'none'} is not what can be set beside "
            f"{REFERENCE_ENGINE}; pass other engines, each once"
        )
    for one in engines:
        find_engine(one)
    subject = find_subject(request.name, request.image)
    with open_lab() as lab:
        report = _run_rounds(lab, _job_of(request, subject), engines, request.rounds)
        about = About(
            "speedup", subject.name, subject.origin, report, request.engines[0],
            {"rounds": request.rounds, "warm_ups": 0, "threads": all_threads()},
            request.command,
        )  # fmt: skip
        return seal_experiment(about, lab)


def _job_of(request: SpeedupRequest, subject: Subject) -> Job:
    """The reference's run; the others differ by their engine alone."""
    return Job(
        REFERENCE_ENGINE, str(subject.image), request.channel, crop=request.crop,
        threads=all_threads(), warm_ups=0, repeats=1,
    )  # fmt: skip


def _run_rounds(lab: Lab, job: Job, engines: tuple[str, ...], rounds: int) -> Json:
    """Every engine in every round; the reference's first report."""
    for engine in engines:
        lab.prime(replace(job, engine=engine, crop=_middle(job)))
    _read_once(job)
    report: Json = {}
    for number in range(rounds):
        turn = number % len(engines)
        for engine in engines[turn:] + engines[:turn]:
            labels = str(_labels(lab, engine)) if number == 0 else None
            seen = lab.run(engine, replace(job, engine=engine, labels_out=labels))
            if engine == REFERENCE_ENGINE:
                report = report or seen
    for engine in engines[1:]:
        _compare(lab, engine)
    return report


def _read_once(job: Job) -> None:
    """Read a job's region, so that the file lies in the system's memory."""
    plane = open_plane(job.image, job.channel)
    pixels_sha256(plane, *job_region(job, plane))


def _middle(job: Job) -> Crop:
    """At most PRIMED_PX pixels a side, in the middle of a job's region."""
    y, x = job_region(job, open_plane(job.image, job.channel))
    starts = [max(s.start, (s.start + s.stop - PRIMED_PX) // 2) for s in (y, x)]
    stops = [min(s.stop, start + PRIMED_PX) for s, start in zip((y, x), starts, strict=True)]
    return starts[0], stops[0], starts[1], stops[1]


def _labels(lab: Lab, engine: str) -> Path:
    return lab.folder / f"{engine}.tif"


def _compare(lab: Lab, engine: str) -> None:
    """Note how an engine's labels stand to the reference's."""
    ours, wanted = (
        LabelsOnDisk(open_plane(_labels(lab, one))) for one in (engine, REFERENCE_ENGINE)
    )
    found = compare_labels(ours, wanted)
    lab.note(f"grade-{found.grade}", engine, 1, "1")
    for threshold, value in found.ap.items():
        lab.note(f"ap-{threshold}", engine, value, "1")
    lab.note("differing-share", engine, found.differing_share, "share")
