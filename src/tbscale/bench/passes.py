"""Launch passes: each one a fresh process, with its instrument, watched from outside.

Memory peaks are lifetime maxima of a process, and the profilers share one slot of the
interpreter, so no process serves two passes.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import psutil

from tbscale.bench.redact import Privacy, redact_command, redact_paths, redact_text
from tbscale.bench.scalene_table import read_scalene
from tbscale.engine.workload.job import Job
from tbscale.engine.workload.threads import thread_environment
from tbscale.errors import RecordError, RunError

logger = logging.getLogger(__name__)
Json = dict[str, Any]
Ended = Literal["completed", "out_of_memory", "time_limit", "error"]

POLL_S = 0.1
KILLED = (-9, 137)  # SIGKILL as subprocess says it, and as a shell does
INSTRUMENTS = {"plain": "tbscale", "scalene": "scalene", "line_profiler": "line_profiler"}
NOISE = ("Scalene: profile saved", "To view in")  # of a file that will not stay
LAUNCHER = """import sys

from tbscale.engine.workload.__main__ import main

sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class PassOutcome:
    """One pass as plain JSON values, and what the process said of its work.

    `report` is what the workload wrote, or None where it did not live to write it.
    """

    document: Json
    report: Json | None


def run_pass(
    job: Job, folder: Path, *, plain_first_s: float | None = None, time_limit_s: float | None = None
) -> PassOutcome:
    """Run one pass in a fresh process and wait for it; its log lines are passed on.

    Parameters
    ----------
    job : what to do; scalene and line_profiler run one repeat and no warm-up
    folder : for the job, its result and the instrument's output
    plain_first_s : first wall of the plain pass, from which the overhead follows
    time_limit_s : the process is killed after this many seconds

    Raises
    ------
    RunError : the user's mistake, in the words of the process, or an unexpected end
    RecordError : the instrument yielded nothing
    """
    if job.instrument != "plain":
        job = replace(job, warm_ups=0, repeats=1, labels_out=None)
    folder.mkdir(parents=True, exist_ok=True)
    command = pass_command(job, folder)
    logger.info("%s pass: started", job.instrument)
    process = _launch(command, job)
    watched = _watch(process, time_limit_s)
    report = _read_result(folder / "result.json")
    document = _describe(job, command, watched)
    if watched.ended == "completed" and report is not None:
        return _completed(job, folder, document, report, plain_first_s)
    return _failed(job, document, report, watched)


def pass_command(job: Job, folder: Path) -> list[str]:
    """Write the job and return the command that runs it; an old result is removed."""
    job_path, result_path = folder / "job.json", folder / "result.json"
    job_path.write_text(job.to_json(), encoding="utf-8")
    for stale in (result_path, folder / "scalene.json"):
        stale.unlink(missing_ok=True)
    arguments = [str(job_path), str(result_path)]
    if job.instrument != "scalene":
        return [sys.executable, "-m", "tbscale.engine.workload", *arguments]
    launcher = folder / "launch.py"
    launcher.write_text(LAUNCHER, encoding="utf-8")
    return [*scalene_command(folder / "scalene.json"), str(launcher), "---", *arguments]


def scalene_command(out: Path) -> list[str]:
    """How scalene is run.

    `--no-stacks`: stacks zero its copy volumes. `--memory` without `--gpu`: the default starts
    torch's own profiler with stacks, which took 9 GB and minutes for a run of a third of a
    second. `--off`: the workload turns it on for the repeats alone. `--profile-only` looks for
    parts of paths, and a clone in a folder called tbscale holds torch too, so each is a folder
    of a package.
    """
    options = ["--off", "--no-stacks", "--memory", "--profile-all"]
    folders = (Path("cellpose"), Path("tbscale", "engine"), Path("tbscale", "images"))
    only = ["--profile-only", ",".join(f"{folder}{os.sep}" for folder in folders)]
    return [sys.executable, "-m", "scalene", "run", *options, *only, "-o", str(out)]


def _launch(command: list[str], job: Job) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        **thread_environment(job.threads),
        # torch's words about tensors that Cellpose makes; nobody here can act on them
        "PYTHONWARNINGS": "ignore:Sparse invariant checks:UserWarning",
    }
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


@dataclass(frozen=True)
class _Watched:
    """How a process ended, its last words, and the largest memory seen from outside."""

    ended: Ended
    returncode: int
    last_words: str
    peak_rss_bytes: int
    wall_s: float


