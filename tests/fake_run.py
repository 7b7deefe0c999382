"""Small runs with a network that computes nothing worth a mention, for tests of everything else."""

import itertools
import runpy
from dataclasses import replace
from pathlib import Path

from tbscale.engine.cells import Rules
from tbscale.engine.request import Request
from tbscale.engine.run import Settings

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "memory_bound.py"
BENCH = runpy.run_path(str(SCRIPT))
SHAPE = (420, 520)
SETTINGS = Settings(rules=Rules(flow_threshold=3.0))


def climber(weights, device):
    """The fake network."""
    return BENCH["Climber"]()


def broken(weights, device):
    """A network that fails at its second batch, when rows of flow are stored."""
    works, batches = climber(weights, device), itertools.count()

    def network(tiles):
        if next(batches):
            raise RuntimeError("the network is broken")
        return works(tiles)

    return network


def request(folder, name="labels.ome.tif", **changes):
    made = Request(folder / "image.tif", folder / name, 0, model="embedded", settings=SETTINGS)
    return replace(made, core_px=200, **changes)
