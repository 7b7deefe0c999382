"""Grids, blocks, halos and projections: integers, against brute force and the reference."""

import numpy as np
import pytest
from cellpose import transforms
from hypothesis import given, settings
from hypothesis import strategies as st

from tbscale.engine.blocks import distance_px, own_halo_px, plan_blocks, widen
from tbscale.engine.grid import plan_tiles
from tbscale.engine.memory import parse_bytes
from tbscale.engine.merged import KEPT_CORES
from tbscale.engine.plan import GIB, LEAST_CORE_PX, plan_segmentation
from tbscale.engine.scratch import sink_chunk_px
from tbscale.engine.strips import batches, taper
from tbscale.errors import BudgetError, PlanError
from tbscale.images.labels_out.halves import MOST_HELD

SIZES = st.integers(1, 700)


@given(shape=st.tuples(SIZES, SIZES), overlap=st.sampled_from([0.0, 0.1, 0.25, 0.6]))
def test_the_tile_grid_is_that_of_the_reference(shape, overlap):
    grid = plan_tiles(shape, 224, overlap)
    pads = transforms.get_pad_yx(*shape)
    assert (grid.y.pad_before_px, grid.y.pad_after_px) == pads[:2]
    assert (grid.x.pad_before_px, grid.x.pad_after_px) == pads[2:]
    padded = np.zeros((1, grid.y.padded_px, grid.x.padded_px), np.float32)
    _, ysub, xsub, _, _ = transforms.make_tiles(padded, bsize=224, tile_overlap=overlap)
    ours = [
        (y, y + grid.y.tile_px, x, x + grid.x.tile_px) for y in grid.y.starts for x in grid.x.starts
    ]
    theirs = [(int(y[0]), int(y[1]), int(x[0]), int(x[1])) for y, x in zip(ysub, xsub, strict=True)]
    assert ours == theirs


@given(height=st.integers(16, 260), width=st.integers(16, 260))
def test_the_taper_is_that_of_the_reference(height, width):
    np.testing.assert_array_equal(taper(height, width), transforms._taper_mask(height, width))


@given(first=st.integers(0, 200), size=st.integers(1, 9))
def test_batches_keep_the_boundaries_of_the_reference(first, size):
    grid = plan_tiles((900, 2000))
    first = first % grid.tile_count
    got = list(batches(grid, size, first))
    assert all(batch.start % size == 0 for batch in got)
    assert [n for batch in got for n in batch] == list(range(first - first % size, grid.tile_count))


@given(shape=st.tuples(st.integers(1, 300), st.integers(1, 300)), core_px=st.integers(5, 400))
def test_cores_partition_the_plane_once(shape, core_px):
    covered = np.zeros(shape, int)
    for block in plan_blocks(shape, core_px):
        covered[block.core] += 1
    assert (covered == 1).all()


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(20, 120), st.integers(20, 120)),
    core_px=st.integers(10, 60),
    reach=st.lists(st.integers(0, 50), min_size=144, max_size=144),
    seed_px=st.integers(0, 20),
)
def test_the_halo_holds_every_pixel_that_matters(shape, core_px, reach, seed_px):
    """Brute force: pixels of A up to reach + seed_px from the core of B lie in B's region."""
    blocks = plan_blocks(shape, core_px)
    for block in blocks:
        region = widen(block.core, own_halo_px(block, blocks, reach, seed_px), shape)
        inside = np.zeros(shape, bool)
        inside[region] = True
        for other in blocks:
            near = np.zeros(shape, bool)
            near[widen(block.core, seed_px + reach[other.index], shape)] = True
            mine = np.zeros(shape, bool)
            mine[other.core] = True
            assert inside[near & mine].all()


def test_distances_count_pixels_between_regions():
    a, b = (slice(0, 4), slice(0, 4)), (slice(4, 8), slice(9, 12))
    assert distance_px(a, b) == distance_px(b, a) == 5
    assert distance_px(a, a) == 0


@given(core_px=st.integers(1, 5000))
def test_chunks_of_sinks_divide_the_core(core_px):
    assert core_px % sink_chunk_px(core_px) == 0


def test_a_plan_fits_its_budget_or_says_what_to_set():
    plan = plan_segmentation((27120, 26139), 3 * GIB)
    assert plan.projection.peak_bytes <= 3 * GIB
    with pytest.raises(BudgetError, match=r"needs .* GiB .* pass --memory") as refused:
        plan_segmentation((27120, 26139), GIB // 2)
    remedy = str(refused.value).split("--memory ")[1].split("GiB")[0]
    assert plan_segmentation((27120, 26139), int(float(remedy) * GIB))


@pytest.mark.parametrize("core_px", [-1, 0, 3, LEAST_CORE_PX - 1])
def test_a_core_of_which_there_would_be_too_many_is_refused(core_px):
    with pytest.raises(PlanError, match=rf"^--core-px is {core_px}; pass at least 64$"):
        plan_segmentation((27120, 26139), 8 * GIB, core_px)


def test_a_small_core_that_holds_the_plane_is_one_block():
    assert len(plan_segmentation((40, 30), 8 * GIB, 40).blocks) == 1


def test_the_projected_peak_does_not_follow_the_area():
    """Sixteen times the height: only what is kept of each cell grows."""
    low, high = (plan_segmentation((h, 20000), 8 * GIB).projection for h in (10000, 160000))
    assert low.stages[1] == high.stages[1]
    assert low.stages[-1].bytes - low.cells_bytes == high.stages[-1].bytes - high.cells_bytes


def test_writing_is_projected_and_does_not_follow_the_area():
    """Cores that are kept, chunks on their way to the disk, and the pyramid's that are begun."""
    low, high = (
        next(one for one in plan.projection.stages if one.name == "write")
        for plan in (plan_segmentation((h, 20000), 8 * GIB) for h in (10000, 160000))
    )
    apart = [[part for part in stage.parts if part[0] != "cells"] for stage in (low, high)]
    assert apart[0] == apart[1]
    assert dict(low.parts)["pyramid"] == MOST_HELD * 4 * 2**20
    assert dict(low.parts)["labels of cores"] >= KEPT_CORES * 2048 * 2048 * 4
    one_chunk = plan_segmentation((1024, 700), 8 * GIB).projection.stages
    assert dict(next(one for one in one_chunk if one.name == "write").parts)["pyramid"] == 0


@pytest.mark.parametrize(
    ("text", "size"), [("4GiB", 4 * GIB), ("500MB", 500_000_000), ("1.5g", 1_500_000_000), ("7", 7)]
)
def test_sizes_are_read(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "lots", "4 GiBs", "-1GiB"])
def test_other_texts_are_refused(text):
    with pytest.raises(PlanError, match="pass one such as 4GiB"):
        parse_bytes(text)
