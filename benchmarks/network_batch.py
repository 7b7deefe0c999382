"""Time one batch of the networks of Cellpose 3 and 4, alone; write the record network-batch.

    python benchmarks/network_batch.py --device cuda --python4 .venv-cp4/bin/python

Each runs in a process of its own: they are one package in two versions. `--path4` holds the folders
of Cellpose 4 where it has no environment but lies beside another, as PYTHONPATH does.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from experiment import at_least_one, new_parser
from measures import Measure, measure, write_record

from tbscale.bench.machine import read_load
from tbscale.engine.device import check_device
from tbscale.engine.weights import EMBEDDED, resolve_model
from tbscale.errors import RunError, TbscaleError

logger = logging.getLogger("network_batch")
SCRIPT = Path(__file__).with_name("network_batch_steps.py")
LIMIT_S = 600


def run_version(python: Path, path: str | None, words: list[str]) -> dict[str, Any]:
    """Run the steps with an interpreter, its own folders in PYTHONPATH.

    Raises
    ------
    RunError : there is no such interpreter, or the process failed
    """
    if not python.is_file():
        raise RunError(f"there is no {python}; make it with tools/make_env_cp4.sh")
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    if path is not None:
        environment["PYTHONPATH"] = path
    done = subprocess.run(
        [str(python), str(SCRIPT), *words],
        env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
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


def random_tiles(tiles: int) -> dict[str, Any]:
    """What both are given, as the dataset of a record: noise of a seed, drawn by the steps."""
    drawn = hashlib.sha256(f"numpy default_rng(0), {tiles} tiles".encode()).hexdigest()
    return {
        "name": "random-tiles", "origin": "stand-in", "shape": [tiles, 1], "level": 0,
        "channel": 0, "channel_name": None, "channels": 1, "crop": None, "dtype": "float32",
        "pixel_size_um": None, "sha256": drawn,
    }  # fmt: skip


def main() -> None:
    """Measure both versions, or Cellpose 3 alone, and save the record."""
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
    check_device(given.device)
    before = read_load()
    weights = resolve_model(EMBEDDED)
    words = [given.device, str(given.tiles), str(given.warm_ups), str(given.repeats)]
    found = [run_version(Path(sys.executable), None, [*words, str(weights.path)])]
    if given.python4 is not None:
        found.append(run_version(given.python4, given.path4, words))
    parameters = {"device": given.device, "tiles": given.tiles, "repeats": given.repeats}
    for one in found:
        major = one["cellpose"].split(".")[0]
        parameters[f"cellpose_{major}"] = one["cellpose"]
        parameters[f"torch_of_cellpose_{major}"] = one["torch"]
        parameters[f"tile_px_of_cellpose_{major}"] = one["tile_px"]
    measures = [one for version in found for one in measures_of(version, given.tiles)]
    named = {"name": weights.name, "sha256": weights.sha256}
    path = write_record(
        "network-batch", random_tiles(given.tiles), named, parameters, measures, None, before,
        given.out, engine="stock",
    )  # fmt: skip
    logger.info("wrote %s", path)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        main()
    except TbscaleError as error:
        sys.stderr.write(f"tbscale: {error}\n")
        raise SystemExit(2) from None
