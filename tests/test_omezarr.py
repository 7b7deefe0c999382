"""Regions of OME-Zarr planes equal the array's own, and touch no other channel."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec
from zarr_stores import noise, write_store

from tbscale.errors import ImageError
from tbscale.images.open import open_image, open_plane

ALL = slice(None)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "image.ome.zarr"


CODECS = {
    "none": None,
    "zstd": ZstdCodec(level=1),
    "gzip": GzipCodec(level=1),
    "blosc": BloscCodec(cname="lz4"),
}


@pytest.mark.parametrize("shards", [None, (1, 32, 40)], ids=["chunks", "shards"])
@pytest.mark.parametrize("codec", CODECS)
def test_codecs_and_shards(store: Path, codec: str, shards: tuple[int, ...] | None) -> None:
    pixels = noise(3, 77, 91)
    write_store(store, pixels, compressors=CODECS[codec], shards=shards)
    with open_image(store) as image:
        assert (image.kind, image.axes, image.shape) == ("OME-Zarr 0.5", "CYX", (3, 77, 91))
        assert image.pixel_size_um == (0.65, 0.5)
        assert [level.shape for level in image.levels] == [(77, 91), (39, 46)]
        assert {level.chunk_shape for level in image.levels} == {(16, 20)}
        for channel in range(3):
            for level in range(2):
                plane = image.plane(channel, level)
                expected = pixels[channel, :: 2**level, :: 2**level]
                assert np.array_equal(plane.read(ALL, ALL), expected)
                assert np.array_equal(
                    plane.read(slice(5, 33), slice(39, 46)), expected[5:33, 39:46]
                )
        words = image.levels[0].codec
        assert words.startswith(codec)
        assert ("shards of 32 x 40" in words) == (shards is not None)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "|i1", "|b1", "<f2", "<f4", ">f8", "<u8"])
def test_zarr_2(store: Path, order: str, dtype: str) -> None:
    pixels = noise(2, 33, 41, dtype=dtype)
    write_store(store, pixels, zarr_format=2, order=order)
    with open_image(store) as image:
        assert image.kind == "OME-Zarr 0.4"
        assert image.dtype.isnative
        found = image.plane(1).read(slice(3, 30), slice(7, 41))
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    assert found.dtype.isnative
    assert np.array_equal(found, pixels[1, 3:30, 7:41])


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_any_axes_chunks_and_region(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    store = tmp_path_factory.mktemp("any") / "a.zarr"
    axes = data.draw(st.sampled_from(["yx", "cyx", "zyx", "tcyx", "tczyx", "tzyx"]))
    shape = tuple(data.draw(st.integers(1, 40 if a in "yx" else 3)) for a in axes)
    chunks = tuple(data.draw(st.integers(1, 50 if a in "yx" else 3)) for a in axes)
    pixels = noise(*shape)
    write_store(
        store,
        pixels,
        axes,
        zarr_format=data.draw(st.sampled_from([2, 3])),
        n_levels=1,
        chunks=chunks,
    )
    index = {a: data.draw(st.integers(0, n - 1)) for a, n in zip(axes, shape, strict=True)}
    stop = {a: data.draw(st.integers(index[a], shape[axes.index(a)])) for a in "yx"}
    plane = open_plane(store, index.get("c", 0), 0, index.get("z"), index.get("t"))
    y, x = (slice(index[a], stop[a]) for a in "yx")
    whole = pixels[tuple(index[a] for a in axes[:-2])]
    assert np.array_equal(plane.read(y, x), whole[y, x])
    assert np.array_equal(plane.read(ALL, ALL), whole)


def test_channels_by_name(store: Path) -> None:
    pixels = noise(3, 20, 20)
    write_store(store, pixels, names=["DNA", "CD3", "DNA"])
    with open_image(store) as image:
        assert np.array_equal(image.plane("CD3").read(ALL, ALL), pixels[1])
        with pytest.raises(ImageError, match="one of 0, 2"):
            image.plane("DNA")


def test_names_that_do_not_count_the_channels_are_not_used(store: Path) -> None:
    write_store(store, noise(3, 20, 20), names=["DNA", "CD3"])
    with open_image(store) as image:
        assert [c.name for c in image.channels] == ["channel_0", "channel_1", "channel_2"]
        assert any("2 names for 3 channels" in note for note in image.notes)


def test_series_need_an_index(store: Path) -> None:
    pixels = noise(2, 3, 4, 20, 20)
    write_store(store, pixels, "tczyx")
    with open_image(store) as image:
        assert (image.size_t, image.size_z) == (2, 4)
        with pytest.raises(ImageError, match="pass z 0 to 3"):
            image.plane(0, t=1)
        assert np.array_equal(image.plane(2, z=3, t=1).read(ALL, ALL), pixels[1, 2, 3])


def test_a_pixel_size_without_a_unit_is_not_known(store: Path) -> None:
    write_store(store, noise(1, 20, 20), unit=None)
    with open_image(store) as image:
        assert image.pixel_size_um is None


def test_a_pixel_size_that_is_no_size_is_not_known(store: Path) -> None:
    write_store(store, noise(1, 20, 20))
    path = store / "zarr.json"
    facts = json.loads(path.read_text())
    dataset = facts["attributes"]["ome"]["multiscales"][0]["datasets"][0]
    for scale in ([1, 0, 1], [1, -1, 1]):
        dataset["coordinateTransformations"][0]["scale"] = scale
        path.write_text(json.dumps(facts))
        with open_image(store) as image:
            assert image.pixel_size_um is None


@pytest.mark.parametrize("shards", [None, (1, 64, 80)], ids=["chunks", "shards"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_region_touches_its_own_channel_only(
    store: Path, zarr_format: int, shards: tuple[int, ...] | None
) -> None:
    """Every chunk of the other channels is spoilt, and the bytes are counted."""
    if zarr_format == 2 and shards:
        pytest.skip("Zarr 2 has no shards")
    pixels = np.random.default_rng(0).integers(0, 65536, (3, 128, 160)).astype(np.uint16)
    options = {"shards": shards} if shards else {}
    write_store(store, pixels, zarr_format=zarr_format, n_levels=1, compressors=None, **options)
    array = store / "s0" / ("c" if zarr_format == 3 else "")
    for channel in ("0", "2"):
        for file in (array / channel).rglob("*"):
            if file.is_file():
                file.write_bytes(b"spoilt")
    plane = open_plane(store, 1)
    assert plane.bytes_read == 0
    found = plane.read(slice(10, 40), slice(35, 45))
    assert np.array_equal(found, pixels[1, 10:40, 35:45])
    chunks = 3 * 2 * 16 * 20 * 2  # 3 x 2 chunks of 16 x 20 pixels of 2 bytes
    index_bytes = 4 * 4 * 16 + 4 if shards else 0  # of one shard: 16 bytes a chunk and a checksum
    assert plane.bytes_read == chunks + index_bytes


def test_absent_chunks_are_the_fill_value(store: Path) -> None:
    pixels = noise(1, 32, 40) + 1
    write_store(store, pixels, n_levels=1, fill_value=9)
    shutil.rmtree(store / "s0" / "c" / "0" / "1")
    expected = pixels[0].copy()
    expected[16:] = 9
    assert np.array_equal(open_plane(store).read(ALL, ALL), expected)


def test_many_threads_may_read(store: Path) -> None:
    pixels = noise(1, 200, 200)
    write_store(store, pixels)
    plane = open_plane(store)

    def check(corner: int) -> bool:
        y, x = slice(corner, corner + 50), slice(100 - corner, 160)
        return np.array_equal(plane.read(y, x), pixels[0, y, x])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(check, list(range(100)) * 2))


def test_the_image_of_bioformats2raw(tmp_path: Path) -> None:
    pixels = noise(2, 20, 20)
    for zarr_format, facts in ((2, {"bioformats2raw.layout": 3}), (3, None)):
        root = tmp_path / f"{zarr_format}.zarr"
        group = zarr.open_group(root, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
        group.attrs.update(facts or {"ome": {"version": "0.5", "bioformats2raw.layout": 3}})
        write_store(root / "0", pixels, zarr_format=zarr_format)
        assert np.array_equal(open_plane(root, 1).read(ALL, ALL), pixels[1])
        write_store(root / "1", pixels, zarr_format=zarr_format)
        with open_image(root) as image:
            assert any("several images" in note for note in image.notes)
            assert image.levels[0].stored_bytes > 0
