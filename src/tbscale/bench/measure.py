"""Measure one engine on one image: three passes in fresh processes, one sealed record."""

from __future__ import annotations

import datetime
import logging
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from tbscale.bench.command import profile_command
from tbscale.bench.machine import read_load, read_machine
from tbscale.bench.passes import PassOutcome, run_pass
from tbscale.bench.records import seal
from tbscale.bench.redact import Privacy, redact_command, redact_document
from tbscale.bench.reference import (
    agree_with_reference,
    agree_with_truth,
    find_reference,
    keep_labels,
    known_records,
)
from tbscale.bench.schema import SCHEMA_VERSION, Load, Record
from tbscale.bench.software import read_code, read_software, repository_root
from tbscale.bench.subject import Subject, find_subject
from tbscale.engine.workload.engines import find_engine
from tbscale.engine.workload.image import image_facts
from tbscale.engine.workload.job import INSTRUMENTS, Job, Scalar

logger = logging.getLogger(__name__)
Json = dict[str, Any]
MIN_REPEATS = 3  # below, a spread means nothing


@dataclass(frozen=True)
class Request:
    """What to measure; the parameters of the profile notebook.

    Attributes
    ----------
    dataset, image : one of them at least, see `find_subject`
    channel, model, diameter, engine, device, crop : see `tbscale.engine.workload.job.Job`
    repeats : measured runs of the plain pass, after the warm-ups
    warm_ups : runs of the plain pass that are left out of the medians
    threads : of every library; 0 is as many as the machine has cores
    settings : parameters of the engine
    instruments : the passes, in this order; `plain` comes first
    out : folder of records, in which references are looked for
    time_limit_s : a pass is ended after this many seconds
    """

    dataset: str | None = None
    image: str | None = None
    channel: int | str = 0
    model: str | None = None
    diameter: float | None = None
    engine: str = "stock"
    device: str = "cpu"
    crop: tuple[int, int, int, int] | None = None
    repeats: int = 3
    warm_ups: int = 1
    threads: int = 0
    settings: dict[str, Scalar] = field(default_factory=dict)
    instruments: tuple[str, ...] = INSTRUMENTS
    out: str = "results/local"
    time_limit_s: float | None = None

    @property
    def subject(self) -> Subject:
        """The image behind the request."""
        return find_subject(self.dataset, Path(self.image) if self.image else None)

    def job(self, instrument: str, labels_out: Path | None = None) -> Job:
        """What one pass is asked to do."""
        return Job(
            engine=self.engine,
            image=str(self.subject.image),
            channel=self.channel,
            crop=self.crop,
            model=self.model,
            diameter=self.diameter,
            device=self.device,
            settings=self.settings,
            threads=self.threads or psutil.cpu_count() or 1,
            warm_ups=self.warm_ups,
            repeats=self.repeats,
            instrument=instrument,
            labels_out=None if labels_out is None else str(labels_out),
        )


def measure(request: Request) -> Record:
    """Run all passes and seal the record; it is not yet saved.

    A plain pass that runs out of memory or time gives a record that says so, without a result.

    Raises
    ------
    DatasetError, ImageError, WeightsError, RunError : the request cannot be measured
    RecordError : an instrument yielded nothing
    """
    subject = request.subject
    find_engine(request.engine)
    if request.repeats < MIN_REPEATS:
        logger.warning("%d repeats: too few to state a spread", request.repeats)
    with tempfile.TemporaryDirectory(prefix="tbscale-") as scratch:
        before = read_load()
        outcomes = run_passes(request, Path(scratch))
        after = read_load()
        document = describe(request, subject, outcomes, before, after)
        _compare(request, subject, document, Path(scratch))
    return seal(redact_document(document, Privacy.of_this_machine()))


def run_passes(request: Request, scratch: Path) -> list[PassOutcome]:
    """The passes one after the other; a plain pass that did not end well is the last."""
    outcomes: list[PassOutcome] = []
    plain_first_s: float | None = None
    for number, instrument in enumerate(request.instruments, 1):
        logger.info("pass %d of %d: %s", number, len(request.instruments), instrument)
        labels = scratch / "labels.tif" if instrument == "plain" else None
        outcome = run_pass(
            request.job(instrument, labels),
            scratch / instrument,
            plain_first_s=plain_first_s,
            time_limit_s=request.time_limit_s,
        )
        outcomes.append(outcome)
        if instrument == "plain":
            if outcome.report is None:
                break
            plain_first_s = outcome.report["repeats"][0]["wall_s"]
    return outcomes


def describe(
    request: Request, subject: Subject, outcomes: list[PassOutcome], before: Load, after: Load
) -> Json:
    """The record as plain JSON values, its agreements still empty."""
    report = outcomes[0].report
    job = request.job("plain")
    facts = report["dataset"] if report else image_facts(job)
    entry = find_engine(request.engine)
    machine = read_machine(subject.image, before, after)
    root = repository_root()
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "experiment": "profile",
        "dataset": {"name": subject.name, "origin": subject.origin, **facts},
        "engine": {"name": request.engine, "versions": {p: version(p) for p in entry.packages}},
        "parameters": _parameters(job, report),
        "weights": report["weights"] if report else None,
        "machine": machine.model_dump(mode="json"),
        "software": read_software(),
        "code": read_code().model_dump(mode="json"),
        "command": redact_command(profile_command(request), Privacy.of_this_machine(), root),
        "passes": [outcome.document for outcome in outcomes],
        "result": {**report["result"], "agreements": []} if report else None,
        "measures": [],
    }


def _parameters(job: Job, report: Json | None) -> dict[str, Scalar]:
    """Every parameter that decided the labels or the cost, the engine's own filled in."""
    own = report["settings"] if report else job.settings
    return {
        "model": job.model,
        "diameter": job.diameter,
        "device": job.device,
        "threads": job.threads,
        "warm_ups": job.warm_ups,
        "repeats": job.repeats,
        **own,
    }


def _compare(request: Request, subject: Subject, document: Json, scratch: Path) -> None:
    """Add the agreements with the truth and with the reference, where either is known."""
    if document["result"] is None:
        return
    sha256 = document["result"]["labels_sha256"]
    labels = keep_labels(scratch / "labels.tif", sha256)
    agreements = document["result"]["agreements"]
    if subject.true_labels is not None:
        agreements.append(agree_with_truth(labels, subject.true_labels, request.crop))
    reference = find_reference(document, known_records([Path(request.out), Path("results")]))
    if reference is not None and (found := agree_with_reference(labels, sha256, reference)):
        agreements.append(found)
