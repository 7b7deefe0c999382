"""What the flows of an image are like, in a fresh process: how far pixels go, how soon they stop.

    python -m tbscale.engine.workload.flow_facts REQUEST.json RESULT.json

The request is {"image": PATH, "channel": 0, "crop": null, "model": null, "threads": 2,
"iterations": [25, 50, 100, 200], "quantiles": [0.5, 0.99, 1.0]}; the last number of iterations is
the one that the others are compared with.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.kernels.follow import follow
from tbscale.engine.network import ExactNetwork
from tbscale.engine.run import Settings, network_step
from tbscale.engine.scratch import FlowStore
from tbscale.engine.weights import resolve_model
from tbscale.engine.workload.image import job_region
from tbscale.engine.workload.job import Job
from tbscale.engine.workload.threads import fix_threads
from tbscale.images.open import open_plane
from tbscale.images.plane import Plane, crop_plane
from tbscale.steps import StepClock

Json = dict[str, Any]


def flow_facts(request: Json) -> Json:
    """Run the network out of core and follow its flows with ever more iterations."""
    fix_threads(request["threads"])
    plane = _plane(request)
    with tempfile.TemporaryDirectory(prefix="tbscale-") as folder:
        flows = FlowStore(Path(folder), plane.shape)
        network = ExactNetwork(resolve_model(request["model"]))
        network_step([plane], network, Settings(), flows, StepClock())
        stored = sum(one.stat().st_size for one in Path(folder).rglob("*") if one.is_file())
        whole = (slice(0, plane.shape[0]), slice(0, plane.shape[1]))
        flow, foreground = flows.read(whole)
    sinks = [
        follow(flow, foreground, (0, 0), plane.shape, whole, niter)[0]
        for niter in request["iterations"]
    ]
    return {
        "flow_bytes": flow.nbytes + foreground.nbytes,
        "flow_stored_bytes": stored,
        "followed_pixels": int(foreground.sum()),
        "settled": [_equal_share(one, sinks[-1], foreground) for one in sinks],
        "excursion_px": excursions_px(sinks[-1], foreground, request["quantiles"]),
    }


def _plane(request: Json) -> Plane:
    plane = open_plane(request["image"], request["channel"])
    crop = request["crop"]
    job = Job("tbscale", request["image"], crop=None if crop is None else tuple(crop))
    return crop_plane(plane, *job_region(job, plane))


def _equal_share(
    sinks: NDArray[np.int32], last: NDArray[np.int32], foreground: NDArray[np.bool_]
) -> float:
    """Share of the foreground pixels whose sink is already the last one."""
    pixels = int(foreground.sum())
    return float((sinks == last).all(axis=0)[foreground].sum() / pixels) if pixels else 1.0


def excursions_px(
    sinks: NDArray[np.int32], foreground: NDArray[np.bool_], quantiles: list[float]
) -> list[float]:
    """Quantiles of the distance from a pixel to its sink, along the longer axis.

    >>> sinks = np.array([[[0, 0, 0]], [[1, 1, 1]]], np.int32)
    >>> excursions_px(sinks, np.ones((1, 3), bool), [0.5, 1.0])
    [1.0, 1.0]
    """
    y, x = np.nonzero(foreground)
    if not len(y):
        return [0.0] * len(quantiles)
    far = np.maximum(abs(sinks[0, y, x] - y), abs(sinks[1, y, x] - x))
    return [float(one) for one in np.quantile(far, quantiles)]


def main(arguments: list[str]) -> None:
    """Read the request, write the result."""
    request_path, result_path = map(Path, arguments)
    found = flow_facts(json.loads(request_path.read_text(encoding="utf-8")))
    result_path.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
