"""Regions of TIFF planes equal the same regions of tifffile's full read: codecs, types, chunks."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from tiff_files import ALL, assert_file_reads, assert_reads, noise

from tbscale.errors import ImageError
from tbscale.images.open import open_image, open_plane
from tbscale.images.tiff_chunks import decode_direct, is_direct

LITTLE_ONLY = ("jpegxl", "lerc", "png")  # their encoders take no other byte order
CODECS = [
    ("none", {}, "uint16"),
    ("deflate", {"compression": "adobe_deflate"}, "uint16"),
    ("deflate, predictor", {"compression": "adobe_deflate", "predictor": True}, "uint16"),
    ("deflate, float predictor", {"compression": "adobe_deflate", "predictor": True}, "float32"),
    ("zstd", {"compression": "zstd"}, "uint16"),
    ("lzw", {"compression": "lzw", "predictor": True}, "uint16"),
    ("lzma", {"compression": "lzma"}, "uint16"),
    ("packbits", {"compression": "packbits"}, "uint16"),
    ("jpeg 2000", {"compression": "jpeg2000"}, "uint16"),
    ("jpeg xl", {"compression": "jpegxl"}, "uint16"),
    ("lerc", {"compression": "lerc"}, "uint16"),
    ("png", {"compression": "png"}, "uint16"),
    ("jpeg", {"compression": "jpeg"}, "uint8"),
]


@pytest.mark.parametrize("bigtiff", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "chunks", [{"tile": (32, 48)}, {"rowsperstrip": 7}, {}], ids=["tiles", "strips", "whole"]
)
@pytest.mark.parametrize(
    ("codec", "dtype"), [c[1:] for c in CODECS], ids=[name for name, _, _ in CODECS]
)
def test_codec_chunks_and_byte_order(
    tmp_path: Path,
    codec: dict[str, Any],
    dtype: str,
    chunks: dict[str, Any],
    byteorder: str,
    bigtiff: bool,
) -> None:
    if byteorder == ">" and codec.get("compression") in LITTLE_ONLY:
        byteorder = "<"
    path = tmp_path / "image.tif"
    pixels = noise((2, 45, 61), dtype)
    tifffile.imwrite(
        path,
        pixels,
        photometric="minisblack",
        byteorder=byteorder,
        bigtiff=bigtiff,
        **codec,
        **chunks,
    )
    image = assert_file_reads(path)
    assert image.dtype == np.dtype(dtype)
    assert len(image.channels) == 2


@pytest.mark.parametrize("codec", [{}, {"compression": "zlib"}, {"compression": "jpeg2000"}])
def test_what_was_read_is_not_written_to_again(tmp_path: Path, codec: dict[str, Any]) -> None:
    """Whole chunks are handed out without a copy where they are new, and only there."""
    path = tmp_path / "image.tif"
    pixels = noise((64, 64), "uint16")
    tifffile.imwrite(path, pixels, tile=(32, 32), **codec)
    plane = open_plane(path)
    first = plane.read(slice(0, 32), slice(0, 32))
    for y in (0, 32):
        plane.read(slice(y, y + 32), slice(32, 64))[:] = 0
    assert np.array_equal(first, pixels[:32, :32])
    assert np.array_equal(plane.read(ALL, ALL), pixels)


@pytest.mark.parametrize("content", ["short", "damaged"])
def test_chunks_of_another_size_are_left_to_tifffile(tmp_path: Path, content: str) -> None:
    path = tmp_path / "image.tif"
    pixels = noise((16, 16), "uint16")
    tifffile.imwrite(path, pixels, rowsperstrip=16, compression="zlib")
    with tifffile.TiffFile(path) as tif:
        page = tif.pages.first
        assert is_direct(page)
        stored = zlib.compress(pixels[:8].tobytes()) if content == "short" else b"damaged"
        assert decode_direct(page, (16, 16), stored) is None
        whole = decode_direct(page, (16, 16), zlib.compress(pixels.tobytes()))
        assert whole is not None
        assert np.array_equal(whole, pixels)


@pytest.mark.parametrize("dtype", ["bool", *np.typecodes["AllInteger"], "e", "f", "d"])
@pytest.mark.parametrize("chunks", [{"tile": (16, 16)}, {"rowsperstrip": 3}])
def test_every_real_type(tmp_path: Path, dtype: str, chunks: dict[str, Any]) -> None:
    path = tmp_path / "image.tif"
    pixels = noise((19, 21), dtype)
    tifffile.imwrite(path, pixels, photometric="minisblack", **chunks)
    assert_file_reads(path)
    assert np.array_equal(open_plane(path).read(ALL, ALL), pixels)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("chunks", [{"tile": (16, 32)}, {"rowsperstrip": 5}, {}])
@pytest.mark.parametrize("codec", [{}, {"compression": "zstd", "predictor": True}])
@pytest.mark.parametrize("samples", [2, 3, 4])
def test_samples_of_a_pixel(
    tmp_path: Path, planar: str, chunks: dict[str, Any], codec: dict[str, Any], samples: int
) -> None:
    path = tmp_path / "image.tif"
    shape = (3, 40, 53, samples) if planar == "contig" else (3, samples, 40, 53)
    photometric = "rgb" if samples > 2 else "minisblack"
    tifffile.imwrite(
        path, noise(shape, "uint8"), planarconfig=planar, photometric=photometric, **chunks, **codec
    )
    image = assert_file_reads(path)
    assert len(image.channels) == 3 * samples
    assert image.is_photograph == (samples > 2)


@pytest.mark.parametrize("compression", ["jpeg", "webp", "jpeg2000", "jpegxl", "jpegxr", "png"])
@pytest.mark.parametrize("chunks", [{"tile": (32, 32)}, {"rowsperstrip": 16}])
def test_codecs_of_photographs(tmp_path: Path, compression: str, chunks: dict[str, Any]) -> None:
    path = tmp_path / "photo.tif"
    photometric = "ycbcr" if compression == "jpeg" else "rgb"
    smooth = np.add.outer(np.arange(45), np.arange(61))[..., None] + np.array([0, 60, 120])
    tifffile.imwrite(
        path, smooth.astype(np.uint8), photometric=photometric, compression=compression, **chunks
    )
    assert assert_file_reads(path).is_photograph


def test_a_photograph_has_colours_for_channels(tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    pixels = noise((20, 30, 3), "uint8")
    tifffile.imwrite(path, pixels, photometric="rgb")
    with open_image(path) as image:
        assert [c.name for c in image.channels] == ["red", "green", "blue"]
        with pytest.raises(ImageError, match="photograph"):
            image.plane()
        assert np.array_equal(image.plane("green").read(ALL, ALL), pixels[..., 1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (16, 16), (17, 15)])
@pytest.mark.parametrize("chunks", [{"tile": (64, 64)}, {"rowsperstrip": 100}, {"rowsperstrip": 1}])
@pytest.mark.parametrize("codec", [{}, {"compression": "lzw"}])
def test_small_images_and_chunks_beyond_them(
    tmp_path: Path, shape: tuple[int, int], chunks: dict[str, Any], codec: dict[str, Any]
) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, noise(shape), photometric="minisblack", **chunks, **codec)
    assert_file_reads(path)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_layout(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("any") / "image.ome.tif"
    sizes = data.draw(st.tuples(*[st.integers(1, 3)] * 3, *[st.integers(2, 40)] * 2))
    axes = data.draw(st.permutations("TZC").map("".join)) + "YX"
    compression = data.draw(st.sampled_from([None, "zstd"]))
    chunks: dict[str, Any] = data.draw(
        st.sampled_from([{}, {"tile": (16, 16)}, {"rowsperstrip": 1}, {"rowsperstrip": 9}])
    )
    pixels = noise(sizes)
    tifffile.imwrite(
        path,
        pixels,
        metadata={"axes": axes},
        compression=compression,
        photometric="minisblack",
        **chunks,
    )
    with open_image(path) as image:
        shape = dict(zip(axes, sizes, strict=True))
        assert (image.size_t, image.size_z) == (shape["T"], shape["Z"])
        assert len(image.channels) == shape["C"]
        index = {a: data.draw(st.integers(0, shape[a] - 1)) for a in "TZC"}
        plane = image.plane(index["C"], 0, index["Z"], index["T"])
        assert_reads(plane, pixels[tuple(index[a] for a in axes[:3])])
