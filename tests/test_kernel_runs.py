"""The pixels of a row that are above a limit, found a run at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numba.core.errors import TypingError

from tbscale.engine.kernels.follow import NO_SINK
from tbscale.engine.kernels.runs import RUN_PX, above

EDGES = {
    np.int32: [np.iinfo(np.int32).min, -1, 0, 1, 10, 11, np.iinfo(np.int32).max],
    np.uint32: [0, 1, 2**31 - 1, 2**31, 2**32 - 1],
}


@settings(max_examples=60, deadline=None)
@given(size=st.integers(0, 4 * RUN_PX + 3), share=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize(
    ("dtype", "limit"), [(np.int32, NO_SINK), (np.int32, 10), (np.uint32, 0), (np.uint32, 2**31)]
)
def test_places_above_a_limit(dtype, limit, size, share, seed):
    rng = np.random.default_rng(seed)
    row = rng.choice(np.array(EDGES[dtype], dtype), size)
    row[rng.random(size) < share] = dtype(limit)
    at = np.full(size, -1)
    count = above(row, dtype(limit), row, at)
    np.testing.assert_array_equal(at[:count], np.flatnonzero(row > limit))


def test_a_row_of_a_plane_and_the_one_beside():
    @njit
    def both(planes, at):
        return above(planes[0, 1], 0, planes[1, 1], at)

    planes = np.random.default_rng(3).integers(-1, 2, (2, 3, 77)).astype(np.int32)
    at = np.empty(77, np.int32)
    np.testing.assert_array_equal(at[: both(planes, at)], np.flatnonzero(planes[0, 1] > 0))


def test_a_row_with_gaps_is_refused():
    row = np.ones(80, np.int32)[::2]
    with pytest.raises(TypingError, match="may have gaps"):
        above(row, np.int32(0), row, np.empty(40, np.int64))
