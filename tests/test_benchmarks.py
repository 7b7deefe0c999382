"""The benchmark scripts: what they compute is right, and they leave a record that loads."""

import hashlib
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import label as number_components

from tbscale.bench.agreement import compare_labels, count_overlaps
from tbscale.bench.records import load_records
from tbscale.images.datasets import DATASETS
from tbscale.images.standin.writer import StandIn, write_stand_in

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def spots(shape=(150, 170), pitch=10):
    y, x = np.mgrid[: shape[0], : shape[1]]
    inside = np.hypot(y % pitch - pitch // 2, x % pitch - pitch // 2) < 4
    return number_components(inside)[0].astype(np.uint32)


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_crops_that_see_the_same_cells_stitch_to_the_whole(script, threshold):
    traps, whole = script("traps"), spots()
    cut = traps.Cut(64, 24)
    parts = []
    for region in cut.regions(whole.shape):
        part = np.unique(whole[region], return_inverse=True)[1].reshape(whole[region].shape)
        parts.append((region, part))  # ids of its own
    stitched = traps.stitch(parts, whole.shape, threshold)
    assert len(parts) > 6
    assert compare_labels(stitched, whole).grade in ("bit", "partition")


def test_touching_is_not_enough_where_an_iou_is_asked_for(script):
    traps = script("traps")
    left, right = np.zeros((20, 40), np.int64), np.zeros((20, 40), np.int64)
    left[5:15, 10:30], right[14:20, 10:30] = 1, 1  # one row in common
    regions = [(slice(0, 20), slice(0, 40)), (slice(0, 30), slice(0, 40))]
    grown = np.vstack([right, np.ones((10, 40), np.int64)])
    touching = traps.stitch([(regions[0], left), (regions[1], grown)], (30, 40), 0.0)
    apart = traps.stitch([(regions[0], left), (regions[1], grown)], (30, 40), 0.5)
    assert len(np.unique(touching)) == 2
    assert len(np.unique(apart)) == 3


def test_the_last_crop_reaches_the_end(script):
    regions = script("traps").Cut(64, 24).regions((64, 105))
    assert [(r[0].stop, r[1].start, r[1].stop) for r in regions] == [
        (64, 0, 64), (64, 40, 104), (64, 80, 105),
    ]  # fmt: skip


def test_equal_cells_and_their_distance(script):
    traps, whole = script("traps"), spots((100, 100))
    other = whole.copy()
    other[whole == whole[45, 45]] = 0  # gone
    other[np.argwhere(whole == whole[5, 5])[0][0], 5] = 0  # one pixel less
    equal = traps.equal_cells(count_overlaps(other, whole))
    assert equal.sum() == len(equal) - 2
    away = traps.distances(whole)
    assert away[whole[5, 5] - 1] == pytest.approx(0.89, abs=0.01)
    assert away[whole[45, 45] - 1] == pytest.approx(0.09, abs=0.01)


def test_steps_leaves_a_record_with_grades_and_ratios(script, tmp_path):
    image = tmp_path / "small.ome.tif"
    crop = (slice(1024, 1184), slice(1024, 1184))
    write_stand_in(StandIn(DATASETS["exemplar-001"], channels=1, crop=crop), image)
    options = ["--image", str(image), "--flows", "labels", "--repeats", "2"]
    options += ["--scratch", str(tmp_path / "flows"), "--out", str(tmp_path / "results")]
    script("steps").main(["exemplar-001", *options])
    (record,) = load_records(tmp_path / "results")
    measures = {(one.name, one.subject): one.value for one in record.measures}
    assert record.experiment == "steps"
    assert record.result is not None
    assert record.result.agreements[0].grade == "bit"
    assert record.result.cells > 10
    for step in ("follow", "seeds", "flow_qc", "fill", "together"):
        for engine in ("fast", "plain"):
            assert measures["grade-bit", f"{step}/{engine}"] == 1
            assert measures["ratio", f"{step}/{engine}/cellpose-3"] > 0
    assert measures["largest-error-difference", "flow_qc/fast"] <= 1e-9
    assert (
        measures["pixel-iterations", "follow/fast"]
        < measures["pixel-iterations", "follow/cellpose-3"]
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("files.py --dataset nothing", "tbscale: no dataset is called 'nothing'; choose one of"),
        ("files.py --rounds 0", "0 measures nothing; pass at least 1"),
        ("steps.py exemplar-001 --repeats 0", "0 measures nothing; pass at least 1"),
        ("files.py --size-px x", "'x' is no whole number; pass at least 1"),
        ("network.py --rounds -2", "-2 measures nothing; pass at least 1"),
        ("growth.py --largest nan", "tbscale: crops from 0.25 to nan megapixels"),
        ("growth.py --smallest 8 --largest 2", "tbscale: crops from 8 to 2 megapixels"),
        ("growth.py --engines stock,nothing", "tbscale: there is no engine 'nothing'; choose"),
        ("growth.py --threads-size 0", "and one of 0, are not to be had; pass sizes above 0"),
        ("network_batch.py --tiles 0", "0 measures nothing; pass at least 1"),
        ("network_batch.py --device gpu", "tbscale: device 'gpu' is not available here; pass cpu"),
        ("network_batch.py --python4 no/python", "tbscale: there is no no/python; make it with"),
        (
            "guidelines.py --all --tonsil no.tif",
            "tbscale: there is no file or directory no.tif; pass",
        ),
        (
            "steps.py exemplar-001 --image no.tif",
            "tbscale: there is no image no.tif; pass the path",
        ),
        (
            "traps.py exemplar-001 --image no.tif",
            "tbscale: there is no image no.tif; pass the path",
        ),
        ("speedup.py nowhere", "nowhere"),
        ("speedup.py --image nowhere.tif --crop 1:2", "'1:2' is not a crop"),
        ("speedup.py exemplar-001 --engines none", "none is not what can be set beside stock"),
        ("speedup.py exemplar-001 --engines tbscale,abacus", "no engine 'abacus'; choose "),
        ("network.py --candidates winograd,abacus", "'abacus'; choose from reference, "),
    ],
)
def test_an_experiment_that_measures_nothing_is_refused_in_words(
    tmp_path: Path, words: str, message: str
) -> None:
    script, *options = words.split()
    path = BENCHMARKS / script
    ended = subprocess.run(
        [sys.executable, str(path), *options, "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_part_of_every_guideline_measures_a_small_image(script):
    made = script("guidelines")
    spec = DATASETS["exemplar-001"].stand_in_tissue(3)
    y, x = slice(1200, 1520), slice(900, 1220)
    image = script("guideline_parts.sample").render_channel(spec, y, x)
    glass = np.random.default_rng(0).integers(90, 110, (64, 64)).astype(np.uint16)
    sample = made.Sample("exemplar-001", "stand-in", image, image.shape, None, (glass,), 1, 0.65)
    notes = made.Notes()
    for name in ("dynamics", "blocks", "crops"):
        made.PARTS[name](sample, notes)
    found = {one["name"] for one in notes.measures}
    assert {"follow.steps", "resume.tiles", "grid.logit", "limits.changed"} <= found


def test_a_batch_leaves_a_record_of_the_tiles_it_was_of(tmp_path: Path) -> None:
    few = ("--tiles", "1", "--warm-ups", "0", "--repeats", "2", "--out", str(tmp_path))
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "network_batch.py"), *few], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (record,) = load_records(tmp_path)
    tiles = np.random.default_rng(0).random((1, 2, 224, 224), np.float32)
    tiles[:, 1] = 0
    assert record.dataset.sha256 == hashlib.sha256(tiles.tobytes()).hexdigest()
    found = {(one.name, one.subject.split(", ")[1]): one.value for one in record.measures}
    assert found["largest-error", "float32"] < 1e-5
    assert 1e-5 < found["largest-error", "bfloat16"] < 0.1
    assert sum(one.name == "tile" for one in record.measures) == 8
