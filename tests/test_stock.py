"""The stock engine: Cellpose's own result, timed without a gap, everything put back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny import write_tiny, write_weights

from tbscale.engine import stock
from tbscale.engine.weights import load_model, resolve_model
from tbscale.engine.workload.engines import Segmentation, prepare
from tbscale.engine.workload.job import Job
from tbscale.errors import ImageError, RunError
from tbscale.steps import StepClock

SETTINGS: dict[str, str | bool | int | float | None] = {"flow_threshold": 3.0}
STOCK_STEPS = [
    "read",
    "convert",
    "normalise",
    "tile",
    "network",
    "blend",
    "follow",
    "seeds",
    "flow_qc",
    "fill",
    "display",
]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("stock")
    image = write_tiny(folder / "tiny.ome.tif", 128)
    weights = write_weights(folder / "weights.pth")
    return Job("stock", str(image), 0, model=str(weights), settings=SETTINGS)


@pytest.fixture(scope="module")
def timed(job: Job) -> tuple[Segmentation, StepClock, float]:
    prepared = prepare(job)
    clock = StepClock()
    clock.restart()
    segmentation = prepared.run(clock)
    return segmentation, clock, clock.now_s()


def untimed_labels(job: Job, *, diameter: float | None = None) -> NDArray[np.uint16]:
    model = load_model(resolve_model(job.model))
    region = (slice(0, 128), slice(0, 128))
    pixels = stock.open_plane(job.image, 0).read(*region)
    settings = stock.fill_settings(job.settings)
    labels: NDArray[np.uint16] = stock.evaluate(model, pixels, diameter, settings)[0]
    return labels


def test_timing_does_not_change_the_labels(
    job: Job, timed: tuple[Segmentation, StepClock, float]
) -> None:
    labels = timed[0].labels
    assert isinstance(labels, np.ndarray)
    assert labels.max() > 10
    np.testing.assert_array_equal(labels, untimed_labels(job))


def test_every_step_is_charged_and_they_add_up(
    timed: tuple[Segmentation, StepClock, float],
) -> None:
    _, clock, wall_s = timed
    steps = clock.wall_s()
    assert list(steps) == STOCK_STEPS
    assert sum(steps.values()) == pytest.approx(wall_s, rel=0.03)
    assert sum(steps.values()) <= wall_s


def test_counts_are_those_of_the_run(timed: tuple[Segmentation, StepClock, float]) -> None:
    counts = timed[0].counts
    assert counts["pixels"] == 128 * 128
    assert counts["decoded_bytes"] == 2 * 128 * 128
    assert (counts["network_calls"], counts["tiles"]) == (1, 1)
    assert 0 < counts["followed_pixels"] < counts["pixels"]
    assert counts["follow_iterations"] == 200
    assert counts["file_bytes_read"] > 0


def test_everything_is_put_back_even_after_a_failure() -> None:
    clock = StepClock()
    before = {
        (owner, name): getattr(owner, name)
        for owner, name, _ in stock._boundaries(clock, stock.Counts())
    }
    with stock.timed_steps(clock, stock.Counts()):
        assert all(getattr(owner, name) is not was for (owner, name), was in before.items())
    with pytest.raises(KeyError), stock.timed_steps(clock, stock.Counts()):
        raise KeyError
    assert all(getattr(owner, name) is was for (owner, name), was in before.items())


def test_rescaled_and_cropped_runs_are_charged_too(job: Job) -> None:
    """Half the diameter: resizing before the network and after it has no step of its own."""
    prepared = prepare(Job(**{**vars(job), "diameter": 12.0, "crop": (0, 64, 32, 96)}))
    clock = StepClock()
    clock.restart()
    segmentation = prepared.run(clock)
    assert segmentation.labels.shape == (64, 64)
    assert clock.wall_s().keys() >= {"read", "tile", "network", "blend", "follow", "display"}


def test_two_channels_are_cells_and_nuclei(job: Job) -> None:
    prepared = prepare(Job(**{**vars(job), "channel2": "DNA_2", "crop": (0, 64, 0, 64)}))
    segmentation = prepared.run(StepClock())
    assert segmentation.labels.shape == (64, 64)
    assert segmentation.counts["decoded_bytes"] == 2 * 2 * 64 * 64


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"device": "tpu"}, RunError, "pass cpu"),
        ({"settings": {"speed": 11}}, RunError, "no setting speed; choose from augment"),
        ({"engine": "warp"}, RunError, "choose stock"),
        ({"crop": (0, 200, 0, 10)}, ImageError, "does not lie in the plane of 128 x 128"),
    ],
)
def test_mistakes_are_one_sentence(
    job: Job, change: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        prepare(Job(**{**vars(job), **change}))  # type: ignore[arg-type]
