"""Agreement of labels, against brute force over cells."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tbscale.bench import agreement
from tbscale.bench.agreement import (
    average_precision,
    compare_labels,
    count_overlaps,
    matched_cells,
    same_partition,
)
from tbscale.errors import RecordError

Labels = NDArray[Any]
small_labels = arrays(np.uint32, (5, 6), elements=st.integers(0, 4))


def brute_iou(labels: Labels, reference: Labels) -> NDArray[np.float64]:
    ids, others = np.unique(labels[labels > 0]), np.unique(reference[reference > 0])
    iou = np.zeros((len(ids), len(others)))
    for i, one in enumerate(ids):
        for j, other in enumerate(others):
            a, b = labels == one, reference == other
            iou[i, j] = (a & b).sum() / (a | b).sum()
    return iou


def brute_matched(iou: NDArray[np.float64], threshold: float) -> int:
    """The best of all assignments, by trying every one."""
    iou = iou if iou.shape[0] <= iou.shape[1] else iou.T
    rows, columns = iou.shape
    return max(
        sum(bool(iou[i, j] >= threshold) for i, j in enumerate(chosen))
        for chosen in permutations(range(columns), rows)
    )


@settings(max_examples=150, deadline=None)
@given(small_labels, small_labels, st.sampled_from([0.25, 0.5, 0.75, 0.9, 1.0]), st.integers(1, 6))
def test_average_precision_is_that_of_the_best_assignment(
    labels: Labels, reference: Labels, threshold: float, strip_px: int
) -> None:
    iou = brute_iou(labels, reference)
    overlaps = count_overlaps(labels, reference, strip_px)
    matched = brute_matched(iou, threshold)
    assert matched_cells(overlaps, threshold) == matched
    total = sum(iou.shape) - matched
    expected = matched / total if total else 1.0
    assert average_precision(overlaps, threshold) == pytest.approx(expected)


@settings(max_examples=100, deadline=None)
@given(small_labels, small_labels)
def test_differing_share_by_brute_force(labels: Labels, reference: Labels) -> None:
    agreeing = 0
    for one in np.unique(labels[labels > 0]):
        for other in np.unique(reference[reference > 0]):
            a, b = labels == one, reference == other
            if (a & b).sum() / (a | b).sum() > 0.5:
                agreeing += (a & b).sum()
    foreground = ((labels > 0) | (reference > 0)).sum()
    expected = 1 - agreeing / foreground if foreground else 0.0
    assert agreement.differing_share(count_overlaps(labels, reference)) == pytest.approx(expected)


@settings(max_examples=100, deadline=None)
@given(small_labels, st.permutations(range(1, 5)), st.integers(1, 2**31))
def test_partition_forgets_ids_only(labels: Labels, order: list[int], offset: int) -> None:
    table = np.array([0, *(offset + n for n in order)], np.uint32)
    renamed = table[labels]
    assert same_partition(count_overlaps(labels, renamed))
    compared = compare_labels(labels, renamed)
    assert compared.grade in ("bit", "partition")
    assert set(compared.ap.values()) == {1.0}
    assert compared.differing_share == 0


@settings(max_examples=150, deadline=None)
@given(small_labels, small_labels)
def test_partition_equality_by_brute_force(labels: Labels, reference: Labels) -> None:
    cells = {frozenset(np.flatnonzero(labels == n)) for n in np.unique(labels) if n}
    others = {frozenset(np.flatnonzero(reference == n)) for n in np.unique(reference) if n}
    assert same_partition(count_overlaps(labels, reference)) == (cells == others)


def squares(size_px: int, pitch_px: int) -> Labels:
    """Cells of (pitch - 2)^2 pixels on a grid, ids from 1."""
    y, x = np.mgrid[0:size_px, 0:size_px]
    ids = 1 + y // pitch_px * (size_px // pitch_px + 1) + x // pitch_px
    inside = (y % pitch_px > 1) & (x % pitch_px > 1)
    return np.where(inside, ids, 0).astype(np.uint32)


def test_grades_from_bit_to_ap() -> None:
    reference = squares(400, 10)
    assert compare_labels(reference, reference.copy()).grade == "bit"
    renamed = np.where(reference > 0, reference + 7, 0)
    assert compare_labels(renamed, reference).grade == "partition"
    moved = reference.copy()
    moved[0, 2] = moved[2, 2]  # one pixel of 102,400: still within 1 in 100,000
    assert compare_labels(moved, reference).grade == "near"
    merged = np.where(reference == 2, 1, reference)
    assert compare_labels(merged, reference).grade == "ap"


def test_cells_of_equal_halves_are_matched_once_at_half() -> None:
    """Two halves reach IoU 0.5 with the whole: one true positive, not two."""
    whole, halves = np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])
    overlaps = count_overlaps(halves, whole)
    assert matched_cells(overlaps, 0.5) == 1
    assert average_precision(overlaps, 0.5) == 0.5


def test_empty_planes_agree_and_shapes_must() -> None:
    empty = np.zeros((4, 4), np.uint16)
    assert compare_labels(empty, empty).grade == "bit"
    some = np.eye(4, dtype=np.uint16)
    assert compare_labels(empty, some).ap == {0.5: 0.0, 0.75: 0.0, 0.9: 0.0}
    assert compare_labels(empty, some).differing_share == 1.0
    with pytest.raises(RecordError, match="cannot be compared"):
        compare_labels(empty, np.zeros((4, 5), np.uint16))


@pytest.mark.slow
def test_a_million_cells_in_seconds() -> None:
    reference = squares(10_000, 10)
    compared = compare_labels(np.where(reference > 0, reference + 1, 0), reference)
    assert compared.cells == 1_000_000
    assert compared.grade == "partition"
