"""What a segmentation costs as cells get denser or larger and background gets wider.

Every image is a stand-in of the same size with one property changed and everything else as in
the stand-in of exemplar-001. What was drawn is measured from the true labels, not taken from the
request. Images of larger or smaller cells are segmented with their diameter given, as a user
would, so that the network sees them rescaled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tifffile

from tbscale.bench.experiments.lab import About, Json, Lab, all_threads, open_lab, seal_experiment
from tbscale.bench.schema import Record
from tbscale.engine.workload.job import Job
from tbscale.images.datasets import DATASETS
from tbscale.images.standin.spec import TissueSpec
from tbscale.images.standin.tissue import render_channel, render_labels

BASE = "exemplar-001"
MEGA = 1_000_000
DENSITIES = (0.0, 500.0, 1500.0, 3000.0, 6000.0)  # nuclei a megapixel; the last is packed
DIAMETERS_PX = (8.0, 12.0, 17.0, 24.0, 40.0)
EMPTY_SHARES = (0.0, 0.3, 0.6, 0.9)
MEAN_PX = 13.5  # of the base: 10 to 17
NONE_PER_MEGAPIXEL = 1e-3  # the layout divides by the density
SPAN = (0.8, 1.2)  # of a diameter, smallest and largest


@dataclass(frozen=True)
class PropertiesRequest:
    """What to measure.

    Attributes
    ----------
    size_px : side of every image
    densities : nuclei a megapixel
    diameters_px : mean diameter of the nuclei, at the coverage of the base
    empty_shares : bare glass, share of the frame
    engines : each runs every image; `tbscale` runs those that are not rescaled
    repeats : after one warm-up
    """

    size_px: int = 512
    densities: tuple[float, ...] = DENSITIES
    diameters_px: tuple[float, ...] = DIAMETERS_PX
    empty_shares: tuple[float, ...] = EMPTY_SHARES
    engines: tuple[str, ...] = ("stock",)
    repeats: int = 3

    @property
    def command(self) -> str:
        """How to make the record again."""
        return (
            f"python benchmarks/properties.py --size-px {self.size_px} "
            f"--engines {','.join(self.engines)} --repeats {self.repeats} "
            f"--densities {_words(self.densities)} --diameters {_words(self.diameters_px)} "
            f"--empty {_words(self.empty_shares)}"
        )


def _words(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)


@dataclass(frozen=True)
class Case:
    """One image: its subject in the record, its tissue, and the diameter given to the engine."""

    subject: str
    tissue: TissueSpec
    diameter_px: float | None


def even_tissue(size_px: int) -> TissueSpec:
    """The base: exemplar-001's tissue with no glass and no patches."""
    shape = (size_px, size_px)
    return replace(DATASETS[BASE].tissue, shape=shape, empty_share=0.0, density_variation=0.0)


def cases_of(request: PropertiesRequest) -> Iterator[Case]:
    """Every image, by property."""
    base = even_tissue(request.size_px)
    for density in request.densities:
        tissue = replace(base, nuclei_per_megapixel=max(density, NONE_PER_MEGAPIXEL))
        yield Case(f"density/{density:g}", tissue, None)
    for mean in request.diameters_px:
        across = (SPAN[0] * mean, SPAN[1] * mean)
        per_megapixel = base.nuclei_per_megapixel * (MEAN_PX / mean) ** 2
        tissue = replace(base, diameter_px=across, nuclei_per_megapixel=per_megapixel)
        yield Case(f"diameter/{mean:g}", tissue, mean)
    for share in request.empty_shares:
        tissue = replace(base, empty_share=share, patch_px=request.size_px / 4)
        yield Case(f"background/{share:g}", tissue, None)


def measure_properties(request: PropertiesRequest) -> Record:
    """Draw and run every image, and seal the record.

    Raises
    ------
    RunError : a run ended early, or an engine is unknown
    """
    with open_lab() as lab:
        report: Json = {}
        for case in cases_of(request):
            image = draw_case(lab, case)
            for engine in request.engines:
                if engine == "tbscale" and case.diameter_px is not None:
                    continue
                report = _run(lab, case, image, engine, request.repeats)
        about = About(
            "properties", BASE, "stand-in", report, request.engines[0],
            {"size_px": request.size_px, "repeats": request.repeats, "warm_ups": 1,
             "threads": all_threads()},
            request.command,
        )  # fmt: skip
        return seal_experiment(about, lab)


def draw_case(lab: Lab, case: Case) -> Path:
    """Write the image of a case, and note what its true labels say."""
    y, x = (slice(0, side) for side in case.tissue.shape)
    path = lab.folder / "case.tif"
    tifffile.imwrite(path, render_channel(case.tissue, y, x), tile=(256, 256))
    labels = render_labels(case.tissue, y, x)
    area = labels.size
    lab.note("true-cells", case.subject, len(np.unique(labels[labels > 0])), "count")
    lab.note("true-foreground", case.subject, np.count_nonzero(labels) / area, "share")
    return path


def _run(lab: Lab, case: Case, image: Path, engine: str, repeats: int) -> Json:
    job = Job(
        engine,
        str(image),
        diameter=case.diameter_px,
        threads=all_threads(),
        warm_ups=1,
        repeats=repeats,
    )
    return lab.run(f"{engine}/{case.subject}", job)
