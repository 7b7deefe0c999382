"""A cached plane equals the plane, keeps no more than it may, and spares the file."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st

from tbscale.engine.grid import plan_tiles
from tbscale.engine.projection import Workload, project
from tbscale.errors import ImageError
from tbscale.images.cached_plane import (
    CachedPlane,
    beside_bytes,
    cache_chunks,
    row_of_chunks_bytes,
    rows_of_chunks_bytes,
)
from tbscale.images.omezarr import ZarrPlane
from tbscale.images.open import open_plane
from tbscale.images.plane import ArrayPlane, ByteCount, CroppedPlane, crop_plane

ALL = slice(None)


class Chunked(ArrayPlane):
    """A plane in memory that says it has chunks."""

    @property
    def chunk_shape(self) -> tuple[int, int]:
        return 7, 11


@given(st.data())
def test_it_equals_the_plane(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    pixels = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)
    plane = CachedPlane(Chunked(pixels), data.draw(st.integers(154, 2000)))
    for _ in range(4):
        y0, x0 = (data.draw(st.integers(0, n)) for n in shape)
        y1, x1 = data.draw(st.integers(y0, shape[0])), data.draw(st.integers(x0, shape[1]))
        found = plane.read(slice(y0, y1), slice(x0, x1))
        assert np.array_equal(found, pixels[y0:y1, x0:x1])
        found[:] = 0  # a copy: what is kept stays


@pytest.mark.parametrize("capacity", [154, 500, 1000])
def test_it_keeps_no_more_than_it_may(capacity: int) -> None:
    plane = CachedPlane(Chunked(np.zeros((40, 40), np.uint16)), capacity)
    for start in range(0, 33, 3):
        plane.read(slice(start, start + 7), slice(start, start + 7))
        assert 0 < plane.kept_bytes <= capacity


@pytest.fixture
def tiled(tmp_path: Path) -> Path:
    path = tmp_path / "image.tif"
    pixels = np.random.default_rng(0).integers(0, 1000, (200, 150)).astype(np.uint16)
    tifffile.imwrite(path, pixels, tile=(64, 64), compression="zstd")
    return path


def test_strips_from_top_to_bottom_decode_each_chunk_once(tiled: Path) -> None:
    plain = open_plane(tiled)
    plain.read(ALL, ALL)
    plane = cache_chunks(open_plane(tiled), row_of_chunks_bytes(plain))
    for y in range(0, 200, 20):
        plane.read(slice(y, y + 20), ALL)
    assert plane.bytes_read == plain.bytes_read


@pytest.mark.parametrize("left", [0, 70])
def test_strips_of_a_crop_decode_each_chunk_of_the_file_once(tiled: Path, left: int) -> None:
    """Its borders cut chunks; what lies beyond is kept with them, and planned for."""
    region = slice(30, 195), slice(left, 140)
    whole = open_plane(tiled)
    pixels = whole.read(*region)
    crop = crop_plane(open_plane(tiled), *region)
    room = row_of_chunks_bytes(crop)
    assert room == 64 * (150 - left // 64 * 64) * 2
    cached = cache_chunks(crop, room)
    for y in range(0, 165, 20):
        part = slice(y, min(y + 20, 165))
        np.testing.assert_array_equal(cached.read(part, ALL), pixels[part])
        assert isinstance(cached, CroppedPlane)
        assert isinstance(cached.plane, CachedPlane)
        assert cached.plane.kept_bytes <= room
    assert crop.bytes_read == cached.bytes_read == whole.bytes_read


def test_a_crop_of_all_is_the_plane_itself(tiled: Path) -> None:
    plane = open_plane(tiled)
    assert crop_plane(plane, slice(0, 200), ALL) is plane
    with pytest.raises(ImageError, match="0:201"):
        crop_plane(plane, slice(0, 201), ALL)


@pytest.mark.parametrize(("chunk_px", "rows"), [(8, 32), (32, 32), (64, 64), (20, 60), (33, 66)])
def test_what_a_row_of_windows_needs(chunk_px: int, rows: int) -> None:
    """The most rows of chunks that windows of 32 px meet, by counting them."""

    class Stored:  # not one that is stored as it is
        shape, dtype, chunk_shape = (6000, 10), np.dtype("u2"), (chunk_px, 11)

    met = max((y + 31) // chunk_px - y // chunk_px + 1 for y in range(0, 6000 - 32, 32))
    assert rows_of_chunks_bytes(Stored(), 32) == met * chunk_px * 10 * 2  # type: ignore[arg-type]
    assert met * chunk_px == rows


def test_many_threads_may_read(tiled: Path) -> None:
    pixels = tifffile.imread(tiled)
    plane = cache_chunks(open_plane(tiled), 3 * 64 * 64 * 2)

    def check(corner: int) -> bool:
        y, x = slice(corner, corner + 90), slice(corner, corner + 40)
        return np.array_equal(plane.read(y, x), pixels[y, x])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(check, list(range(110)) * 3))
    assert isinstance(plane, CachedPlane)
    assert plane.kept_bytes <= 3 * 64 * 64 * 2
    assert plane.kept_bytes == sum(chunk.nbytes for chunk in plane._chunks.values())


def test_it_is_left_out_where_it_gains_nothing(tmp_path: Path, tiled: Path) -> None:
    path = tmp_path / "raw.tif"
    tifffile.imwrite(path, np.zeros((50, 50), np.uint16))
    for plane in (open_plane(path), ArrayPlane(np.zeros((5, 5)))):
        assert cache_chunks(plane, 10**9) is plane
        assert row_of_chunks_bytes(plane) == rows_of_chunks_bytes(plane, 32) == 0  # none is planned
    plane = open_plane(tiled)
    assert cache_chunks(plane, 64 * 64 * 2 - 1) is plane
    assert isinstance(cache_chunks(plane, 64 * 64 * 2), CachedPlane)


def test_a_region_must_lie_in_the_plane(tiled: Path) -> None:
    with pytest.raises(ImageError, match="200 x 150"):
        cache_chunks(open_plane(tiled), 10**6).read(slice(0, 201), ALL)


def test_channels_that_share_a_chunk_are_in_the_plan(tmp_path: Path) -> None:
    pixels = np.zeros((64, 96, 3), np.uint16)
    tifffile.imwrite(
        tmp_path / "rgb.tif", pixels, tile=(32, 32), compression="zlib", photometric="rgb"
    )
    plane = open_plane(tmp_path / "rgb.tif", 0)
    assert beside_bytes(plane) == 32 * 32 * 2 * 2
    group = zarr.open_group(tmp_path / "image.zarr", mode="w", zarr_format=3)
    array = group.create_array("0", shape=(5, 64, 96), chunks=(5, 32, 32), dtype="uint16")
    assert beside_bytes(ZarrPlane(tmp_path, array, (1,), ByteCount())) == 4 * 32 * 32 * 2
    grid = plan_tiles((64, 96), 224, 0.1)
    alone, beside = (
        project((64, 96), grid, 256, Workload(workers=8, beside_bytes=size)) for size in (0, 10**9)
    )
    assert beside.peak_bytes - alone.peak_bytes > 7 * 10**9
    assert beside_bytes(ArrayPlane(pixels[..., 0])) == 0
