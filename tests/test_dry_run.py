"""`--dry-run`: the plan, its projection by stage, the disk, and an estimate of time."""

import re
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tbscale.cli.plan_text import describe_plan
from tbscale.engine import allocator
from tbscale.engine.allocator import can_keep_freed
from tbscale.engine.cells import Rules
from tbscale.engine.estimate import estimate_request, estimate_time, read_piece, touched_px
from tbscale.engine.network_memory import network_memory
from tbscale.engine.plan import GIB, plan_segmentation
from tbscale.engine.projection import Workload
from tbscale.engine.request import Request
from tbscale.engine.run import Settings
from tbscale.engine.segmentation import segment
from tbscale.errors import BudgetError
from tbscale.images.plane import ArrayPlane

BENCH = runpy.run_path(str(Path(__file__).resolve().parents[1] / "benchmarks" / "memory_bound.py"))
SETTINGS = Settings(rules=Rules(flow_threshold=3.0))


def climber(weights, device):
    return BENCH["Climber"]()


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.tif"
    BENCH["write_image"](path, (700, 1100), 1)
    return path


def test_the_plan_is_printed_with_stages_disk_and_time(image, tmp_path):
    request = Request(image, tmp_path / "out.ome.tif", 0, model="embedded", settings=SETTINGS)
    plan, estimate = estimate_request(request, climber)
    text = describe_plan(plan, 5 * GIB, estimate)
    for line in (
        r"strips +4 of 6 tiles, 224 px",
        r"blocks +1 of 2048 px",
        r"halo +48 px",
        r"projected peak +\d\.\d\d GiB",
        r"  limits +\d\.\d\d GiB \(.*sample",
        r"  network +\d\.\d\d GiB \(activations",
        r"  blocks +\d\.\d\d GiB \(.*region of a block",
        r"freed memory +(kept while|given back)",
        r"scratch +at most",
        r"free on disk +5\.00 GiB$",
        r"time +about .*: an estimate from 9 tiles and one block of 262,144 px",
    ):
        assert re.search(line, text, re.MULTILINE), (line, text)
    assert "(, ...)" not in text, "a stage that holds nothing is no line"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image.tif"]


def test_a_disk_too_small_for_the_worst_case_is_told(image, tmp_path):
    plan = plan_segmentation((10101, 9666), 4 * GIB)
    assert "less than the most that a run may write" in describe_plan(plan, GIB, None)
    assert "less than" not in describe_plan(plan, 100 * GIB, None)


def reading(shape):
    """A plane of 16-bit pixels in chunks of 1,024 rows."""
    return Workload(cache_bytes=1024 * shape[1] * 2)


def test_time_scales_with_tiles_and_area():
    pixels = BENCH["spots"](slice(0, 600), 600)
    network = BENCH["Climber"]()
    small, large = (plan_segmentation(shape, 8 * GIB) for shape in ((2000, 2000), (8000, 8000)))
    one, four = (
        estimate_time([ArrayPlane(pixels)], plan, network, SETTINGS) for plan in (small, large)
    )
    for step in ("network", "follow"):
        assert 16 / 4 < four.steps_s[step] / one.steps_s[step] < 16 * 4, "beyond the noise"
    assert one.wall_s == pytest.approx(sum(one.steps_s.values()))


def test_the_brightest_piece_is_taken():
    pixels = np.zeros((3000, 2600), np.uint16)
    pixels[1300:1500, 2300:2400] = 9
    pieces, _ = read_piece([ArrayPlane(pixels[:1300]), ArrayPlane(pixels[:1300])])
    assert [p.shape for p in pieces] == [(512, 512)] * 2

    class Chunked(ArrayPlane):
        chunk_shape = (256, 256)

    (piece,), read_s = read_piece([Chunked(pixels)])
    assert piece.pixels.max() == 9
    assert read_s > 0


def test_pixels_of_touched_chunks_are_counted():
    assert touched_px((slice(0, 512), slice(100, 612)), (3000, 700), (1024, 512)) == 1024 * 700


@pytest.mark.parametrize(
    ("shape", "budget_gib", "core_px"),
    [((27120, 26139), 1.2, None), ((9000, 9000), 1.6, 6000), ((300, 90000), 0.9, None)],
)
def test_each_value_that_a_refusal_names_works(shape, budget_gib, core_px):
    budget = int(budget_gib * GIB)
    with pytest.raises(BudgetError) as refused:
        plan_segmentation(shape, budget, core_px, work=reading(shape))
    message = str(refused.value)
    more = float(re.search(r"--memory ([0-9.]+)GiB", message)[1])
    plan_segmentation(shape, int(more * GIB), core_px, work=reading(shape))
    too_low = int((more - 0.02) * GIB)
    with pytest.raises(BudgetError):
        plan_segmentation(shape, too_low, core_px or 256, work=reading(shape))
    core = re.search(r"--core-px (\d+)", message)
    assert bool(core) == (core_px is not None)
    if core:
        plan_segmentation(shape, budget, int(core[1]), work=reading(shape))


def test_the_value_that_the_refusal_of_a_run_names_works(image, tmp_path):
    request = Request(image, tmp_path / "out.ome.tif", 0, model="embedded", settings=SETTINGS)
    with pytest.raises(BudgetError) as refused:
        segment(Request(**{**vars(request), "memory_bytes": GIB // 2}), make_network=climber)
    more = float(re.search(r"--memory ([0-9.]+)GiB", str(refused.value))[1])
    allowed = Request(**{**vars(request), "memory_bytes": int(more * GIB)})
    assert tifffile.imread(segment(allowed, make_network=climber).out).max() > 0


@pytest.mark.parametrize(
    ("shape", "promised"), [((10101, 9666), 1.5), ((27120, 26139), 2.0)], ids=["LUNG", "WD"]
)
def test_both_planes_of_the_datasets_fit_what_was_promised(shape, promised):
    plan = plan_segmentation(shape, int(promised * GIB), work=reading(shape))
    assert plan.projection.peak_bytes <= promised * GIB
    assert plan.core_px == 2048


@pytest.mark.skipif(not can_keep_freed(), reason="the allocator takes no rules here")
def test_freed_memory_is_kept_only_where_the_budget_has_room_for_it():
    shape = (3000, 3000)
    roomy = plan_segmentation(shape, 4 * GIB, work=reading(shape))
    tight = plan_segmentation(shape, roomy.projection.peak_bytes - 1, work=reading(shape))
    assert roomy.keeps_freed
    assert not tight.keeps_freed
    assert tight.core_px == roomy.core_px, "a smaller block would not have made the room"
    parts = (dict(plan.projection.stages[1].parts) for plan in (roomy, tight))
    assert [one["freed and kept"] > 0 for one in parts] == [True, False]
    for network in (network_memory("fast", 2), network_memory("exact", 2, "cuda")):
        work = replace(reading(shape), network=network)
        assert not plan_segmentation(shape, 4 * GIB, work=work).keeps_freed


@pytest.mark.skipif(not can_keep_freed(), reason="the allocator takes no rules here")
def test_an_estimate_keeps_memory_between_its_pieces_as_the_run_between_batches(monkeypatch):
    given_back = []
    monkeypatch.setattr(allocator, "give_back_freed", lambda: given_back.append(allocator._depth))
    pixels = BENCH["spots"](slice(0, 600), 600)
    plan = plan_segmentation((2000, 2000), 8 * GIB)
    assert plan.keeps_freed
    estimate_time([ArrayPlane(pixels)], plan, BENCH["Climber"](), SETTINGS)
    assert given_back == [0]
