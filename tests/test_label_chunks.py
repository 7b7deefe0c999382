"""The chunks of labels are those of a Zarr array, and change where they should."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from label_files import ALL, blocks, cells

from tbscale.errors import ImageError
from tbscale.images.labels_out.chunks import LabelChunks
from tbscale.images.labels_out.codes import ZARR_CODE
from tbscale.images.labels_out.spool import LabelSpool


def whole(level: LabelChunks) -> tuple[slice, slice]:
    return slice(0, level.shape[0]), slice(0, level.shape[1])


def test_zarr_reads_the_chunks_that_were_written_here(tmp_path: Path) -> None:
    labels = cells(70, 50)
    spool = LabelSpool(tmp_path / "spool", labels.shape, 32)
    for y, x in blocks(labels.shape, 30):
        spool.write(y, x, labels[y, x])
    assert np.array_equal(np.asarray(zarr.open_array(spool.directory / "0")), labels)
    spool.merge(slice(30, 40), slice(0, 50), np.zeros((10, 50), np.uint32))
    assert np.array_equal(np.asarray(zarr.open_array(spool.directory / "0")), labels)


def test_labels_of_zeros_leave_no_chunk(tmp_path: Path) -> None:
    spool = LabelSpool(tmp_path / "spool", (64, 64), 32)
    spool.write(ALL, ALL, np.full((64, 64), 5, np.uint32))
    spool.write(slice(0, 32), ALL, np.zeros((32, 64), np.uint32))
    stored = sorted(
        path.relative_to(tmp_path / "spool" / "0" / "c").as_posix()
        for path in (tmp_path / "spool" / "0" / "c").rglob("*")
        if path.is_file()
    )
    assert stored == ["1/0", "1/1"]


@pytest.mark.parametrize("way", [1, -1])
def test_nothing_of_a_chunk_is_left_beyond_the_border_in_the_next(tmp_path: Path, way: int) -> None:
    level = LabelChunks(tmp_path, "0", (53, 41), 16)
    full = np.full(level.chunks, 3, np.uint32)
    for corner in list(level.corners())[::way]:
        y, x = level.chunk_at(corner)
        inside = slice(0, y.stop - y.start), slice(0, x.stop - x.start)
        level.put(y, x, full[inside])
        expected = np.zeros(level.chunks, np.uint32)
        expected[inside] = 3
        found, code = np.empty(level.chunks, np.uint32), level.stored(corner)
        assert code is not None
        assert ZARR_CODE.decode(code, found)
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: b"no code" + raw])
def test_a_damaged_chunk_is_one_sentence(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    spool = LabelSpool(tmp_path / "spool", (32, 32), 32)
    spool.write(ALL, ALL, cells(32, 32))
    chunk = tmp_path / "spool" / "0" / "c" / "0" / "0"
    chunk.write_bytes(damage(chunk.read_bytes()))
    with pytest.raises(ImageError, match="--restart"):
        spool.read(ALL, ALL)


def test_a_pyramid_is_rebuilt_when_labels_change(tmp_path: Path) -> None:
    """Stale levels of an earlier finish must not show through, not even where all is 0 now."""
    spool = LabelSpool(tmp_path / "spool", (64, 64), 16)
    spool.write(ALL, ALL, np.full((64, 64), 5, np.uint32))
    spool.build_pyramid()
    spool.write(ALL, ALL, np.zeros((64, 64), np.uint32))
    assert all(not level.read(*whole(level)).any() for level in spool.build_pyramid())


def test_chunks_that_zarr_wrote_are_read_and_merged_into(tmp_path: Path) -> None:
    labels = cells(70, 50)
    spool = LabelSpool(tmp_path / "spool", labels.shape, 32, resume=True)
    zarr.open_array(spool.directory / "0")[:] = labels
    resumed = LabelSpool(tmp_path / "spool", labels.shape, 32, resume=True)
    assert np.array_equal(resumed.read(ALL, ALL), labels)
    resumed.merge(slice(20, 45), slice(10, 40), np.full((25, 30), 7, np.uint32))
    labels[20:45, 10:40] = 7
    assert np.array_equal(np.asarray(zarr.open_array(resumed.directory / "0")), labels)


def test_two_writers_at_one_chunk_leave_one_of_them_whole(tmp_path: Path) -> None:
    spools = [LabelSpool(tmp_path / "spool", (64, 64), 64, resume=True) for _ in range(2)]
    fills = [np.full((64, 64), value, np.uint32) for value in (3, 4)]

    def write(number: int) -> None:
        for _ in range(100):
            spools[number].write(ALL, ALL, fills[number])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(2)))
    assert np.unique(spools[0].read(ALL, ALL)).tolist() in ([3], [4])
    assert not list(tmp_path.rglob("*.partial"))


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 8),
)
def test_every_level_is_every_second_pixel_of_the_one_before(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int], seed: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    spool = LabelSpool(tmp_path_factory.mktemp("spool") / "s", shape, 16)
    expected = np.zeros(shape, np.uint32)
    for _ in range(count):
        # half of the regions begin and end at chunks, so that some decide a chunk of the next level
        unit = int(rng.choice([1, 32]))
        y, x = (
            slice(*sorted(min(side, unit * int(k)) for k in rng.integers(0, side // unit + 2, 2)))
            for side in shape
        )
        labels = rng.integers(0, 3, expected[y, x].shape).astype(np.uint32)
        if rng.random() < 0.3:
            spool.merge(y, x, labels)
            expected[y, x] = np.where(labels, labels, expected[y, x])
        else:
            spool.write(y, x, labels)
            expected[y, x] = labels
        if rng.random() < 0.2:
            spool.build_pyramid()
    for n, level in enumerate(spool.build_pyramid()):
        np.testing.assert_array_equal(level.read(*whole(level)), expected[:: 2**n, :: 2**n])


def test_two_resumed_writers_agree_on_every_level(tmp_path: Path) -> None:
    everything = slice(0, 64), slice(0, 64)
    one, other = (LabelSpool(tmp_path / "s", (64, 64), 16, resume=True) for _ in range(2))
    one.write(*everything, np.ones((64, 64), np.uint32))
    other.write(*everything, np.full((64, 64), 2, np.uint32))
    for level in one.build_pyramid():
        assert (level.read(*whole(level)) == 2).all()
