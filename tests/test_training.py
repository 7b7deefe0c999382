"""Training: seeded, resumable, warm where asked, and gentle with what a person has drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.io import imsave

import tbscale.engine.training.__main__ as command
from tbscale.engine.training.__main__ import command_of, load_pools, parse
from tbscale.engine.training.augment import (
    CROP_PX,
    FLOW_SCALE,
    PAD_PX,
    Pool,
    cut_as_stored,
    draw_batch,
)
from tbscale.engine.training.batches import Batches, load_batches
from tbscale.engine.training.data import (
    Sample,
    draw_synthetic,
    prepare,
    prepare_all,
    prepare_synthetic,
    role_of,
)
from tbscale.engine.training.loop import Settings, Trainer, learning_rate, loss_of
from tbscale.engine.weights import read_state, resolve_model
from tbscale.errors import DatasetError, RunError

TINY = Settings(crops=4, batch=1, bfloat16=False, threads=1)


@pytest.fixture(scope="module")
def sample() -> Sample:
    made = prepare(draw_synthetic(3, 240))
    assert made is not None
    return made


def state_of(trainer: Trainer) -> list[torch.Tensor]:
    return [*trainer.network.state_dict().values(), *trainer.average.state_dict().values()]


def test_a_run_that_was_cut_short_ends_as_one_that_was_not(sample: Sample, tmp_path: Path) -> None:
    batches = Batches([Pool([sample], 1.0, 0.5)], TINY.batch, TINY.seed)
    whole = Trainer(TINY)
    losses = [whole.step(batches[k]) for k in range(2)]
    cut = Trainer(TINY)
    assert cut.step(batches[0]) == losses[0]
    cut.save(tmp_path / "checkpoint.pt")
    resumed = Trainer(TINY)
    resumed.load(tmp_path / "checkpoint.pt")
    assert resumed.step(batches[1]) == losses[1]
    for ours, theirs in zip(state_of(resumed), state_of(whole), strict=True):
        assert torch.equal(ours, theirs)


def test_training_goes_on_from_given_weights(sample: Sample) -> None:
    start = resolve_model("embedded")
    trainer, cold = Trainer(TINY), Trainer(TINY)
    trainer.start_from(start)
    given = read_state(start.path)
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, given[name].to(value.dtype)), name
    batch = draw_batch([Pool([sample], 1.0, 0.0)], 1, np.random.default_rng(0))
    image, flow, cell = map(torch.from_numpy, batch)
    losses = []
    for one in (trainer, cold):
        with torch.no_grad():
            losses.append(float(loss_of(one.network.eval()(image)[0], flow, cell)))
    assert losses[0] < 0.5 * losses[1], "it knows nuclei already"


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    trainer = Trainer(TINY)
    trainer.start_from(resolve_model("embedded"))
    trainer.save(tmp_path / "checkpoint.pt")
    longer = Trainer(replace(TINY, crops=40))
    longer.load(tmp_path / "checkpoint.pt")
    assert longer.started_from == trainer.started_from == resolve_model("embedded").sha256
    with pytest.raises(
        RunError, match=r"another training \(seed was 0, is 3\); pass another --work"
    ):
        Trainer(replace(TINY, seed=3)).load(tmp_path / "checkpoint.pt")


def test_the_light_of_a_pool_is_changed_as_often_as_it_says(sample: Sample) -> None:
    def images(relit_share: float) -> np.ndarray:
        return draw_batch([Pool([sample], 1.0, relit_share)], 6, np.random.default_rng(5))[0]

    low, high = sample.image.min(), sample.image.max()
    untouched = images(0.0)[:, 0]
    assert untouched.min() >= min(low, 0) - 1e-5
    assert untouched.max() <= high + 1e-5
    assert not np.array_equal(images(1.0)[:, 0], untouched)
    assert untouched.shape == (6, CROP_PX, CROP_PX)


def slope_of(shape: tuple[int, int]) -> Sample:
    """One cell as large as the image, whose flow is the slope of its light."""
    y, x = np.indices(shape).astype(np.float32)
    image = np.sin(y / 40) + np.cos(x / 25) + x * y / 9000 + 3
    flow = np.stack(np.gradient(image)).astype(np.float32)
    return Sample(image, np.ones(shape, np.int32), flow, 50.0)


@pytest.mark.parametrize("shape", [(256, 300), (220, 208), (150, 400)])
def test_a_crop_as_stored_is_a_tile_of_the_padded_image(shape: tuple[int, int]) -> None:
    sample, rng = slope_of(shape), np.random.default_rng(2)
    stored = set(sample.image.ravel().tolist())
    for _ in range(40):
        image, flow, cell = cut_as_stored(sample, rng)
        assert set(image[cell].tolist()) <= stored, "no pixel is made up"
        assert not image[~cell].any(), "outside is zero, as Cellpose pads"
        rows, columns = np.flatnonzero(cell.any(1)), np.flatnonzero(cell.any(0))
        inner = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        slope = np.stack(np.gradient(image[inner]))[:, 1:-1, 1:-1]
        np.testing.assert_allclose(
            flow[:, *inner][:, 1:-1, 1:-1], FLOW_SCALE * slope, rtol=1e-3, atol=1e-4
        )


def test_crops_as_stored_are_turned_and_flipped_every_way() -> None:
    side = CROP_PX - 2 * PAD_PX
    image = np.arange(side * side, dtype=np.float32).reshape(side, side)
    sample = Sample(image, np.ones((side, side), np.int32), np.zeros((2, side, side)), 50.0)
    rng, found = np.random.default_rng(3), set()
    ways = [np.rot90(part, k) for part in (image, image.T) for k in range(4)]
    for _ in range(80):
        inner = cut_as_stored(sample, rng)[0][PAD_PX:-PAD_PX, PAD_PX:-PAD_PX]
        found |= {k for k, way in enumerate(ways) if np.array_equal(way, inner)}
    assert found == set(range(8))


def test_crops_as_stored_often_reach_the_edge_as_tiles_do() -> None:
    sample, rng = slope_of((256, 256)), np.random.default_rng(1)
    first = [cut_as_stored(sample, rng)[2].any(1).argmax() for _ in range(60)]
    last = [CROP_PX - 1 - cut_as_stored(sample, rng)[2].any(1)[::-1].argmax() for _ in range(60)]
    assert max(first) == PAD_PX
    assert 10 <= sum(row == PAD_PX for row in first) <= 50
    assert min(last) == CROP_PX - 1 - PAD_PX


def test_a_share_of_crops_is_cut_as_stored(sample: Sample) -> None:
    stored = set(sample.image.ravel().tolist()) | {0.0}
    for share in (0.0, 1.0):
        crop = Pool([sample], 1.0, 1.0, share).crop(np.random.default_rng(4))[0]
        assert (set(crop.ravel().tolist()) <= stored) == (share == 1.0)


def test_crops_come_from_pools_by_their_shares(sample: Sample) -> None:
    dark = Sample(0 * sample.image, sample.labels, sample.flow, sample.diameter_px)
    pools = [Pool([sample], 0.25, 0.0), Pool([dark], 0.75, 0.0)]
    images = draw_batch(pools, 40, np.random.default_rng(0))[0][:, 0]
    assert 20 <= sum(not image.any() for image in images) <= 38


def test_the_rate_rises_stays_and_falls() -> None:
    settings = Settings(crops=8000, batch=8, learning_rate=1.0)
    rates = [learning_rate(step, settings) for step in range(settings.steps)]
    assert rates[0] < 0.1
    assert rates[300] == 1.0
    assert rates[-1] < 0.01


def test_images_have_one_role_and_labels(tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    names = [f"image{k}" for k in range(12)]
    for name in names:
        item = draw_synthetic(int(name[5:]), 64)
        imsave(tmp_path / "images" / f"{name}.png", (item.image / 16).astype(np.uint8))
        imsave(
            tmp_path / "labels" / f"{name}.png", item.labels.astype(np.uint16), check_contrast=False
        )
    pools, used = load_pools(tmp_path, 1)
    assert used == sorted(name for name in names if role_of(name) == "train")
    assert sum(pool.share for pool in pools) == pytest.approx(1)
    assert pools[0].relit_share > pools[1].relit_share, "drawn borders are left alone more often"
    (tmp_path / "labels" / "image3.png").unlink()
    with pytest.raises(DatasetError, match=r"image3.png has no labels; put image3.png into"):
        load_pools(tmp_path, 1)


def test_the_command_is_that_which_was_given() -> None:
    words = ["--work", "w", "--images", "i", "--crops", "80", "--start", "/x/embedded"]
    assert command_of(parse(words)) == (
        "python -m tbscale.engine.training --images DIR --work DIR --crops 80 --batch 8 "
        "--synthetic 600 --learning-rate 0.002 --weight-decay 0.001 --average-decay 0.995 "
        "--seed 0 --real-share 0.7 --start embedded"
    )
    assert "--stored-share 0.5" in command_of(parse(["--work", "w", "--stored-share", "0.5"]))
    assert "--images" not in command_of(parse(["--work", "w"]))
    assert "--device cuda" in command_of(parse(["--work", "w", "--device", "cuda"]))


def test_a_wrong_folder_is_refused_before_anything_is_drawn_or_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "prepare_all", lambda *_: pytest.fail("it began to work"))
    words = ["--images", str(tmp_path / "none"), "--work", str(tmp_path / "work")]
    with pytest.raises(DatasetError, match="has no images/ and labels/"):
        command.main(words)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("value", ["1.5", "-0.1", "most", "nan"])
def test_a_share_is_between_nothing_and_all(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--work", "w", f"--real-share={value}"])
    assert f"--real-share: '{value}' is no share; pass a number" in capsys.readouterr().err


def test_processes_that_cut_ahead_cut_the_same_crops_in_order(sample: Sample) -> None:
    batches = Batches([Pool([sample], 1.0, 0.5)], 2, 7)
    loaded = list(load_batches(batches, range(3, 7), 2, pinned=False))
    assert len(loaded) == 4
    for step, batch in enumerate(loaded, 3):
        for ours, theirs in zip(batch, batches[step], strict=True):
            assert torch.equal(ours, theirs)
    assert not torch.equal(loaded[0][0], loaded[1][0])


def test_processes_prepare_what_one_does() -> None:
    seeds = range(40, 43)
    apart = prepare_all(prepare_synthetic, seeds, workers=2)
    for ours, theirs in zip(apart, prepare_all(prepare_synthetic, seeds), strict=True):
        assert np.array_equal(ours.labels, theirs.labels)
        assert np.array_equal(ours.flow, theirs.flow)
