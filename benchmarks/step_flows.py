"""Flows to measure the steps after the network on: made once, kept in a scratch folder.

`network` flows are those of Cellpose 3 with the weights named, on a region of an image. `labels`
flows are what `cellpose.dynamics.labels_to_flows` makes of a stand-in's true labels, with noise,
for when nobody wants to wait for a network.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbscale.bench.command import parse_crop
from tbscale.bench.subject import Subject, find_subject
from tbscale.engine.weights import EMBEDDED, load_model, resolve_model
from tbscale.engine.workload.image import image_facts, job_region
from tbscale.engine.workload.job import Job
from tbscale.errors import DatasetError
from tbscale.images.open import open_plane

logger = logging.getLogger("benchmarks")
NOISE = 0.5  # standard deviation added to flow (of length 5) and to the logit
SEED = 11


@dataclass(frozen=True)
class Flows:
    """A region's flows and where they come from.

    Attributes
    ----------
    image : (Y, X), the pixels
    flow : float32 (2, Y, X), the network's, 5 times a unit vector
    cellprob : float32 (Y, X), logit
    dataset, weights : as a record holds them; weights is None for flows of labels
    file : the .npz that holds `flow` and `cellprob`
    """

    image: NDArray[Any]
    flow: NDArray[np.float32]
    cellprob: NDArray[np.float32]
    dataset: dict[str, Any]
    weights: dict[str, str] | None
    file: Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the flows."""
    parser.add_argument("target", help="a dataset whose image or stand-in is in data/")
    parser.add_argument("--image", type=Path, help="the image to measure under that name")
    parser.add_argument("--channel", help="index from 0, or name")
    parser.add_argument("--crop", help="Y0:Y1,X0:X1; default: the whole plane")
    parser.add_argument("--flows", choices=["network", "labels"], default="network")
    parser.add_argument("--model", default=EMBEDDED)
    parser.add_argument("--scratch", type=Path, default=Path("work/flows"))
    parser.add_argument("--out", type=Path, default=Path("results"))


def load_flows(options: argparse.Namespace) -> Flows:
    """The flows that the options name, from the scratch folder or made now."""
    subject = find_subject(options.target, options.image)
    crop = parse_crop(options.crop) if options.crop else None
    job = Job("stock", str(subject.image), options.channel, crop=crop, model=options.model)
    dataset = {"name": subject.name, "origin": subject.origin, **image_facts(job)}
    plane = open_plane(job.image, job.channel)
    region = job_region(job, plane)
    image = plane.read(*region)
    weights = None
    if options.flows == "network":
        resolved = resolve_model(options.model)
        weights = {"name": resolved.name, "sha256": resolved.sha256}
    key = hashlib.sha256(json.dumps([dataset, weights], sort_keys=True).encode()).hexdigest()
    file = options.scratch / f"{subject.name}-{options.flows}-{key[:12]}.npz"
    if not file.is_file():
        made = run_network(image, options.model) if weights else imitate_flows(subject, region)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, flow=made[0], cellprob=made[1])
    logger.info("flows: %s", file)
    with np.load(file) as stored:
        return Flows(image, stored["flow"], stored["cellprob"], dataset, weights, file)


def run_network(image: NDArray[Any], model: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Flow and logit of Cellpose 3's own evaluation of an image."""
    found = load_model(resolve_model(model))
    _, (_, flow, cellprob), _ = found.eval(image, channels=[0, 0], compute_masks=False)
    return np.asarray(flow, np.float32), np.asarray(cellprob, np.float32)


def imitate_flows(
    subject: Subject, region: tuple[slice, slice]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Flow and logit of the true labels of a stand-in, with noise.

    Raises
    ------
    DatasetError : the true labels are not there
    """
    import torch
    from cellpose import dynamics

    if subject.true_labels is None:
        raise DatasetError(
            f"{subject.image} has no true labels beside it; make it with `tbscale data stand-in`"
        )
    labels = open_plane(str(subject.true_labels)).read(*region).astype(np.int32)
    made = dynamics.labels_to_flows([labels], device=torch.device("cpu"))[0]
    rng = np.random.default_rng(SEED)
    noise = rng.normal(0, NOISE, (3, *labels.shape)).astype(np.float32)
    return 5 * made[2:4] + noise[:2], np.where(made[1] > 0, 3, -3).astype(np.float32) + noise[2]