def _watch(process: subprocess.Popen[str], time_limit_s: float | None) -> _Watched:
    """Pass log lines on and wait; an interrupted parent does not leave its child behind."""
    started = time.perf_counter()
    peak, timed_out = 0, False
    with _relayed(process) as lines:
        try:
            while process.poll() is None:
                peak = max(peak, _tree_rss(process.pid))
                if time_limit_s is not None and time.perf_counter() - started > time_limit_s:
                    timed_out = True
                    process.kill()
                _wait(process)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    wall_s = time.perf_counter() - started
    ended = _how_it_ended(process.returncode, timed_out)
    return _Watched(ended, process.returncode, "; ".join(lines[-3:]), peak, wall_s)


def _wait(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return


def _how_it_ended(returncode: int, timed_out: bool) -> Ended:
    if timed_out:
        return "time_limit"
    if returncode in KILLED:
        return "out_of_memory"  # the kernel's killer; nobody else sends this signal here
    return "completed" if returncode == 0 else "error"


@contextmanager
def _relayed(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    """Log the child's lines as they come, and keep them."""
    lines: list[str] = []

    def relay() -> None:
        for line in process.stderr or ():
            if (text := line.strip()) and not text.startswith(NOISE):
                lines.append(text)
                logger.info("%s", text)

    thread = threading.Thread(target=relay, name="relay", daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        thread.join(timeout=5)
        if process.stderr is not None:
            process.stderr.close()


def _tree_rss(pid: int) -> int:
    """Resident bytes of a process and its children; 0 once it is gone."""
    try:
        process = psutil.Process(pid)
        return int(
            sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def _read_result(path: Path) -> Json | None:
    if not path.is_file():
        return None
    report: Json = json.loads(path.read_text(encoding="utf-8"))
    return report


def _describe(job: Job, command: list[str], watched: _Watched) -> Json:
    """What is known of a pass from outside."""
    return {
        "instrument": job.instrument,
        "instrument_version": version(INSTRUMENTS[job.instrument]),
        "command": redact_command(["python", *command[1:]], Privacy.of_this_machine()),
        "ended": watched.ended,
        "ended_detail": None,
        "overhead_ratio": None,
        "prepare_s": 0.0,
        "start_rss_bytes": 0,
        "peak_rss_bytes": watched.peak_rss_bytes,
        "tree_peak_rss_bytes": watched.peak_rss_bytes,
        "threads": {
            "requested": job.threads,
            "torch": None,
            "numba": None,
            "opencv": None,
            "environment": thread_environment(job.threads),
        },
        "repeats": [],
        "scalene": None,
        "line_profiler": None,
    }


def _completed(
    job: Job, folder: Path, document: Json, report: Json, plain_first_s: float | None
) -> PassOutcome:
    """Fill in what the workload reported. RecordError where the instrument saw nothing."""
    own = ("prepare_s", "start_rss_bytes", "peak_rss_bytes", "threads", "repeats")
    document |= {key: report[key] for key in own}
    sampled = [repeat["peak_rss_bytes"] for repeat in report["repeats"]]
    document["tree_peak_rss_bytes"] = max(*sampled, report["peak_rss_bytes"])
    if job.instrument == "scalene":
        document["scalene"] = read_scalene(folder / "scalene.json")
    if job.instrument == "line_profiler":
        if not report["line_profiler"]:
            raise RecordError("line_profiler yielded nothing; name functions that the engine runs")
        document["line_profiler"] = report["line_profiler"]
    if plain_first_s is not None and job.instrument != "plain":
        document["overhead_ratio"] = report["repeats"][0]["wall_s"] / plain_first_s
    return PassOutcome(document, report)


def _failed(job: Job, document: Json, report: Json | None, watched: _Watched) -> PassOutcome:
    """A process that ran out of memory or time is a finding; any other failure is raised."""
    error = (report or {}).get("error")
    if error is not None and error["kind"] != "MemoryError":
        raise RunError(error["message"])
    if error is not None:
        document["ended"] = "out_of_memory"
    if document["ended"] in ("completed", "error"):
        raise RunError(
            f"the {job.instrument} pass ended with status {watched.returncode} and no result "
            f"({watched.last_words or 'it said nothing'}); run its command by hand to see why"
        )
    document["ended_detail"] = redact_paths(
        redact_text(
            f"after {watched.wall_s:.0f} s at {watched.peak_rss_bytes} bytes; "
            f"last words: {watched.last_words or 'none'}",
            Privacy.of_this_machine(),
        )
    )
    return PassOutcome(document, None)
