"""The pyramid that is made while labels are written is that which is made from the disk."""

import faulthandler
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from label_files import ALL, Padded, Source, blocks, cells, read_levels

from tbscale.images.labels_out import halves, open_label_writer
from tbscale.images.labels_out.chunks import LabelChunks
from tbscale.images.labels_out.halves import by_quarters
from tbscale.images.labels_out.spool import LabelSpool
from tbscale.images.workers import each

Region = tuple[slice, slice]


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the group's document, which comes at the end."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path != folder / "zarr.json"
    }


def remade(monkeypatch: pytest.MonkeyPatch) -> list[Region]:
    """Collects the chunks that are made from the disk from here on."""
    found: list[Region] = []
    read = LabelChunks.read_halved

    def counted(self: LabelChunks, y: slice, x: slice) -> np.ndarray:
        found.append((y, x))
        return read(self, y, x)

    monkeypatch.setattr(LabelChunks, "read_halved", counted)
    return found


def assert_levels(spool: LabelSpool, labels: np.ndarray) -> None:
    for n, level in enumerate(spool.build_pyramid()):
        height, width = level.shape
        expected = labels[:: 2**n, :: 2**n]
        np.testing.assert_array_equal(level.read(slice(0, height), slice(0, width)), expected)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_it_leaves_the_files_of_a_pyramid_made_from_the_disk(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("spools")
    shape = data.draw(st.tuples(st.integers(1, 150), st.integers(1, 150)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    at_hand, from_disk = (LabelSpool(folder / str(k), shape, 16, resume=k > 0) for k in range(2))
    for _ in range(data.draw(st.integers(1, 5))):
        unit = int(rng.choice([1, 16, 32, 1000]))
        y, x = (
            slice(*sorted(min(side, unit * int(k)) for k in rng.integers(0, side // unit + 2, 2)))
            for side in shape
        )
        labels = np.zeros(shape, np.uint32)
        labels[y, x] = rng.integers(0, 3, labels[y, x].shape)
        how = rng.choice(["write", "merge", "write_from"], p=[0.3, 0.2, 0.5])
        source = Padded if rng.random() < 0.5 else Source
        for spool in (at_hand, from_disk):
            given_labels = source(labels) if how == "write_from" else labels[y, x]
            arguments = (given_labels, y, x) if how == "write_from" else (y, x, given_labels)
            getattr(spool, how)(*arguments)
        if rng.random() < 0.15:
            at_hand.build_pyramid()
    at_hand.build_pyramid()
    from_disk.build_pyramid()
    assert files(folder / "0") == files(folder / "1")


@pytest.mark.parametrize("how", ["blocks", "source", "one by one"])
def test_whole_chunks_leave_nothing_to_be_made_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    labels = cells(131, 101) if how == "one by one" else cells(301, 211)
    found = remade(monkeypatch)
    spool = LabelSpool(tmp_path / "spool", labels.shape, 16)
    if how == "source":
        spool.write_from(Source(labels), ALL, ALL)
    else:
        for y, x in blocks(labels.shape, 32 if how == "blocks" else 16):
            spool.write(y, x, labels[y, x])
    assert_levels(spool, labels)
    assert found == []


def test_a_part_of_a_chunk_leaves_what_lies_below_it_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = cells(128, 128)
    whole = slice(48, 64), slice(32, 48)
    part = slice(49, 64), slice(32, 48)

    def write(spool: LabelSpool, region: Region) -> None:
        labels[region] += 1
        spool.write(*region, labels[region])

    def merge(spool: LabelSpool, region: Region) -> None:
        labels[region] = 9
        spool.merge(*region, labels[region])

    for k, (change, region) in enumerate([(write, part), (merge, whole), (write, whole)]):
        for first in (False, True):
            spool = LabelSpool(tmp_path / f"{k}{first}", labels.shape, 16)
            if first and region == part:
                change(spool, region)
            spool.write_from(Source(labels), ALL, ALL)
            if not first or region == whole:
                change(spool, region)
            with monkeypatch.context() as patch:
                found = remade(patch)
                assert_levels(spool, labels)
            assert sorted(y.start for y, _ in found) == [0, 0, 16]  # one chunk of each lower level
            assert len(found) == 3


def test_a_change_while_a_chunk_below_is_stored_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    labels = cells(64, 64)
    spool = LabelSpool(tmp_path / "spool", labels.shape, 16)
    store, changed = LabelChunks.store, []

    def meanwhile(self: LabelChunks, corner: tuple[int, int], chunk: np.ndarray) -> None:
        if self.shape != labels.shape and not changed:
            changed.append(corner)
            labels[:8, :8] = 77
            spool.write(slice(0, 8), slice(0, 8), labels[:8, :8])
        store(self, corner, chunk)

    monkeypatch.setattr(LabelChunks, "store", meanwhile)
    spool.write_from(Source(labels.copy()), ALL, ALL)
    assert changed == [(0, 0)]
    assert_levels(spool, labels)


def test_what_was_not_written_is_made_at_the_end(tmp_path: Path) -> None:
    labels = cells(128, 128)
    labels[64:96, 16:48] = 0
    spool = LabelSpool(tmp_path / "spool", labels.shape, 16)
    for y, x in blocks(labels.shape, 16):
        if labels[y, x].any():
            spool.write(y, x, labels[y, x])
    assert_levels(spool, labels)
    labels[64:80, 16:32] = 5  # after the pyramid was built
    spool.write(slice(64, 80), slice(16, 32), labels[64:80, 16:32])
    assert_levels(spool, labels)


@pytest.mark.parametrize("order", ["by rows", "shuffled", "by quarters"])
def test_few_chunks_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    monkeypatch.setattr(halves, "MOST_HELD", 6)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    most = 0
    take = halves.Halves._take

    def counted(self: halves.Halves, k: int, corner: tuple[int, int], pixels: np.ndarray) -> None:
        nonlocal most
        take(self, k, corner, pixels)
        most = max(most, self._held)

    monkeypatch.setattr(halves.Halves, "_take", counted)
    found = remade(monkeypatch)
    labels = cells(400, 400)
    pieces = blocks(labels.shape, 16)
    if order == "shuffled":
        pieces = [pieces[k] for k in np.random.default_rng(0).permutation(len(pieces))]
    elif order == "by quarters":
        pieces.sort(key=lambda piece: by_quarters((piece[0].start // 16, piece[1].start // 16)))
    spool = LabelSpool(tmp_path / "spool", labels.shape, 16)
    for y, x in pieces:
        spool.write(y, x, labels[y, x])
    assert_levels(spool, labels)
    assert most <= 6
    assert (found == []) == (order == "by quarters")


@pytest.mark.parametrize("count", ["1", "2", "8"])
def test_threads_that_write_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", count)
    labels = cells(300, 260)
    regions = [*blocks(labels.shape, 32), *blocks(labels.shape, 48), *blocks(labels.shape, 16)]
    for k in range(3):
        spool = LabelSpool(tmp_path / f"{count}{k}", labels.shape, 16)
        order = np.random.default_rng(k).permutation(len(regions) if k else 90)
        chosen = [regions[n] for n in order]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(spool.write, *zip(*((*r, labels[r]) for r in chosen), strict=True)))
        if k == 0:
            spool.write_from(Source(labels), ALL, ALL)
        assert_levels(spool, labels)


def test_workers_that_finish_labels_do_not_wait_for_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    labels = cells(200, 200)

    def write(name: str) -> None:
        with open_label_writer(tmp_path / f"{name}.zarr", labels.shape, chunk_px=16) as writer:
            writer.write_from(Source(labels))

    faulthandler.dump_traceback_later(60, exit=True)
    each(write, "abcdef", "write")
    faulthandler.cancel_dump_traceback_later()
    for name in "abcdef":
        for n, level in enumerate(read_levels(tmp_path / f"{name}.zarr")):
            np.testing.assert_array_equal(level, labels[:: 2**n, :: 2**n])


def test_a_source_is_asked_once_for_each_chunk_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    labels = np.kron(np.arange(1, 17, dtype=np.uint32).reshape(4, 4), np.ones((512, 512), "u4"))

    class Made(Source):
        def read(self, y: slice, x: slice) -> np.ndarray:
            return super().read(y, x).copy()

    with open_label_writer(tmp_path / "kernels.zarr", labels.shape, chunk_px=128) as writer:
        writer.write_from(Made(labels))  # they are compiled
    source = Made(labels)
    writer = open_label_writer(tmp_path / "labels.zarr", labels.shape, chunk_px=128)
    tracemalloc.start()
    writer.write_from(source)
    writer.finish()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < labels.nbytes // 4
    assert sorted(source.asked, key=str) == sorted(blocks(labels.shape, 128), key=str)
    assert np.array_equal(read_levels(tmp_path / "labels.zarr")[0], labels)


def test_a_chunk_that_stands_alone_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.ascontiguousarray(cells(32, 16))
    monkeypatch.setattr("tbscale.images.labels_out.chunks._scratch", None)
    spool = LabelSpool(tmp_path / "spool", labels.shape, 16)
    spool.write(slice(0, 16), ALL, labels[:16])
    assert np.array_equal(zarr.open_array(spool.directory / "0")[:16], labels[:16])
