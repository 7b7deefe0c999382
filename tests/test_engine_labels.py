"""The out-of-core labels equal the reference's on the whole plane, ids included."""

from pathlib import Path

import numpy as np
import pytest
from cellpose import dynamics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from tbscale.engine import compute_masks
from tbscale.engine.blocks import plan_blocks
from tbscale.engine.cells import Rules
from tbscale.engine.run import Settings, label_plane
from tbscale.engine.schedule import in_order
from tbscale.engine.scratch import ArrayFlows, mask_flow
from tbscale.errors import BudgetError
from tbscale.steps import StepClock

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")


def label_blockwise(folder, dp, cellprob, core_px, rules=None, order=None, limit=1 << 62):
    foreground = cellprob > 0
    flows = ArrayFlows(mask_flow(dp[0], dp[1], foreground), foreground)
    chosen = Settings(core_px=core_px, rules=rules or Rules())
    shape = cellprob.shape

    def shuffled(tasks, title, clock):
        in_order([tasks[k] for k in order or range(len(tasks))], title, clock)

    labels = label_plane(folder, shape, chosen, flows, StepClock(), limit, shuffled)
    return labels.read((slice(0, shape[0]), slice(0, shape[1])))


def label_whole(dp, cellprob, rules=None):
    rules = rules or Rules()
    return dynamics.resize_and_compute_masks(
        dp, cellprob, flow_threshold=rules.flow_threshold, min_size=rules.min_size
    )


def grid_of(shape):
    return np.mgrid[: shape[0], : shape[1]].astype(float)


def towards(y, x, cy, cx):
    pull = np.stack([cy - y, cx - x])
    return pull / (np.hypot(*pull) + 1e-3)


def smooth_flow(shape, rng):
    """Flow without cells: long, winding paths; cells of every shape."""
    dp = np.stack([gaussian_filter(rng.normal(size=shape), rng.uniform(2, 12)) for _ in range(2)])
    cellprob = gaussian_filter(rng.normal(size=shape), rng.uniform(0.5, 6))
    return 5 * dp / dp.std(), cellprob / cellprob.std() + rng.uniform(-0.5, 1)


def one_giant(shape, rng):
    """One cell as large as several cores, with holes and specks."""
    y, x = grid_of(shape)
    cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
    inside = np.hypot(y - cy, x - cx) < 0.6 * min(shape)
    return 5 * towards(y, x, cy, cx), np.where(inside, 2, -2) + rng.normal(0, 0.8, shape)


def lattice(shape, rng):
    """Touching square cells, over corners and borders of blocks."""
    pitch = int(rng.integers(6, 40))
    y, x = grid_of(shape)
    pull = towards(y, x, y // pitch * pitch + pitch // 2, x // pitch * pitch + pitch // 2)
    return 5 * pull + rng.normal(0, rng.uniform(0, 3), (2, *shape)), rng.normal(1, 1, shape)


def wind(shape, rng):
    """Everything drifts to a border of the plane."""
    drift = rng.uniform(-9, 9, 2)[:, None, None]
    return drift + rng.normal(0, 2, (2, *shape)), rng.normal(0.5, 1, shape)


def nested(shape, rng):
    """Rings around cells: holes that hold other cells."""
    pitch = int(rng.integers(24, 60))
    y, x = grid_of(shape)
    cy, cx = y // pitch * pitch + pitch // 2, x // pitch * pitch + pitch // 2
    r, angle = np.hypot(y - cy, x - cx), np.arctan2(x - cx, y - cy)
    inner, ring = r < 0.16 * pitch, (r > 0.24 * pitch) & (r < 0.42 * pitch)
    around = np.stack([np.sin(angle), -np.cos(angle)]) * np.sign(angle)
    dp = np.where(inner, towards(y, x, cy, cx), around)
    cellprob = np.where(inner | ring, 2.0, -2.0) + rng.normal(0, rng.uniform(0, 0.6), shape)
    return 5 * dp + rng.normal(0, 0.2, (2, *shape)), cellprob


KINDS = [smooth_flow, one_giant, lattice, wind, nested]


@pytest.mark.parametrize("make", KINDS)
@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(8, 150), st.integers(8, 150)),
    core_px=st.sampled_from([17, 33, 64, 100, 300]),
    rules=st.builds(Rules, st.sampled_from([0.0, 0.4, 3.0]), st.sampled_from([-1, 5, 15, 60])),
)
def test_blockwise_equals_whole_plane(make, seed, shape, core_px, rules, tmp_path_factory):
    rng = np.random.default_rng(seed)
    dp, cellprob = (a.astype(np.float32) for a in make(shape, rng))
    order = rng.permutation(len(plan_blocks(shape, core_px))).tolist()
    folder = tmp_path_factory.mktemp("scratch")
    ours = label_blockwise(folder, dp, cellprob, core_px, rules, order)
    np.testing.assert_array_equal(ours, label_whole(dp, cellprob, rules))


