"""Resized rows, and the frame of a resized plane, are those of OpenCV and of the reference."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbscale.engine.diameters import Diameters
from tbscale.engine.frame import read_scaled
from tbscale.engine.plan import plan_segmentation
from tbscale.engine.projection import Workload
from tbscale.engine.rescale import (
    SLAB_ROWS,
    Scaling,
    choose_scaling,
    into_frame,
    measured_grade,
    out_of_frame,
    resize_stream,
)
from tbscale.engine.run import Settings
from tbscale.engine.strips import Rows
from tbscale.errors import PlanError
from tbscale.steps import StepClock

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")

HAS_IPP = measured_grade(Scaling(0.7)) == "bit"
FACTORS = st.one_of(
    st.floats(0.2, 4.0), st.sampled_from([0.25, 1 / 3, 0.5, 1.0, 2.0, 3.0, 17 / 13, 17 / 25])
)
SHAPES = st.tuples(st.integers(1, 150), st.integers(1, 150))
MODEL = Diameters(np.float32(17), np.float32(17))


def opencv(pixels, shape):
    """The whole plane at once; float32 (channels, Y, X)."""
    resized = cv2.resize(
        np.ascontiguousarray(pixels.transpose(1, 2, 0)),
        shape[::-1],
        interpolation=cv2.INTER_LINEAR,
    )
    return resized.reshape(*shape, len(pixels)).transpose(2, 0, 1)


def noise(shape, channels, seed):
    return np.random.default_rng(seed).normal(size=(channels, *shape)).astype(np.float32)


def scaled_by(factor, shape):
    return max(1, int(shape[0] * factor)), max(1, int(shape[1] * factor))


@given(SHAPES, FACTORS, st.integers(0, 5), st.integers(1, 60))
@settings(deadline=None)
def test_rows_of_the_frame_equal_opencv_on_the_whole_plane(shape, factor, seed, at_once):
    frame = scaled_by(factor, shape)
    planes, resize = noise(shape, 2, seed), into_frame(shape, frame)
    parts = []
    for start in range(0, frame[0], at_once):
        stop = min(start + at_once, frame[0])
        top, bottom = resize.source_rows(start, stop)
        parts.append(resize.apply(planes[:, top:bottom], top, start, stop))
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), opencv(planes, frame))


def stream_of(values, first_row, heights):
    start = first_row
    for height in itertools.cycle(heights):
        if start >= values.shape[1]:
            return
        stop = min(start + height, values.shape[1])
        yield Rows(start, values[:, start:stop])
        start = stop


@given(
    SHAPES,
    FACTORS,
    st.integers(0, 5),
    st.lists(st.integers(1, 50), min_size=1, max_size=4),
    st.floats(0, 1),
)
@settings(deadline=None)
def test_streamed_flows_equal_opencv_on_the_whole_plane(shape, factor, seed, heights, share):
    frame = scaled_by(factor, shape)
    output, resize = noise(frame, 3, seed), out_of_frame(frame, shape)
    first_row = int(share * (shape[0] - 1))
    stream = stream_of(output, resize.source_rows(first_row, first_row + 1)[0], heights)
    rows = list(resize_stream(stream, resize, first_row, StepClock()))
    assert [r.start for r in rows] == [
        first_row + sum(p.values.shape[1] for p in rows[:k]) for k in range(len(rows))
    ]
    got = np.concatenate([r.values for r in rows], axis=1)
    expected = opencv(output, shape)[:, first_row:]
    if HAS_IPP and shape[1] < 3 * frame[1]:  # beyond, IPP rounds outer columns otherwise
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)


def test_a_large_plane_is_resized_as_a_small_one():
    """OpenCV cuts large planes into parts for its threads; the numbers stay."""
    shape, scaling = (1531, 1207), Scaling(17 / 13)
    frame = scaling.frame(shape)
    planes = noise(shape, 2, 1)
    read = read_scaled(lambda a, b: planes[:, a:b], shape, scaling, StepClock())
    in_frame = read(0, frame[0])
    np.testing.assert_array_equal(in_frame, opencv(planes, frame))
    output = np.concatenate([in_frame, in_frame[:1]])
    resize = out_of_frame(frame, shape)
    rows = list(resize_stream(stream_of(output, 0, [187]), resize, 0, StepClock()))
    assert max(r.values.shape[1] for r in rows) <= SLAB_ROWS
    got, expected = np.concatenate([r.values for r in rows], axis=1), opencv(output, shape)
    np.testing.assert_allclose(got, expected, rtol=0, atol=0 if HAS_IPP else 1e-4)


@pytest.mark.parametrize("factor", [0.11, 0.5, 1.7])
def test_a_read_of_the_frame_holds_few_rows_of_the_plane(factor):
    shape, scaling = (3000, 20), Scaling(factor)
    asked = []

    def read(start, stop):
        asked.append(stop - start)
        return np.zeros((1, stop - start, shape[1]), np.float32)

    read_scaled(read, shape, scaling, StepClock())(0, scaling.frame(shape)[0])
    assert max(asked) <= SLAB_ROWS


@given(SHAPES, st.floats(3, 60), st.booleans())
def test_the_frame_and_the_iterations_are_those_of_the_reference(shape, diameter, is_float32):
    mean = np.float32(17) if is_float32 else 17.0
    scaling = choose_scaling(diameter, Diameters(mean, np.float32(20)))
    rescale = mean / diameter
    sides = [int(side * rescale) for side in shape]
    if min(sides) < 1:
        with pytest.raises(PlanError, match="pass a --diameter of at most"):
            scaling.frame(shape)
    else:
        assert scaling.frame(shape) == tuple(sides)
    assert Settings(scaling=scaling).iterations == int(np.uint32(1 / rescale * 200))
    assert Settings(scaling=scaling, niter=0).iterations == scaling.iterations
    assert Settings(scaling=scaling, niter=7).iterations == 7


def test_the_grade_is_measured_at_the_scale_of_the_run(monkeypatch):
    """OpenCV chooses its code by the CPU: a last bit that differs is near, wherever it happens."""
    assert measured_grade(Scaling()) == "bit"
    resize, asked = cv2.resize, []

    def off_by_a_bit(image, size):
        asked.append((image.shape[:2], size[::-1]))
        out = resize(image, size)
        out[-1, -1] = np.nextafter(out[-1, -1], np.float32(np.inf))
        return out

    monkeypatch.setattr(cv2, "resize", off_by_a_bit)
    assert measured_grade(Scaling(1 / 5)) == "near"
    (source, frame), (again, back) = asked
    assert (source, frame) == (back, again)
    assert frame == tuple(int(side / 5) for side in source)


def test_the_plan_is_that_of_the_frame():
    plan = plan_segmentation((1000, 3000), 8 << 30, work=Workload(frame=(500, 1500)))
    alone = plan_segmentation((500, 1500), 8 << 30)
    assert plan.grid == alone.grid
    assert plan.shape == (1000, 3000)
    resized, as_it_is = (
        dict(plan_segmentation((1000, 3000), 8 << 30, work=work).projection.stages[1].parts)
        for work in (Workload(frame=(1000, 3000)), Workload())
    )
    assert resized["resizing"] > as_it_is["resizing"] == 0
