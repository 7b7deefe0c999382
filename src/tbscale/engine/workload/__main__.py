"""`python -m tbscale.engine.workload JOB.json RESULT.json`."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from tbscale.engine.workload.job import Job
from tbscale.engine.workload.run import run_job
from tbscale.errors import TbscaleError


def main(arguments: list[str]) -> int:
    """Run one job file; a user's mistake becomes a result that says so, and exit status 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("tbscale").setLevel(logging.INFO)
    job_path, result_path = (Path(argument) for argument in arguments)
    try:
        report, status = run_job(Job.load(job_path)), 0
    except TbscaleError as error:
        report, status = _failure(type(error).__name__, str(error)), 2
    except MemoryError:
        report, status = _failure("MemoryError", "the process could not allocate memory"), 2
    _write(report, result_path)
    return status


def _failure(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": message}}


def _write(report: dict[str, Any], path: Path) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(report), encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
