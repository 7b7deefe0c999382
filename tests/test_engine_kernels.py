"""Each compiled loop equals the reference's own function to the last bit."""

import fill_voids
import numpy as np
import torch
from cellpose import dynamics, metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from tbscale.engine.kernels.fill import hole_mask
from tbscale.engine.kernels.flow_qc import flow_errors
from tbscale.engine.kernels.follow import follow
from tbscale.engine.scratch import mask_flow

CPU = torch.device("cpu")
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, niter=st.sampled_from([1, 2, 7, 199, 200]), speed=st.floats(0.1, 30))
def test_sinks_equal_those_of_the_reference(seed, niter, speed):
    rng = np.random.default_rng(seed)
    dp = np.stack([gaussian_filter(rng.normal(size=(40, 53)), 1.5) for _ in range(2)])
    dp = (speed * dp / dp.std()).astype(np.float32)
    foreground = rng.random((40, 53)) < 0.7
    inds = np.nonzero(foreground)
    wanted = dynamics.follow_flows(dp * foreground / 5.0, inds, niter=niter).astype(int)
    whole = (slice(0, 40), slice(0, 53))
    sinks, escaped, reach_px = follow(
        mask_flow(dp[0], dp[1], foreground), foreground, (0, 0), (40, 53), whole, niter
    )
    np.testing.assert_array_equal(sinks[:, inds[0], inds[1]], wanted)
    assert escaped == 0
    assert reach_px == np.abs(wanted - np.stack(inds)).max(initial=0)


def test_a_path_that_leaves_the_region_is_reported():
    flow = np.zeros((20, 20, 2), np.float32)
    flow[..., 1] = 1.0
    foreground = np.ones((20, 20), bool)
    core = (slice(100, 120), slice(100, 110))
    sinks, escaped, _ = follow(flow, foreground, (100, 100), (500, 500), core, 200)
    assert escaped == 200
    assert (sinks == np.iinfo(np.int32).min).all()


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_flow_errors_equal_those_of_the_reference(seed):
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=(60, 70)), 4)
    labels = np.zeros((60, 70), np.uint32)
    cells = np.digitize(field / field.std(), [-1.2, -0.4, 0.4, 1.2])
    labels[:] = cells  # level sets: connected or not, with holes, at the border
    dp = rng.normal(size=(2, 60, 70)).astype(np.float32)
    wanted, _ = metrics.flow_error(labels.astype(np.int64), dp, device=CPU)
    flow = np.ascontiguousarray(np.moveaxis(dp / np.float32(5), 0, -1))
    np.testing.assert_array_equal(flow_errors(labels, int(labels.max()), flow), wanted)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, share=st.floats(0.2, 0.9))
def test_holes_equal_those_of_the_reference(seed, share):
    cell = np.random.default_rng(seed).random((17, 13)) < share
    filled = fill_voids.fill(cell)
    holes = hole_mask(np.where(cell, 3, 7).astype(np.uint32), 3)
    np.testing.assert_array_equal(holes | cell, filled.astype(bool))
