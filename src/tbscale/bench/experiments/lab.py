"""What the experiments share: runs in fresh processes, their numbers as measures, one record.

A measure is one number of one subject. Repeats are measures of the same name and subject, so that
medians and spreads are computed on reading, as for every record.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import psutil

from tbscale.bench.machine import read_load, read_machine
from tbscale.bench.passes import run_pass
from tbscale.bench.records import seal
from tbscale.bench.redact import Privacy, redact_document
from tbscale.bench.schema import SCHEMA_VERSION, Load, Record
from tbscale.bench.software import read_code, read_software
from tbscale.engine.workload.engines import find_engine
from tbscale.engine.workload.job import Job, Scalar
from tbscale.engine.workload.threads import thread_environment
from tbscale.errors import RunError
from tbscale.images.datasets import dataset
from tbscale.images.standin.writer import StandIn, write_stand_in

logger = logging.getLogger(__name__)
Json = dict[str, Any]
Scope = Literal["portable", "local"]
COUNTED = ("tiles", "followed_pixels", "file_bytes_read", "scratch_bytes")


def all_threads() -> int:
    """As many threads as the machine has cores."""
    return psutil.cpu_count() or 1


@dataclass(frozen=True)
class Lab:
    """A place to run in, and what was seen there.

    Attributes
    ----------
    folder : scratch, gone when the experiment ends
    before : how busy the machine was at the start
    measures : numbers so far, as a record holds them
    """

    folder: Path
    before: Load
    measures: list[Json] = field(default_factory=list)

    def note(
        self, name: str, subject: str, value: float, unit: str, scope: Scope = "portable"
    ) -> None:
        """Add one number."""
        one = {"name": name, "subject": subject, "value": value, "unit": unit, "scope": scope}
        self.measures.append(one)

    def run(self, subject: str, job: Job) -> Json:
        """Run a plain pass in a fresh process, note its numbers, and return its report.

        Raises
        ------
        RunError : the process ran out of memory
        """
        logger.info("%s", subject)
        outcome = run_pass(job, self.folder / "pass")
        if outcome.report is None:
            ended = outcome.document["ended"].replace("_", " ")
            raise RunError(
                f"{subject} ended ({ended}, {outcome.document['ended_detail']}); ask for less"
            )
        self._note_report(subject, outcome.report)
        return outcome.report

    def prime(self, job: Job) -> None:
        """Run a job and note nothing: compiled kernels are in their caches afterwards."""
        logger.info("unmeasured first run, %s", job.engine)
        if run_pass(job, self.folder / "pass").report is None:
            raise RunError(f"the first run of {job.engine} ran out of memory; ask for less")

    def middle_of(
        self, name: str, shape: tuple[int, int], stem: str, channels: int = 1, seed: int = 0
    ) -> Path:
        """Write the middle of a dataset's stand-in, with its true labels beside it.

        Parameters
        ----------
        shape : (Y, X), pixels; cut to what the dataset has
        stem : of the file

        Raises
        ------
        DatasetError : there is no such dataset
        """
        data = dataset(name)
        y, x = (
            slice((whole - side) // 2, (whole - side) // 2 + side)
            for whole, side in zip(data.shape, map(min, data.shape, shape), strict=True)
        )
        image = self.folder / f"{stem}.ome.tif"
        write_stand_in(StandIn(data, seed, channels, (y, x)), image)
        return image

    def ask(self, module: str, request: Json) -> Any:
        """Run a module of the workload on a request in a fresh process; its result, plain JSON.

        Raises
        ------
        RunError : the process failed
        """
        asked, answered = self.folder / "request.json", self.folder / "result.json"
        asked.write_text(json.dumps(request), encoding="utf-8")
        ended = subprocess.run(
            [sys.executable, "-m", module, str(asked), str(answered)],
            env={**os.environ, **thread_environment(request["threads"])},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            last = ended.stderr.strip().splitlines()[-1:]
            raise RunError(
                f"{module} ended with status {ended.returncode} ({'; '.join(last)}); "
                "run it by hand to see why"
            )
        return json.loads(answered.read_text(encoding="utf-8"))

    def _note_report(self, subject: str, report: Json) -> None:
        measured = [repeat for repeat in report["repeats"] if not repeat["warm_up"]]
        for repeat in measured:
            self.note("wall", subject, repeat["wall_s"], "s", "local")
            self.note("cpu", subject, repeat["cpu_s"], "s", "local")
            for step, seconds in repeat["steps"].items():
                self.note(f"step-{step}", subject, seconds, "s", "local")
        self.note("peak", subject, report["peak_rss_bytes"], "bytes")
        counts = measured[-1]["counts"]
        self.note("pixels", subject, counts["pixels"], "px")
        for name in COUNTED:
            if name in counts:
                self.note(name.replace("_", "-"), subject, counts[name], "count")
        self.note("cells", subject, report["result"]["cells"], "count")
        self.note("foreground", subject, report["result"]["foreground_pixels"], "px")


@contextmanager
def open_lab() -> Iterator[Lab]:
    """A lab whose scratch goes when the `with` ends."""
    with tempfile.TemporaryDirectory(prefix="tbscale-") as folder:
        yield Lab(Path(folder), read_load())


@dataclass(frozen=True)
class About:
    """What an experiment's record says of itself.

    Attributes
    ----------
    experiment : its name
    dataset, origin : what the images are, or what they imitate
    report : of the run whose region stands for the whole in the record
    engine : the engine under study
    parameters : what decided the numbers
    command : how to make the record again, words as in a shell
    """

    experiment: str
    dataset: str
    origin: Literal["real", "stand-in"]
    report: Json
    engine: str
    parameters: dict[str, Scalar | tuple[Scalar, ...]]
    command: str


def seal_experiment(about: About, lab: Lab) -> Record:
    """Make the record of an experiment; it is not yet saved."""
    packages = find_engine(about.engine).packages
    document = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "experiment": about.experiment,
        "dataset": {"name": about.dataset, "origin": about.origin, **about.report["dataset"]},
        "engine": {"name": about.engine, "versions": {one: version(one) for one in packages}},
        "parameters": about.parameters,
        "weights": about.report["weights"],
        "machine": read_machine(Path.cwd(), lab.before, read_load()).model_dump(mode="json"),
        "software": read_software(),
        "code": read_code().model_dump(mode="json"),
        "command": about.command,
        "passes": [],
        "result": None,
        "measures": lab.measures,
    }
    return seal(redact_document(document, Privacy.of_this_machine()))
