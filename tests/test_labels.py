"""Label facts: the checksum is of the partition, whatever ids, strips and dtype."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tbscale.engine.workload.labels import label_facts, write_labels

small_labels = hnp.arrays(np.uint32, (7, 6), elements=st.integers(0, 5))


def in_raster_order(labels: NDArray[Any]) -> NDArray[np.uint32]:
    """Renumber by walking over the pixels."""
    seen: dict[int, int] = {0: 0}
    flat = [seen.setdefault(int(old), len(seen)) for old in labels.ravel()]
    return np.array(flat, np.uint32).reshape(labels.shape)


@settings(max_examples=150, deadline=None)
@given(small_labels, small_labels, st.integers(1, 7), st.integers(1, 7))
def test_equal_checksums_are_equal_partitions(
    labels: NDArray[Any], other: NDArray[Any], strip_px: int, other_strip_px: int
) -> None:
    facts, others = label_facts(labels, strip_px), label_facts(other, other_strip_px)
    same = np.array_equal(in_raster_order(labels), in_raster_order(other))
    assert (facts.sha256 == others.sha256) == same
    assert facts.cells == len(np.unique(labels[labels > 0]))
    assert facts.foreground_pixels == (labels > 0).sum()


@settings(max_examples=100, deadline=None)
@given(small_labels, st.permutations(range(1, 6)), st.integers(1, 2**31), st.integers(1, 7))
def test_ids_do_not_matter(
    labels: NDArray[Any], order: list[int], offset: int, strip_px: int
) -> None:
    table = np.array([0, *(offset + n for n in order)], np.uint32)
    assert label_facts(table[labels], strip_px) == label_facts(labels.astype(np.uint16))


def test_shape_matters() -> None:
    labels = np.zeros((2, 6), np.uint16)
    assert label_facts(labels).sha256 != label_facts(labels.reshape(3, 4)).sha256


def test_written_labels_are_read_back(tmp_path: Path) -> None:
    labels = np.arange(700 * 530, dtype=np.uint32).reshape(700, 530)
    write_labels(labels, tmp_path / "labels.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), labels)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.tif"]
