"""What faster settings gain, and what they give up, in interleaved pairs.

A round runs every variant once, each in a fresh process after a warm-up; a ratio is of a variant
and the baseline of the same round. Labels are set beside those of the baseline and beside the
truth of the stand-in.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from tbscale.bench.agreement import Comparison, LabelsOnDisk, compare_labels
from tbscale.bench.experiments.lab import About, Json, Lab, all_threads, open_lab, seal_experiment
from tbscale.bench.schema import Record
from tbscale.engine.workload.job import Job, Scalar
from tbscale.images.open import open_plane

BASELINE = "default"


@dataclass(frozen=True)
class Variant:
    """One way to run: a name, an engine and what differs from the defaults."""

    name: str
    engine: str = "stock"
    settings: dict[str, Scalar] = field(default_factory=dict)


NATIVE = (
    Variant(BASELINE),
    Variant("niter-100", settings={"niter": 100}),
    Variant("niter-50", settings={"niter": 50}),
    Variant("no-flow-check", settings={"flow_threshold": 0.0}),
    Variant("no-interpolation", settings={"interp": False}),
    Variant("less-overlap", settings={"tile_overlap": 0.05}),
    Variant("batch-1", settings={"batch_size": 1}),
    Variant("batch-32", settings={"batch_size": 32}),
    Variant("all-faster", settings={"niter": 50, "flow_threshold": 0.0, "tile_overlap": 0.05}),
)
RESCALED = (Variant(BASELINE), Variant("resample-off", settings={"resample": False}))


@dataclass(frozen=True)
class Group:
    """Variants on one image: part of a stand-in, with the diameter that the engine is given."""

    name: str
    dataset: str
    diameter_px: float | None
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class SettingsRequest:
    """What to measure.

    Attributes
    ----------
    size_px : side of the crop at native scale, of exemplar-001's stand-in
    rescaled_px : side of the crop of LUNG-1-LN_40X's stand-in, whose cells are larger than the
        network's own; only there does resampling do anything
    rescaled_diameter_px : of its cells
    rounds : pairs of each variant with the baseline
    variants : names to run; none is all
    modes : network modes of the out-of-core engine
    """

    size_px: int = 512
    rescaled_px: int = 768
    rescaled_diameter_px: float = 25.0
    rounds: int = 3
    variants: tuple[str, ...] = ()
    modes: tuple[str, ...] = ("exact", "fast", "half")

    @property
    def command(self) -> str:
        """How to make the record again."""
        words = [
            f"python benchmarks/settings.py --size-px {self.size_px}",
            f"--rescaled-px {self.rescaled_px} --rounds {self.rounds}",
            f"--modes {','.join(self.modes)}" if self.modes else "--modes none",
        ]
        return " ".join(words + ([f"--variants {','.join(self.variants)}"] * bool(self.variants)))

    def groups(self) -> list[Group]:
        """What runs on which image."""
        modes = [Variant(f"network-{one}", "tbscale", {"network": one}) for one in self.modes]
        native = self._chosen((*NATIVE, *modes))
        rescaled = self._chosen(RESCALED)
        found = [
            Group("native", "exemplar-001", None, native),
            Group("rescaled", "LUNG-1-LN_40X", self.rescaled_diameter_px, rescaled),
        ]
        return [group for group in found if len(group.variants) > 1]

    def _chosen(self, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        wanted = (BASELINE, *self.variants)
        return tuple(one for one in variants if not self.variants or one.name in wanted)


def measure_settings(request: SettingsRequest) -> Record:
    """Run all rounds of all groups and seal the record.

    Raises
    ------
    RunError : a run ended early, or an engine does not know a setting
    """
    with open_lab() as lab:
        reports = []
        for group in request.groups():
            size_px = request.size_px if group.name == "native" else request.rescaled_px
            image = lab.middle_of(group.dataset, (size_px, size_px), group.name)
            reports.append(_run_group(lab, group, image, request.rounds))
        about = About(
            "settings", "exemplar-001", "stand-in", reports[0], "stock",
            {"size_px": request.size_px, "rescaled_px": request.rescaled_px,
             "rescaled_diameter_px": request.rescaled_diameter_px,
             "rounds": request.rounds, "warm_ups": 1, "threads": all_threads()},
            request.command,
        )  # fmt: skip
        return seal_experiment(about, lab)


def _run_group(lab: Lab, group: Group, image: Path, rounds: int) -> Json:
    """Every variant in every round; the baseline's report."""
    job = Job(
        "stock", str(image), 0, diameter=group.diameter_px,
        threads=all_threads(), warm_ups=1, repeats=1,
    )  # fmt: skip
    report: Json = {}
    for number in range(rounds):
        for variant in group.variants:
            labels = lab.folder / f"{group.name}-{variant.name}.tif"
            one = replace(
                job, engine=variant.engine, settings=variant.settings, labels_out=str(labels)
            )
            seen = lab.run(f"{group.name}/{variant.name}", one)
            report = seen if variant.name == BASELINE else report
            if number == 0:
                _compare(lab, group, variant, image, labels)
    return report


def _compare(lab: Lab, group: Group, variant: Variant, image: Path, labels: Path) -> None:
    """Note how labels stand to the baseline's and to the truth."""
    baseline = lab.folder / f"{group.name}-{BASELINE}.tif"
    truth = image.with_name(image.name.replace(".ome.tif", "-labels.ome.tif"))
    for reference, path in ((BASELINE, baseline), ("truth", truth)):
        compared = compare_labels(_open(labels), _open(path))
        _note(lab, f"{group.name}/{variant.name}", reference, compared)


def _open(path: Path) -> LabelsOnDisk:
    return LabelsOnDisk(open_plane(path))


def _note(lab: Lab, subject: str, reference: str, compared: Comparison) -> None:
    for threshold, value in compared.ap.items():
        lab.note(f"ap-{threshold}-{reference}", subject, value, "1")
    lab.note(f"cells-{reference}", subject, compared.reference_cells, "count")
    lab.note(f"differing-{reference}", subject, compared.differing_share, "share")
    lab.note(f"equal-{reference}", subject, float(compared.grade in ("bit", "partition")), "1")
