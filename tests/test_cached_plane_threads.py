"""A cached plane is read by several threads: chunks ahead, nobody waits for oneself or in vain."""

import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from tbscale.images.cached_plane import cache_chunks, row_of_chunks_bytes
from tbscale.images.open import open_plane
from tbscale.images.workers import each


class Noting:
    """Another plane that notes which chunks were read, and by which kind of thread."""

    def __init__(self, plane, fails=()):
        self.plane, self.fails, self.read_by = plane, list(fails), {}

    def __getattr__(self, name):
        return getattr(self.plane, name)

    def read(self, y, x):
        place = y.start // self.chunk_shape[0], x.start // self.chunk_shape[1]
        assert place not in self.read_by, "a chunk is read once"
        time.sleep(0.005)
        if place in self.fails:
            self.fails.remove(place)
            raise ValueError(f"chunk {place}")
        self.read_by[place] = threading.current_thread().name.partition("_")[0]
        return self.plane.read(y, x)


def wait_until(holds):
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert holds()


GEOMETRIES = [{"tile": (64, 64)}, {"rowsperstrip": 16}, {"rowsperstrip": 100}, {"tile": (16, 128)}]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("rows", [64, 37])
def test_reads_from_top_to_bottom_have_the_next_chunks_decoded_ahead(
    tmp_path, workers, geometry, rows
):
    pixels = np.random.default_rng(0).integers(0, 900, (300, 410)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", pixels, compression="zstd", **geometry)
    noting = Noting(open_plane(tmp_path / "x.tif"))
    room = row_of_chunks_bytes(noting)
    cached = cache_chunks(noting, room)
    for y in range(0, 300, rows):
        part = slice(y, min(y + rows, 300)), slice(0, 410)
        np.testing.assert_array_equal(cached.read(*part), pixels[part])
        assert cached.kept_bytes <= room
        met = -(-part[0].stop // noting.chunk_shape[0]) * -(-410 // noting.chunk_shape[1])
        grid = -(-300 // noting.chunk_shape[0]) * -(-410 // noting.chunk_shape[1])
        if workers > 1:
            wait_until(lambda: len(noting.read_by) > min(met, grid - 1))  # noqa: B023
        else:
            assert len(noting.read_by) == met
    assert len(noting.read_by) == grid


def test_reads_of_some_columns_decode_nothing_ahead(tmp_path, workers):
    pixels = np.zeros((300, 410), np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", pixels, compression="zstd", tile=(64, 64))
    noting = Noting(open_plane(tmp_path / "x.tif"))
    cached = cache_chunks(noting, row_of_chunks_bytes(noting))
    cached.read(slice(0, 64), slice(0, 400))
    time.sleep(0.05)
    assert set(noting.read_by) == {(0, column) for column in range(7)}


def test_a_chunk_that_failed_ahead_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    pixels = np.random.default_rng(0).integers(0, 900, (300, 410)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", pixels, compression="zstd", tile=(64, 64))
    noting = Noting(open_plane(tmp_path / "x.tif"), fails=[(1, 0), (1, 1)])
    cached = cache_chunks(noting, row_of_chunks_bytes(noting))
    cached.read(slice(0, 64), slice(0, 410))
    wait_until(lambda: (1, 2) in noting.read_by)
    np.testing.assert_array_equal(cached.read(slice(64, 128), slice(0, 410)), pixels[64:128])
    noting.fails = [(3, 6)]
    with pytest.raises(ValueError, match=r"chunk \(3, 6\)"):
        cached.read(slice(128, 256), slice(0, 410))


def test_a_width_that_chunks_do_not_divide_is_fetched_by_several_too(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    pixels = np.random.default_rng(0).integers(0, 900, (100, 250)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", pixels, tile=(64, 64), compression="zstd")
    plane = open_plane(tmp_path / "x.tif")
    threads = set()

    class Watched:
        def __getattr__(self, name):
            return getattr(plane, name)

        def read(self, y, x):
            threads.add(threading.current_thread().name.partition("_")[0])
            time.sleep(0.01)
            return plane.read(y, x)

    cached = cache_chunks(Watched(), row_of_chunks_bytes(plane))
    np.testing.assert_array_equal(cached.read(slice(0, 30), slice(0, 250)), pixels[:30])
    assert threads == {"read"}, "none of the chunks was read by who asked"


def test_a_chunk_that_is_being_read_is_waited_for(tmp_path):
    """One strip holds the plane: several windows at once decode it once."""
    reads = []

    class Slow:
        shape, chunk_shape, dtype, bytes_read = (64, 64), (64, 64), np.dtype(np.uint16), 0

        def read(self, y, x):
            reads.append((y, x))
            time.sleep(0.05)
            return np.ones((64, 64), np.uint16)

    cached = cache_chunks(Slow(), 64 * 64 * 2)
    with ThreadPoolExecutor(4) as pool:
        windows = [slice(k, k + 16) for k in range(0, 64, 16)]
        assert all(part.all() for part in pool.map(lambda y: cached.read(y, slice(0, 64)), windows))
    assert len(reads) == 1


def test_who_waits_for_a_chunk_that_fails_is_told(tmp_path):
    class Broken:
        shape, chunk_shape, dtype, bytes_read = (64, 64), (64, 64), np.dtype(np.uint16), 0

        def read(self, y, x):
            time.sleep(0.05)
            raise ValueError("damaged")

    cached = cache_chunks(Broken(), 64 * 64 * 2)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(cached.read, slice(0, 9), slice(0, 9)) for _ in range(3)]
        for one in asked:
            with pytest.raises(ValueError, match="damaged"):
                one.result()


def read_where_both_workers_wait():
    """Two threads beside the pool begin a chunk each; both workers wait for those, then they read.

    Their plane reads by `each`: were that to ask the pool, it would wait for the workers.
    """
    os.environ["OMP_NUM_THREADS"] = "2"
    begun, pool_waits = [threading.Barrier(3, timeout=20) for _ in range(2)]

    class Inner:
        shape, chunk_shape, dtype, bytes_read = (64, 128), (64, 64), np.dtype(np.uint16), 0

        def read(self, y, x):
            begun.wait()
            pool_waits.wait()
            time.sleep(0.05)
            each(lambda k: None, range(4))
            return np.ones((64, 64), np.uint16)

    cached = cache_chunks(Inner(), 2 * 64 * 64 * 2)
    with ThreadPoolExecutor(3) as outside:
        single = [outside.submit(cached._chunk, (0, column)) for column in range(2)]
        begun.wait()
        both = outside.submit(each, cached._chunk, [(0, 0), (0, 1)])
        pool_waits.wait()
        assert all(one.result().all() for one in single)
        both.result()
    assert cached.read(slice(0, 64), slice(0, 128)).all()


def test_a_chunk_that_others_wait_for_asks_no_pool():
    """In a process of its own, which can be ended where its threads wait for ever."""
    child = multiprocessing.get_context("spawn").Process(target=read_where_both_workers_wait)
    child.start()
    child.join(60)
    try:
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()
