"""Measure what the guidelines rest on: one record an image, some minutes each.

    python benchmarks/guidelines.py --all --out results
    python benchmarks/guidelines.py --all --tonsil TEST1.ome.tif --out results

`--all` takes a window of the stand-in of each dataset, drawn on the spot. `--tonsil` adds a real
image, the whole of its first channel. Other images: `--image exemplar-001`.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

CORES = str(os.cpu_count() or 1)
os.environ.setdefault("OMP_NUM_THREADS", CORES)

from experiment import said_in_words  # noqa: E402
from guideline_parts.blocks import measure_blocks  # noqa: E402
from guideline_parts.crops import measure_crops  # noqa: E402
from guideline_parts.dynamics import measure_dynamics  # noqa: E402
from guideline_parts.memory import measure_memory  # noqa: E402
from guideline_parts.network import measure_network  # noqa: E402
from guideline_parts.notes import Notes  # noqa: E402
from guideline_parts.objects import measure_objects  # noqa: E402
from guideline_parts.reading import measure_reading  # noqa: E402
from guideline_parts.sample import SEED, Sample, real_sample, stand_in_sample  # noqa: E402
from guideline_parts.threads import measure_threads  # noqa: E402

from tbscale.bench.machine import read_load, read_machine  # noqa: E402
from tbscale.bench.records import save_record, seal  # noqa: E402
from tbscale.bench.redact import Privacy, redact_document  # noqa: E402
from tbscale.bench.schema import SCHEMA_VERSION, Load, Record  # noqa: E402
from tbscale.bench.software import read_code, read_software  # noqa: E402
from tbscale.engine.weights import EMBEDDED, resolve_model  # noqa: E402
from tbscale.images.datasets import DATASETS  # noqa: E402

logger = logging.getLogger("guidelines")
TONSIL = "cycif-tonsil"
PARTS: dict[str, Callable[[Sample, Notes], None]] = {
    "memory": measure_memory,
    "dynamics": measure_dynamics,
    "objects": measure_objects,
    "blocks": measure_blocks,
    "crops": measure_crops,
    "network": measure_network,
    "threads": measure_threads,
}


def measure_sample(sample: Sample) -> Notes:
    """Every experiment on one image."""
    notes = Notes()
    with tempfile.TemporaryDirectory() as folder:
        logger.info("%s: reading", sample.name)
        measure_reading(sample, notes, Path(folder))
    for name, part in PARTS.items():
        logger.info("%s: %s", sample.name, name)
        part(sample, notes)
    return notes


def make_record(sample: Sample, notes: Notes, before: Load) -> Record:
    """Seal the measures of one image."""
    weights = resolve_model(EMBEDDED)
    option = f"--tonsil {TONSIL}.ome.tif" if sample.origin == "real" else f"--image {sample.name}"
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "experiment": "guidelines",
        "dataset": {
            "name": sample.name,
            "origin": sample.origin,
            "shape": list(sample.plane_shape),
            "level": 0,
            "channel": 0,
            "channel_name": None,
            "channels": sample.channels,
            "crop": list(sample.crop) if sample.crop else None,
            "dtype": "uint16",
            "pixel_size_um": sample.pixel_size_um,
            "sha256": sample.sha256,
        },
        "engine": {"name": "tbscale", "versions": {"cellpose": version("cellpose")}},
        "parameters": {"seed": SEED if sample.origin == "stand-in" else None, "threads": CORES},
        "weights": {"name": weights.name, "sha256": weights.sha256},
        "machine": read_machine(Path.cwd(), before, read_load()).model_dump(mode="json"),
        "software": read_software(),
        "code": read_code().model_dump(mode="json"),
        "command": f"python benchmarks/guidelines.py {option} --out results",
        "passes": [],
        "result": None,
        "measures": notes.measures,
    }
    return seal(redact_document(document, Privacy.of_this_machine()))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="the stand-in of every dataset")
    parser.add_argument("--image", action="append", default=[], choices=list(DATASETS))
    parser.add_argument("--tonsil", type=Path, help="a real image, to be recorded as cycif-tonsil")
    parser.add_argument("--out", type=Path, default=Path("results"))
    options = parser.parse_args(arguments)
    if not (options.all or options.image or options.tonsil):
        parser.error("no image was chosen; pass --all, --image or --tonsil")
    return options


def main(arguments: list[str]) -> None:
    """Measure every chosen image and save a record of each."""
    options = parse(arguments)
    # a wrong path is refused before any work
    real = [real_sample(TONSIL, options.tonsil)] if options.tonsil else []
    for name in list(DATASETS) if options.all else options.image:
        measure_and_save(stand_in_sample(name), options.out)
    for sample in real:
        measure_and_save(sample, options.out)


def measure_and_save(sample: Sample, out: Path) -> None:
    """One image, one record."""
    before = read_load()
    record = make_record(sample, measure_sample(sample), before)
    logger.info("wrote %s", save_record(record, out))


if __name__ == "__main__":
    logging.getLogger("cellpose").setLevel(logging.WARNING)
    with said_in_words():
        main(sys.argv[1:])
