"""The labels of blocks, read as one plane: the same pixels, and no core more than needed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbscale.engine.blocks import overlap, plan_blocks, region_of
from tbscale.engine.merged import KEPT_CORES, MergedLabels, Recent
from tbscale.engine.owned import ArrayLabels, Owned, OwnedStore
from tbscale.engine.plan import plan_segmentation
from tbscale.engine.result import PlaneLabels
from tbscale.engine.segmentation import write_labels
from tbscale.images.open import open_plane
from tbscale.steps import StepClock

SIDE = 24


def discs(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Touching discs of any size, int64, 1 to n."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    labels = np.zeros(shape, np.int64)
    for k in range(1, 40):
        cy, cx, radius = rng.integers(0, shape[0]), rng.integers(0, shape[1]), rng.uniform(0, 8)
        labels[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = k
    return labels


def stored(folder: Path, labels: np.ndarray, core_px: int) -> tuple[MergedLabels, np.ndarray]:
    """Blocks that own the cells whose middle is in their core; and each one's provisional id."""
    store, shape = OwnedStore(folder), (labels.shape[0], labels.shape[1])
    regions, inner, offsets, owners, count = [], [], [], [], 0
    for block in plan_blocks(shape, core_px):
        mine = [
            k
            for k in np.unique(labels[labels > 0])
            for at in [np.argwhere(labels == k).mean(axis=0)]
            if all(s.start <= a < s.stop for s, a in zip(block.core, at, strict=True))
        ]
        y0, x0 = block.core[0].start, block.core[1].start
        region = slice(y0, y0), slice(x0, x0)
        if mine:
            places = np.argwhere(np.isin(labels, mine))
            low, high = places.min(axis=0), places.max(axis=0) + 1
            region = slice(low[0], high[0]), slice(low[1], high[1])
        local = np.zeros(labels.max() + 1, np.uint32)
        local[mine] = np.arange(1, len(mine) + 1)
        n = len(mine)
        owned = Owned(
            region, local[labels[region]], np.zeros(n, np.int64), np.zeros(n, np.int64),
            np.zeros(n), np.zeros((n, 4), np.int64),
        )  # fmt: skip
        store.write(block.index, owned, block.core)
        table = store.table(block.index)
        assert region_of(table["region"]) == region
        regions.append(region)
        inner.append(region_of(table["inner"]))
        offsets.append(count)
        owners += mine
        count += n
    return MergedLabels(store, regions, inner, offsets), np.array(owners, np.int64)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_region_is_that_of_the_plane(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    shape = data.draw(st.tuples(st.integers(1, 50), st.integers(1, 50)))
    labels = discs(shape, data.draw(st.integers(0, 1000)))
    folder = tmp_path_factory.mktemp("store")
    merged, owners = stored(folder, labels, data.draw(st.integers(5, 60)))
    new_id = np.concatenate([[0], owners % 11]).astype(np.uint32)  # 11 and its like are removed
    expected = (labels % 11).astype(np.uint32)
    array = ArrayLabels(labels.astype(np.uint32))
    for _ in range(6):
        y, x = (
            slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))))
            for n in shape
        )
        np.testing.assert_array_equal(merged.read((y, x), new_id), expected[y, x])
        out = np.full((y.stop - y.start, x.stop - x.start), 7, np.uint32)
        assert merged.read((y, x), new_id, out) is out
        np.testing.assert_array_equal(out, expected[y, x])
        of_all = (np.arange(labels.max() + 1) % 11).astype(np.uint32)
        np.testing.assert_array_equal(array.read((y, x), of_all, out), expected[y, x])


def test_a_piece_of_a_core_decodes_that_core_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = discs((3 * SIDE, 3 * SIDE), 5)
    merged, owners = stored(tmp_path, labels, SIDE)
    decoded = []
    decode = OwnedStore.labels

    def counted(self: OwnedStore, index: int, *rest: object) -> np.ndarray:
        decoded.append(index)
        return decode(self, index, *rest)

    monkeypatch.setattr(OwnedStore, "labels", counted)
    new_id = np.concatenate([[0], owners]).astype(np.uint32)
    half = SIDE // 2
    for y in range(SIDE, 2 * SIDE, half):
        for x in range(SIDE, 2 * SIDE, half):
            region = slice(y, y + half), slice(x, x + half)
            np.testing.assert_array_equal(merged.read(region, new_id), labels[region])
    assert decoded == [4]
    merged.forget()
    merged.read((slice(SIDE, SIDE + 1), slice(SIDE, SIDE + 1)), new_id)
    assert decoded == [4, 4]


