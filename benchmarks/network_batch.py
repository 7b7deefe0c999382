"""Time one batch of the networks of Cellpose 3 and 4, alone; write the record network-batch.

    python benchmarks/network_batch.py --device cuda --python4 .venv-cp4/bin/python

Each runs in a process of its own: they are one package in two versions. `--path4` holds the folders
of Cellpose 4 where it has no environment but lies beside another, as PYTHONPATH does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cellpose4 import check_interpreter
from experiment import at_least_one, new_parser, run
from measures import Measure, make_record, measure

from tbscale.bench.machine import read_load
from tbscale.bench.schema import Record
from tbscale.engine.device import check_device
from tbscale.engine.weights import EMBEDDED, resolve_model
from tbscale.errors import RunError

SCRIPT = Path(__file__).with_name("network_batch_steps.py")
LIMIT_S = 600


def run_version(python: Path, path: str | None, words: list[str]) -> dict[str, Any]:
    """Run the steps with an interpreter, its own folders in PYTHONPATH.

    Raises
    ------
    RunError : the process failed, or did not end
    """
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    if path is not None:
        environment["PYTHONPATH"] = path
    try:
        done = subprocess.run(
            [str(python), str(SCRIPT), *words],
            env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise RunError(
            f"{python} did not end in {LIMIT_S} s; ask for fewer --tiles or --repeats"
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunError(f"{python} could not run {SCRIPT.name} ({last}); look at its packages")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measures_of(found: dict[str, Any], tiles: int) -> list[Measure]:
    """The numbers of one version; its subjects say which weights it had."""
    measures = []
    for form, one in found["forms"].items():
        subject = f"cellpose {found['cellpose']}, {form}, {found['weights']} weights"
        for name, key in (("tile", "batch_s"), ("tile-with-copies", "with_copies_s")):
            measures += [measure(name, subject, s / tiles, "s", "local") for s in one[key]]
        if "gpu_peak_bytes" in one:
            measures.append(measure("gpu-peak", subject, one["gpu_peak_bytes"], "bytes"))
        for key in ("largest_error", "error_to_float32"):
            if key in one:
                measures.append(measure(key.replace("_", "-"), subject, one[key]))
    return measures


def random_tiles(found: dict[str, Any]) -> dict[str, Any]:
    """The tiles of a version as the dataset of a record: noise of a seed, tile below tile."""
    count, channels, height, width = found["tiles_shape"]
    return {
        "name": "random-tiles", "origin": "stand-in", "shape": [count * height, width], "level": 0,
        "channel": 0, "channel_name": None, "channels": channels, "crop": None,
        "dtype": "float32", "pixel_size_um": None, "sha256": found["tiles_sha256"],
    }  # fmt: skip


def measure_batches(given: argparse.Namespace) -> Record:
    """Measure both versions, or Cellpose 3 alone; the record's dataset is the tiles of the first.

    Raises
    ------
    RunError : a device or an interpreter that is not here, or a process that failed
    """
    check_device(given.device)
    if given.python4 is not None:
        check_interpreter(given.python4)
    before = read_load()
    weights = resolve_model(EMBEDDED)
    words = [given.device, str(given.tiles), str(given.warm_ups), str(given.repeats)]
    found = [run_version(Path(sys.executable), None, [*words, str(weights.path)])]
    if given.python4 is not None:
        found.append(run_version(given.python4, given.path4, words))
    parameters = {
        "device": given.device,
        "tiles": given.tiles,
        "warm_ups": given.warm_ups,
        "repeats": given.repeats,
    }
    for one in found:
        major = one["cellpose"].split(".")[0]
        parameters[f"cellpose_{major}"] = one["cellpose"]
        parameters[f"torch_of_cellpose_{major}"] = one["torch"]
        parameters[f"tile_px_of_cellpose_{major}"] = one["tile_px"]
    measures = [one for version in found for one in measures_of(version, given.tiles)]
    named = {"name": weights.name, "sha256": weights.sha256}
    return make_record(
        "network-batch", random_tiles(found[0]), named, parameters, measures, None, before, "stock"
    )


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tiles", type=at_least_one, default=8)
    parser.add_argument("--warm-ups", type=int, default=5)
    parser.add_argument("--repeats", type=at_least_one, default=20)
    parser.add_argument(
        "--python4", type=Path, help="interpreter of Cellpose 4; none leaves it out"
    )
    parser.add_argument("--path4", help="PYTHONPATH for it")
    given = parser.parse_args()
    run(lambda: measure_batches(given), given.out)
