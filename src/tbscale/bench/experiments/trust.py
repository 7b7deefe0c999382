"""How far a stand-in may be trusted: real images beside stand-ins of the same size.

What is compared is what cost depends on: the share of each step, cells and foreground, how far
pixels travel, how soon they settle, how well pixels, flows and labels compress. The real images
stay where they are: the record holds numbers only.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tbscale.bench.experiments.lab import About, Json, Lab, all_threads, open_lab, seal_experiment
from tbscale.bench.schema import Record
from tbscale.engine.workload.job import Job
from tbscale.errors import RunError
from tbscale.images.datasets import DATASETS
from tbscale.images.open import open_plane

FACTS = "tbscale.engine.workload.flow_facts"
ITERATIONS = (25, 50, 100, 150, 200)
QUANTILES = (0.5, 0.99, 1.0)
CHUNK_PX = 1024
LABEL_BYTES = 4
DEFLATE_LEVEL = 6


@dataclass(frozen=True)
class RealImage:
    """A real image, its name in the record, and the datasets whose stand-ins are set beside it."""

    name: str
    path: Path
    stand_ins: tuple[str, ...]


@dataclass(frozen=True)
class TrustRequest:
    """What to compare; `repeats` come after one warm-up, `seed` draws the stand-ins."""

    images: tuple[RealImage, ...] = field(default_factory=tuple)
    repeats: int = 1
    seed: int = 0

    @property
    def command(self) -> str:
        """How to make the record again."""
        images = [
            f"--image {one.name}={one.path.name}:{'+'.join(one.stand_ins)}" for one in self.images
        ]
        tail = f"--repeats {self.repeats} --seed {self.seed}"
        return " ".join(["python benchmarks/trust.py", *images, tail])


def parse_image(text: str) -> RealImage:
    """Read NAME=PATH:DATASET+DATASET.

    Raises
    ------
    RunError : anything else, or a dataset that is not known

    >>> parse_image("tonsil=t.ome.tif:exemplar-001").stand_ins
    ('exemplar-001',)
    """
    name, _, rest = text.partition("=")
    path, _, others = rest.rpartition(":")
    stand_ins = tuple(others.split("+"))
    if not (name and path) or any(one not in DATASETS for one in stand_ins):
        raise RunError(
            f"{text!r} names no image and its stand-ins; pass NAME=PATH:DATASET+DATASET with "
            f"datasets out of {', '.join(DATASETS)}"
        )
    return RealImage(name, Path(path), stand_ins)


def measure_trust(request: TrustRequest) -> Record:
    """Look at every real image and its stand-ins, and seal the record.

    Raises
    ------
    RunError : no image, or a run ended early
    """
    if not request.images:
        raise RunError("there is no real image to compare with; pass at least one")
    with open_lab() as lab:
        reports = []
        for one in request.images:
            reports.append(_look(lab, f"{one.name}/real", one.path, request.repeats))
            shape = open_plane(one.path, 0).shape
            for name in one.stand_ins:
                stem = f"{name}-{shape[0]}x{shape[1]}"
                image = lab.middle_of(name, shape, stem, seed=request.seed)
                _look(lab, f"{one.name}/{name}", image, request.repeats)
        about = About(
            "trust", request.images[0].name, "real", reports[0], "stock",
            {"images": tuple(one.name for one in request.images), "repeats": request.repeats,
             "warm_ups": 1, "seed": request.seed, "threads": all_threads()},
            request.command,
        )  # fmt: skip
        return seal_experiment(about, lab)


def _look(lab: Lab, subject: str, image: Path, repeats: int) -> Json:
    """Everything that is compared of one image."""
    labels = lab.folder / "labels.tif"
    job = Job(
        "stock", str(image), 0, threads=all_threads(), warm_ups=1, repeats=repeats,
        labels_out=str(labels),
    )  # fmt: skip
    report = lab.run(subject, job)
    _note_pixels(lab, subject, image)
    label_bytes = LABEL_BYTES * pixels_of(report)
    lab.note("label-compression", subject, label_bytes / labels.stat().st_size, "1")
    _note_flows(lab, subject, image)
    return report


def pixels_of(report: Json) -> int:
    """Pixels of the region that a report is of."""
    return int(report["repeats"][-1]["counts"]["pixels"])


def _note_pixels(lab: Lab, subject: str, image: Path) -> None:
    """How well the pixels compress: deflate after horizontal differences, in square chunks."""
    plane = open_plane(image, 0)
    pixels = plane.read(*(slice(0, side) for side in plane.shape))
    packed = 0
    for y in range(0, pixels.shape[0], CHUNK_PX):
        for x in range(0, pixels.shape[1], CHUNK_PX):
            chunk = pixels[y : y + CHUNK_PX, x : x + CHUNK_PX]
            differences = np.diff(chunk, axis=1, prepend=chunk[:, :1] * 0)
            packed += len(zlib.compress(differences.tobytes(), DEFLATE_LEVEL))
    lab.note("pixel-compression", subject, pixels.nbytes / packed, "1")
    low, middle, high = np.percentile(pixels, (1, 50, 99))
    lab.note("contrast", subject, float((high - low) / max(middle, 1)), "1")


def _note_flows(lab: Lab, subject: str, image: Path) -> None:
    facts = lab.ask(
        FACTS,
        {
            "image": str(image),
            "channel": 0,
            "crop": None,
            "model": None,
            "threads": all_threads(),
            "iterations": ITERATIONS,
            "quantiles": QUANTILES,
        },
    )
    lab.note("flow-compression", subject, facts["flow_bytes"] / facts["flow_stored_bytes"], "1")
    for iterations, share in zip(ITERATIONS, facts["settled"], strict=True):
        lab.note(f"settled-{iterations}", subject, share, "share")
    for quantile, far in zip(QUANTILES, facts["excursion_px"], strict=True):
        lab.note(f"excursion-{quantile:g}", subject, far, "px")
