"""Chunks are worked on by several threads: same pixels, bounded, no waiting for oneself."""

import os
import threading
import time

import numpy as np
import pytest
import tifffile
import zarr

from tbscale.images.cached_plane import cache_chunks
from tbscale.images.labels_out.spool import LabelSpool
from tbscale.images.open import open_plane
from tbscale.images.workers import MOST_WORKERS, ahead, alone, each, worker_count


def test_threads_follow_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert worker_count() == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert worker_count() == MOST_WORKERS
    monkeypatch.setenv("OMP_NUM_THREADS", "none")
    assert 1 <= worker_count() <= MOST_WORKERS


def test_everything_is_done_once_and_by_several(workers):
    names, done = set(), []

    def do(item):
        time.sleep(0.01)
        names.add(threading.get_ident())
        done.append(item)

    each(do, range(12))
    assert sorted(done) == list(range(12))
    assert len(names) == workers


def test_work_inside_work_does_not_wait_for_itself(workers):
    done = []
    each(lambda outer: each(lambda inner: done.append((outer, inner)), range(4)), range(6))
    assert len(done) == 24
    assert [list(ahead(abs, range(-k, 0))) for k in ahead(int, "12345")] == [
        list(range(k, 0, -1)) for k in range(1, 6)
    ]


def test_results_come_in_order_and_few_are_made_ahead(workers):
    started = []

    def slow_first(item):
        started.append(item)
        time.sleep(0.05 if item == 0 else 0)
        return item * item

    for count, result in enumerate(ahead(slow_first, range(20))):
        assert result == count * count
        assert len(started) <= count + workers + 2


def test_the_first_error_is_raised(workers):
    def fail(item):
        if item == 3:
            raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 3"):
        each(fail, range(8))
    with pytest.raises(ValueError, match="item 3"):
        list(ahead(fail, range(8)))


@pytest.mark.parametrize("compression", ["adobe_deflate", "zstd", "lzw"])
def test_a_region_of_many_chunks_is_read_whole(tmp_path, workers, compression):
    pixels = np.random.default_rng(0).integers(0, 900, (300, 410)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", pixels, tile=(64, 64), compression=compression)
    plane = open_plane(tmp_path / "x.tif")
    region = (slice(37, 290), slice(5, 401))
    np.testing.assert_array_equal(plane.read(*region), pixels[region])
    cached = cache_chunks(plane, 2 * 64 * 64 * 8)
    for y in range(0, 300, 30):
        rows = (slice(y, y + 30), slice(0, 410))
        np.testing.assert_array_equal(cached.read(*rows), pixels[rows])


def test_each_chunk_is_decoded_once_from_top_to_bottom(tmp_path, workers):
    pixels = np.random.default_rng(0).integers(0, 900, (256, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", pixels, tile=(64, 64), compression="zstd")
    whole = open_plane(tmp_path / "x.tif")
    whole.read(slice(0, 256), slice(0, 256))
    plane = open_plane(tmp_path / "x.tif")
    cached = cache_chunks(plane, 64 * 256 * 2)
    for y in range(0, 256, 16):
        cached.read(slice(y, y + 16), slice(0, 256))
    assert plane.bytes_read == whole.bytes_read
    assert cached.kept_bytes <= 64 * 256 * 2


def test_nothing_runs_any_more_when_the_first_error_is_raised(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    running = []

    def do(item):
        running.append(item)
        time.sleep(0.1 if item else 0.01)
        running.remove(item)
        if item == 0:
            raise ValueError("item 0")

    with pytest.raises(ValueError, match="item 0"):
        each(do, range(9))
    assert running == []


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_workers_of_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    each(abs, range(8))
    child = os.fork()
    if child == 0:
        done = []
        each(done.append, range(8))
        os._exit(len(done))
    deadline = time.monotonic() + 20
    ended, status = os.waitpid(child, os.WNOHANG)
    while ended == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
        ended, status = os.waitpid(child, os.WNOHANG)
    if ended == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert ended == child
    assert os.waitstatus_to_exitcode(status) == 8


def test_labels_written_by_several_threads_are_those_that_were_given(tmp_path, workers):
    labels = np.random.default_rng(1).integers(0, 70000, (500, 380)).astype(np.uint32)
    spool = LabelSpool(tmp_path / "s.zarr", labels.shape, 64)
    spool.write(slice(0, 333), slice(0, 380), labels[:333])
    spool.write(slice(333, 500), slice(0, 380), labels[333:])
    np.testing.assert_array_equal(spool.read(slice(0, 500), slice(0, 380)), labels)
    levels = spool.build_pyramid()
    group = zarr.open_group(tmp_path / "s.zarr")
    for level in range(len(levels)):
        expected = labels[:: 2**level, :: 2**level]
        np.testing.assert_array_equal(np.asarray(group[str(level)]), expected)
    assert len(levels) == 4


def test_what_lies_beyond_is_begun_where_it_is_all_there_is(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    done = threading.Event()
    each(lambda _: done.set(), [], beyond=[1])
    assert done.wait(timeout=20)


def test_inside_alone_work_stays_in_its_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    seen = set()

    def note(_):
        seen.add(threading.get_ident())

    with alone():
        with alone():
            each(note, range(9))
        each(note, range(9))
        list(ahead(note, range(9)))
    assert seen == {threading.get_ident()}
    each(note, range(9))
    assert len(seen) > 1
