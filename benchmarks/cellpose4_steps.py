"""Cellpose 4's steps on given flows, on the CPU, one at a time as asked for on standard input.

Run by steps.py and traps.py in an environment of its own; it imports nothing of tbscale. Each line
of input names a step; each answer is one line of JSON. `save FILE` writes the labels of the last
`together`.

    .venv-cp4/bin/python benchmarks/cellpose4_steps.py FLOWS.npz THREADS
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cellpose import dynamics, utils

NITER, FLOW_THRESHOLD, MIN_SIZE = 200, 0.4, 15
CPU = torch.device("cpu")


def make_steps(flow: Any, cellprob: Any) -> dict[str, Callable[[dict[str, Any]], Any]]:
    """The steps; each takes what the steps before it left."""
    foreground = np.nonzero(cellprob > 0)
    return {
        "follow": lambda _: dynamics.follow_flows(
            flow * (cellprob > 0) / 5.0, inds=foreground, niter=NITER, device=CPU
        ),
        "seeds": lambda done: dynamics.get_masks_torch(
            done["follow"].int(), foreground, cellprob.shape
        ),
        "flow_qc": lambda done: dynamics.remove_bad_flow_masks(
            done["seeds"].copy(), flow, FLOW_THRESHOLD, CPU
        ),
        "fill": lambda done: utils.fill_holes_and_remove_small_masks(
            done["flow_qc"].copy(), MIN_SIZE
        ),
        "together": lambda _: dynamics.compute_masks(flow, cellprob, min_size=MIN_SIZE, device=CPU),
    }


def answer(value: dict[str, Any]) -> None:
    """Write one line of JSON."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main(flows: str, threads: str) -> None:
    """Serve until the input ends."""
    torch.set_num_threads(int(threads))
    with np.load(flows) as stored:
        steps = make_steps(stored["flow"], stored["cellprob"])
    done: dict[str, Any] = {}
    answer({name: version(name) for name in ("cellpose", "torch", "numpy")})
    for line in sys.stdin:
        name, _, rest = line.strip().partition(" ")
        if name == "save":
            np.save(Path(rest), np.asarray(done["together"]).astype(np.uint32))
            answer({"saved": rest})
            continue
        started = time.perf_counter()
        done[name] = steps[name](done)
        wall_s = time.perf_counter() - started
        is_labels = isinstance(done[name], np.ndarray)
        answer({"wall_s": wall_s, "cells": int(done[name].max()) if is_labels else None})


if __name__ == "__main__":
    main(*sys.argv[1:])
