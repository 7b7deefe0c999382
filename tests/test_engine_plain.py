"""Each fast path equals its plain one, on regions anywhere in a plane, and each can be chosen."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from tbscale.engine.kernels.choice import FAST, FUNCTIONS, choose_kernels, parse_plain
from tbscale.engine.kernels.flow_qc import pixels_by_label
from tbscale.engine.kernels.follow import NO_SINK
from tbscale.engine.kernels.seeds import PEAK_PX, REACH_PX, RIVAL_PX
from tbscale.engine.measured import fill_settings, read_settings
from tbscale.engine.run import Settings, label_plane
from tbscale.engine.scratch import ArrayFlows, mask_flow
from tbscale.engine.seed_order import rank_seeds
from tbscale.engine.workload.job import Job
from tbscale.errors import PlanError
from tbscale.steps import StepClock

PLAIN = choose_kernels(FUNCTIONS)
STEPS = sorted(FUNCTIONS)
SEED = st.integers(0, 2**32 - 1)
HEIGHT, WIDTH = 61, 74


def draw_flow(seed, speed):
    rng = np.random.default_rng(seed)
    dp = np.stack([gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), 2) for _ in range(2)])
    dp = (speed * dp / dp.std()).astype(np.float32)
    foreground = gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), 1) > -0.02
    return mask_flow(dp[0], dp[1], foreground), foreground


def core_within(y0, x0, margin=9):
    return slice(y0 + margin, y0 + HEIGHT - margin), slice(x0 + margin, x0 + WIDTH - margin)


def assert_same(ours, wanted):
    for a, b in zip(ours, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=25, deadline=None)
@given(
    seed=SEED,
    speed=st.floats(0.5, 40),
    niter=st.sampled_from([1, 2, 9, 199, 200]),
    origin=st.sampled_from([(0, 0), (700, 3000), (26_000, 26_000)]),
    at_end=st.booleans(),
)
def test_follow(seed, speed, niter, origin, at_end):
    flow, foreground = draw_flow(seed, speed)
    y0, x0 = origin
    room = 0 if at_end else 500  # the plane ends with the region, or goes on
    plane = (y0 + HEIGHT + room, x0 + WIDTH + room)
    given_ = (flow, foreground, origin, plane, core_within(y0, x0), niter)
    ours, wanted = FAST.follow(*given_), PLAIN.follow(*given_)
    assert_same(ours, wanted)
    assert ours[0].dtype == wanted[0].dtype


@settings(max_examples=15, deadline=None)
@given(seed=SEED, speed=st.floats(2, 40))
def test_seeds_and_labels(seed, speed):
    flow, foreground = draw_flow(seed, speed)
    whole = (slice(0, HEIGHT), slice(0, WIDTH))
    sinks, _, _ = FAST.follow(flow, foreground, (0, 0), (HEIGHT, WIDTH), whole, 200)
    ranked = rank_seeds(count_and_find(sinks, whole, PEAK_PX))
    np.testing.assert_array_equal(
        ranked.places, count_and_find(sinks, whole, REACH_PX)[:, 1:]
    )  # a wider margin finds no more
    for core in (whole, core_within(0, 0, 16)):
        near = ranked.near(core, RIVAL_PX)
        ours, wanted = (
            kernels.label_owned(sinks, kernels.count_sinks(sinks, core, REACH_PX), core, *near)
            for kernels in (FAST, PLAIN)
        )
        assert_same(ours, wanted)
    assert len(ranked.order)


def count_and_find(sinks, core, margin_px):
    """The seeds of a core, which both paths agree on; so do the counts."""
    ours, wanted = (kernels.count_sinks(sinks, core, margin_px) for kernels in (FAST, PLAIN))
    np.testing.assert_array_equal(ours, wanted)
    assert ours.dtype == wanted.dtype
    seeds = FAST.find_seeds(ours, core, margin_px)
    np.testing.assert_array_equal(seeds, PLAIN.find_seeds(wanted, core, margin_px))
    return seeds


@pytest.mark.parametrize("threads", [1, numba.config.NUMBA_NUM_THREADS])
def test_sinks_far_from_their_pixels_are_counted_once(threads):
    rng = np.random.default_rng(threads)
    sinks = rng.integers(-20, 90, (2, 61, 47)).astype(np.int32)  # some outside the window too
    sinks[:, rng.random((61, 47)) < 0.5] = NO_SINK
    core = (slice(10, 50), slice(5, 40))
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        ours = FAST.count_sinks(sinks, core, REACH_PX)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(ours, PLAIN.count_sinks(sinks, core, REACH_PX))
    assert ours.sum() > 500


@settings(max_examples=15, deadline=None)
@given(seed=SEED, threads=st.integers(1, numba.config.NUMBA_NUM_THREADS), gaps=st.booleans())
def test_crowded_seeds_win_the_same_places(seed, threads, gaps):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 60, 2)
    sinks = np.full((2, height, 2 * width), NO_SINK, np.int32)
    for axis, size in enumerate((height, width)):  # few places, so that many are seeds
        sinks[axis] = rng.integers(0, 1 + size // 3, sinks.shape[1:]) * 3 % size
    sinks[:, rng.random(sinks.shape[1:]) < 0.2] = NO_SINK
    sinks = sinks[:, :, ::2] if gaps else np.ascontiguousarray(sinks[:, :, :width])
    whole = (slice(0, int(height)), slice(0, int(width)))
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        ranked = rank_seeds(count_and_find(sinks, whole, REACH_PX))
        ours, wanted = (
            kernels.label_owned(
                sinks, kernels.count_sinks(sinks, whole, REACH_PX), whole, *ranked.near(whole, 0)
            )
            for kernels in (FAST, PLAIN)
        )
    finally:
        numba.set_num_threads(before)
    assert_same(ours, wanted)


@settings(max_examples=15, deadline=None)
@given(seed=SEED)
@pytest.mark.parametrize("most", [6, 40, HEIGHT * WIDTH])  # ever fewer strips
def test_pixels_of_each_label(most, seed):
    labels = draw_labels(seed)
    start, at = pixels_by_label(labels, most)  # 5 is the largest
    assert len(start) == most + 1
    for label in range(1, most + 1):
        wanted = np.flatnonzero(labels == label)
        np.testing.assert_array_equal(at[start[label - 1] : start[label]], wanted)


def draw_labels(seed):
    """Level sets: connected or not, with holes, nested, at the border; one label is absent."""
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH)), 3)
    labels = np.digitize(field / field.std(), [-1.2, -0.4, 0.4, 1.2]).astype(np.uint32)
    labels[labels == 2] = 5
    return labels


@settings(max_examples=15, deadline=None)
@given(seed=SEED)
def test_flow_errors(seed):
    labels = draw_labels(seed)
    flow = np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH, 2)).astype(np.float32)
    ours, wanted = FAST.flow_errors(labels, 5, flow), PLAIN.flow_errors(labels, 5, flow)
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-9)
    assert (wanted > 0).any()


@settings(max_examples=25, deadline=None)
@given(seed=SEED)
def test_holes(seed):
    labels = draw_labels(seed)
    ids = np.unique(labels[labels > 0])
    places = [np.argwhere(labels == k) for k in ids]
    boxes = np.array([[*zip(p.min(0), p.max(0) + 1, strict=True)] for p in places]).reshape(-1, 4)
    ours, wanted = FAST.find_holes(labels, ids, boxes), PLAIN.find_holes(labels, ids, boxes)
    assert_same(ours, wanted)


def test_some_labels_have_holes():
    """The property above is not about nothing."""
    labels = draw_labels(1)
    box = np.array([[0, HEIGHT, 0, WIDTH]])
    assert len(FAST.find_holes(labels, np.array([3], np.uint32), box)[0])


@pytest.mark.parametrize("plain", [(), *[(s,) for s in STEPS], tuple(STEPS)])
def test_a_run_with_plain_steps_gives_the_same_labels(plain, tmp_path):
    pitch, shape = 14, (90, 101)
    y, x = np.mgrid[: shape[0], : shape[1]]
    pull = np.stack([y // pitch * pitch + 7 - y, x // pitch * pitch + 7 - x]).astype(np.float32)
    pull /= np.hypot(*pull) + 1e-3
    noise = np.random.default_rng(5).normal(0, 0.1, (2, *shape)).astype(np.float32)
    foreground = np.hypot(y % pitch - 3, x % pitch - 7) > 1  # most cells have a hole
    flows = ArrayFlows(mask_flow(*(5 * (pull + noise)), foreground), foreground)

    def run(name, steps):
        folder = tmp_path / name
        folder.mkdir()
        chosen = Settings(core_px=40, plain=steps)
        labels = label_plane(folder, shape, chosen, flows, StepClock())
        return labels.read((slice(0, shape[0]), slice(0, shape[1])))

    wanted = run("fast", ())
    assert wanted.max() > 20
    np.testing.assert_array_equal(run("plain", plain), wanted)


def test_each_step_is_switched_by_its_name():
    for step, functions in FUNCTIONS.items():
        chosen = choose_kernels((step,))
        for name in vars(FAST):
            is_fast = getattr(chosen, name) is getattr(FAST, name)
            assert is_fast == (name not in functions)


def test_an_unknown_step_is_refused():
    with pytest.raises(PlanError, match="no plain path of 'blend'; choose from follow, seeds"):
        choose_kernels(("fill", "blend"))


def test_the_profile_takes_steps_as_a_setting():
    job = Job("tbscale", "x.tif", settings={"plain": "follow,fill"})
    assert read_settings(fill_settings(job)).plain == ("follow", "fill")
    assert read_settings(fill_settings(Job("tbscale", "x.tif"))).plain == ()
    assert parse_plain(" seeds  fill ") == ("seeds", "fill")