def test_the_cases_are_not_empty():
    """Each kind of flow makes cells at least once, so that equality means something."""
    for make in (smooth_flow, one_giant, lattice, wind, nested):
        counts = []
        for seed in range(12):
            dp, cellprob = make((120, 130), np.random.default_rng(seed))
            whole = label_whole(dp.astype(np.float32), cellprob.astype(np.float32), Rules(0, -1))
            counts.append(int(whole.max()))
        assert max(counts) > 0, make.__name__


def test_a_hole_that_holds_a_cell_is_settled_in_the_order_of_the_reference(tmp_path):
    """A ring swallows the cell within: both are found before filling, one is left after."""
    y, x = grid_of((80, 80))
    r = np.hypot(y - 40, x - 40)
    inner, ring = r < 6, (r > 12) & (r < 20)
    angle = np.arctan2(x - 40, y - 40)
    around = np.stack([np.sin(angle), -np.cos(angle)]) * np.sign(angle)
    dp = (5 * np.where(inner, towards(y, x, 40, 40), around)).astype(np.float32)
    cellprob = np.where(inner | ring, 2.0, -2.0).astype(np.float32)
    rules = Rules(flow_threshold=0.0)
    whole = label_whole(dp, cellprob, rules)
    assert whole[40, 40] == whole[40, 56] > 0
    for core_px in (20, 33, 80):
        folder = tmp_path / str(core_px)
        folder.mkdir()
        np.testing.assert_array_equal(label_blockwise(folder, dp, cellprob, core_px, rules), whole)


def test_a_plane_without_foreground_has_no_cells(tmp_path):
    dp, cellprob = np.zeros((2, 40, 50), np.float32), np.full((40, 50), -1, np.float32)
    assert not label_blockwise(tmp_path, dp, cellprob, 16).any()


def test_a_cell_too_large_for_the_budget_is_refused_with_a_remedy(tmp_path):
    rng = np.random.default_rng(0)
    dp, cellprob = (a.astype(np.float32) for a in one_giant((200, 200), rng))
    with pytest.raises(BudgetError, match=r"needs a region of .* raise --memory"):
        label_blockwise(tmp_path, dp, cellprob, 32, limit=100 * 100)


def test_finished_blocks_are_not_repeated(tmp_path, monkeypatch):
    dp, cellprob = (a.astype(np.float32) for a in lattice((90, 90), np.random.default_rng(3)))
    first = label_blockwise(tmp_path, dp, cellprob, 32)
    monkeypatch.setattr("tbscale.engine.tasks.follow.follow_block", None)
    monkeypatch.setattr("tbscale.engine.tasks.own.own_block", None)
    np.testing.assert_array_equal(label_blockwise(tmp_path, dp, cellprob, 32), first)
    done = sorted(Path(tmp_path / "owned").glob("*.npz"))
    assert len(done) == 9


@pytest.mark.parametrize("make", KINDS)
@settings(max_examples=3, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    flow_threshold=st.sampled_from([None, 0.0, 0.4, 3.0]),
    min_size=st.sampled_from([-1, 15]),
)
def test_compute_masks_is_a_drop_in(make, seed, flow_threshold, min_size):
    dp, cellprob = (a.astype(np.float32) for a in make((90, 110), np.random.default_rng(seed)))
    chosen = {"flow_threshold": flow_threshold, "min_size": min_size, "niter": 150}
    ours = compute_masks(dp, cellprob, **chosen)
    theirs = dynamics.compute_masks(dp, cellprob, **chosen)
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == theirs.dtype


def test_compute_masks_without_interpolation_is_the_references_own():
    dp, cellprob = (a.astype(np.float32) for a in lattice((60, 60), np.random.default_rng(4)))
    chosen = {"interp": False, "flow_threshold": 0.0}
    ours = compute_masks(dp, cellprob, **chosen)
    np.testing.assert_array_equal(ours, dynamics.compute_masks(dp, cellprob, **chosen))
    assert ours.max() > 0
