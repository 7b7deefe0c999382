"""What goes into the scratch comes out of it, by any region, in as few bytes as it can."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbscale.engine.kernels.follow import NO_SINK
from tbscale.engine.packed import PackedStore, narrowest, pack
from tbscale.engine.scratch import FlowStore, SinkStore, sink_chunk_px
from tbscale.engine.strips import Rows

SHAPE = (90, 131)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.0, 0.02, 0.4, 1.0]),
    dtype=st.sampled_from(["float32", "int32"]),
    chunk=st.tuples(st.integers(9, 60), st.integers(9, 70)),
    corners=st.tuples(*(st.integers(0, size) for size in (*SHAPE, *SHAPE))),
)
def test_a_region_reads_as_it_was_written(seed, share, dtype, chunk, corners, tmp_path_factory):
    rng = np.random.default_rng(seed)
    mask = rng.random(SHAPE) < share
    largest = int(rng.choice([100, 2**20]))
    values = (rng.normal(size=(*SHAPE, 2)) * largest).astype(dtype) * mask[..., None]
    store = PackedStore(tmp_path_factory.mktemp("packed"), SHAPE, chunk, dtype)
    store.write((slice(0, SHAPE[0]), slice(0, SHAPE[1])), values, mask)
    y, x = sorted(corners[::2]), sorted(corners[1::2])
    region = (slice(*y), slice(min(x[0], SHAPE[1]), x[1]))
    found, found_mask = store.read(region)
    np.testing.assert_array_equal(found, values[region])
    np.testing.assert_array_equal(found_mask, mask[region])
    assert found.dtype == dtype


def test_what_was_not_written_is_background(tmp_path):
    values, mask = PackedStore(tmp_path, SHAPE, (32, 32), "float32").read(
        (slice(3, 40), slice(20, 70))
    )
    assert values.shape == (37, 50, 2)
    assert not values.any()
    assert not mask.any()


def test_only_whole_chunks_are_written(tmp_path):
    store = PackedStore(tmp_path, SHAPE, (32, 32), "float32")
    with pytest.raises(AssertionError):
        store.write((slice(0, 40), slice(0, 32)), np.zeros((40, 32, 2)), np.zeros((40, 32), bool))


def test_numbers_take_two_bytes_where_they_fit():
    assert narrowest(np.array([-32768, 32767], np.int32)) is np.int16
    assert narrowest(np.array([32768], np.int32)) is np.int32
    assert narrowest(np.zeros(0, np.int32)) is np.int16


def test_background_takes_no_room():
    mask = np.zeros((256, 1024), bool)
    mask[::2, :300] = True
    flow = np.random.default_rng(0).normal(size=(256, 1024, 2)).astype(np.float32)
    assert len(pack(flow, mask)) < mask.sum() * 8 + 2000


def test_flows_come_back_bit_by_bit(tmp_path):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, *SHAPE)).astype(np.float32)
    store = FlowStore(tmp_path, SHAPE)
    for start in range(0, SHAPE[0], 37):
        store.append(Rows(start, values[:, start : start + 37]), 0.0)
    flow, foreground = store.read((slice(5, 80), slice(7, 131)))
    inside = values[2, 5:80, 7:] > 0
    np.testing.assert_array_equal(foreground, inside)
    for k in range(2):
        np.testing.assert_array_equal(flow[inside][:, k], values[k, 5:80, 7:][inside] / 5.0)
    assert not flow[~inside].any()


def test_sinks_come_back_from_every_core(tmp_path):
    shape, core_px = (300, 260), 128
    rng = np.random.default_rng(2)
    places = np.mgrid[: shape[0], : shape[1]]
    sinks = np.clip(places + rng.integers(-20, 21, (2, *shape)), 0, 259).astype(np.int32)
    sinks[:, rng.random(shape) < 0.6] = NO_SINK
    sinks[0, 0, 0], sinks[1, 0, 0] = 299, 70_000  # as far as only four bytes can say
    store = SinkStore(tmp_path, shape, core_px)
    assert core_px % sink_chunk_px(core_px) == 0
    for index, y in enumerate(range(0, shape[0], core_px)):
        for x in range(0, shape[1], core_px):
            core = (slice(y, min(y + core_px, 300)), slice(x, min(x + core_px, 260)))
            store.write(index, core, sinks[:, core[0], core[1]], 20)
    np.testing.assert_array_equal(store.read((slice(0, 299), slice(0, 251))), sinks[:, :299, :251])