@pytest.mark.parametrize("core_px", [64, 100, 500])
@pytest.mark.parametrize("name", ["labels.ome.zarr", "labels.ome.tif"])
def test_labels_are_written_whatever_the_blocks(tmp_path: Path, core_px: int, name: str) -> None:
    labels = np.kron(discs((130, 110), 3), np.ones((3, 3), np.int64))
    merged, owners = stored(tmp_path, labels, core_px)
    at = np.flatnonzero(labels == labels.max())[::2]  # as if holes had been filled
    ids = np.concatenate([[0], owners]).astype(np.uint32)
    plane = PlaneLabels(
        merged, ids, at, np.full(len(at), 99, np.uint32), labels.shape, len(owners), 99
    )
    labels.flat[at] = 99
    plan = plan_segmentation(labels.shape, 1 << 40, core_px)
    write_labels(plane, tmp_path / name, plan, None, {}, StepClock())
    everything = slice(None), slice(None)
    np.testing.assert_array_equal(open_plane(tmp_path / name).read(*everything), labels)
    assert not merged._cores._kept  # before the table of cells is made
    assert not merged._beyond._kept


def test_a_value_is_made_once_and_the_last_few_are_kept() -> None:
    made = []

    def make(number: int) -> int:
        made.append(number)
        time.sleep(0.01)
        return -number

    recent = Recent(make, 3)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(recent.get, [1] * 30 + [2] * 30)) == [-1] * 30 + [-2] * 30
    assert sorted(made) == [1, 2]
    assert [recent.get(k) for k in (3, 1, 4, 1, 3)] == [-3, -1, -4, -1, -3]
    assert made == [*made[:2], 3, 4]
    recent.get(2)
    assert made[-1] == 2


def test_an_error_is_raised_in_all_that_wait_and_is_not_kept() -> None:
    ready = threading.Barrier(4)

    def fail(number: int) -> int:
        time.sleep(0.05)
        if number < 0:
            raise ValueError("no such number")
        return number

    recent = Recent(fail, 2)

    def ask(_: int) -> str:
        ready.wait()
        with pytest.raises(ValueError, match="no such number"):
            recent.get(-1)
        return "told"

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == ["told"] * 4
    assert not recent._kept
    assert recent.get(5) == 5


def test_overlaps_lie_inside() -> None:
    one = slice(2, 5), slice(3, 9)
    assert overlap(one, (slice(0, 3), slice(8, 20))) == (slice(2, 3), slice(8, 9))
    assert overlap(one, (slice(7, 9), slice(0, 2))) == (slice(5, 5), slice(3, 3))
    assert KEPT_CORES >= 3  # two parents of chunks take turns


def test_headers_of_arrays_are_parsed_by_one_thread_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # CPython 3.11 fails now and then where two do
    store = OwnedStore(tmp_path)
    box = (slice(0, 20), slice(0, 20))
    nothing = np.zeros(1, np.int64)
    owned = Owned(
        box, np.ones((20, 20), np.uint32), nothing, nothing, np.zeros(1), np.zeros((1, 4), np.int64)
    )
    store.write(0, owned, (slice(0, 15), slice(0, 15)))
    inside, most = [0], [0]
    parse = np.lib.format.read_magic

    def counted(*arguments: Any, **options: Any) -> Any:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.001)
        try:
            return parse(*arguments, **options)
        finally:
            inside[0] -= 1

    monkeypatch.setattr(np.lib.format, "read_magic", counted)
    core = slice(0, 15), slice(0, 15)
    with ThreadPoolExecutor(4) as pool:
        read = [pool.submit(store.beyond, 0) for _ in range(4)]
        decoded = [pool.submit(store.labels, 0, core) for _ in range(4)]
    assert all(one.result().labels.size == 20 * 20 - 15 * 15 for one in read)
    assert all(one.result().all() for one in decoded)
    assert most[0] == 1
