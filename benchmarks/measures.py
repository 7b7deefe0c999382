"""What the records of experiments share: measures, and the frame around them."""

from __future__ import annotations

import datetime
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tbscale.bench.machine import read_load, read_machine
from tbscale.bench.records import seal
from tbscale.bench.redact import Privacy, redact_command, redact_document
from tbscale.bench.schema import SCHEMA_VERSION, Load, Record
from tbscale.bench.software import read_code, read_software

Measure = dict[str, Any]
PACKAGES = ("tbscale", "cellpose", "torch", "numba", "numpy")


def measure(
    name: str, subject: str, value: float, unit: str = "1", scope: str = "portable"
) -> Measure:
    """One number of a record."""
    return {"name": name, "subject": subject, "value": value, "unit": unit, "scope": scope}


def make_record(
    experiment: str,
    dataset: dict[str, Any],
    weights: dict[str, str] | None,
    parameters: dict[str, Any],
    measures: list[Measure],
    result: dict[str, Any] | None,
    before: Load,
    engine: str = "tbscale",
) -> Record:
    """Seal the record of an experiment that just ended."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "experiment": experiment,
        "dataset": dataset,
        "engine": {"name": engine, "versions": {name: version(name) for name in PACKAGES}},
        "parameters": parameters,
        "weights": weights,
        "machine": read_machine(Path.cwd(), before, read_load()).model_dump(mode="json"),
        "software": read_software(),
        "code": read_code().model_dump(mode="json"),
        "command": redact_command(["python", *sys.argv], Privacy.of_this_machine(), Path.cwd()),
        "passes": [],
        "result": result,
        "measures": measures,
    }
    return seal(redact_document(document, Privacy.of_this_machine()))
