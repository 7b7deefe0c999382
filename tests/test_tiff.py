"""Regions of TIFF planes equal the same regions of tifffile's full read, and touch no more."""

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from tbscale.errors import ImageError
from tbscale.images.file_bytes import FileBytes
from tbscale.images.image import Image
from tbscale.images.open import open_image, open_plane
from tbscale.images.plane import Plane
from tbscale.images.tiff_chunks import decode_direct, is_direct

ALL = slice(None)


def noise(shape: tuple[int, ...], dtype: str = "uint16", seed: int = 0) -> np.ndarray:
    """Values over the whole range of a type, some smooth, so that codecs have work to do."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.random(shape) < 0.4
    if kind.kind in "fc":
        return rng.normal(size=shape).astype(kind)
    limits = np.iinfo(kind)
    high = min(int(limits.max), 2**62)
    return rng.integers(max(int(limits.min), -(2**62)), high, shape, dtype=kind, endpoint=True)


def regions(shape: tuple[int, int], count: int = 8) -> Iterator[tuple[slice, slice]]:
    """The whole plane, its corners, an empty region, and some at random."""
    height, width = shape
    rng = np.random.default_rng(1)
    yield ALL, ALL
    yield slice(0, 1), slice(0, 1)
    yield slice(height - 1, height), slice(width - 1, width)
    yield slice(height // 2, height // 2), slice(0, width)
    for _ in range(count):
        y0, y1 = np.sort(rng.integers(0, height + 1, 2))
        x0, x1 = np.sort(rng.integers(0, width + 1, 2))
        yield slice(int(y0), int(y1)), slice(int(x0), int(x1))


def assert_reads(plane: Plane, expected: np.ndarray) -> None:
    assert plane.shape == expected.shape
    assert plane.dtype == expected.dtype.newbyteorder("=")
    for y, x in regions(plane.shape):
        found = plane.read(y, x)
        assert found.dtype == plane.dtype
        assert found.dtype.isnative
        assert found.flags.c_contiguous
        assert found.flags.writeable
        assert np.array_equal(found, expected[y, x])


def channels_first(image: Image, pixels: np.ndarray, axes: str, z: int, t: int) -> np.ndarray:
    """(channel, Y, X) at z and t, from tifffile's full read; samples are the fastest channels."""
    for axis, index in (("Z", z), ("T", t)):
        if axis in axes:
            pixels = np.take(pixels, index, axes.index(axis))
            axes = axes.replace(axis, "")
    y = axes.index("Y")
    stack: np.ndarray = np.moveaxis(pixels, (y, y + 1), (-2, -1))
    return stack.reshape(-1, *stack.shape[-2:])


def assert_file_reads(path: Path) -> Image:
    """Every plane of every level equals tifffile's."""
    with open_image(path) as image, tifffile.TiffFile(path) as tif:
        levels = tif.series[0].levels
        assert len(image.levels) == len(levels)
        for n, level in enumerate(levels):
            pixels = level.asarray()
            for z in range(image.size_z):
                for t in range(image.size_t):
                    stack = channels_first(image, pixels, level.axes, z, t)
                    assert len(stack) == len(image.channels)
                    for channel, expected in enumerate(stack):
                        assert_reads(image.plane(channel, n, z, t), expected)
    return image


# codec, arguments of tifffile, type that it takes
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


def write_pyramid(path: Path, pixels: np.ndarray, ome: bool, **options: Any) -> None:
    """Two levels below the first, in SubIFDs."""
    with tifffile.TiffWriter(path, ome=ome) as tif:
        metadata = {"axes": "CYX"} if ome else None
        tif.write(
            pixels, subifds=2, metadata=metadata, photometric="minisblack", tile=(32, 32), **options
        )
        for step in (2, 4):
            tif.write(
                pixels[:, ::step, ::step],
                subfiletype=1,
                tile=(16, 16),
                metadata=None,
                photometric="minisblack",
                **options,
            )


@pytest.mark.parametrize("ome", [True, False])
@pytest.mark.parametrize("options", [{}, {"compression": "adobe_deflate", "predictor": True}])
def test_a_pyramid_in_subifds(tmp_path: Path, ome: bool, options: dict[str, Any]) -> None:
    path = tmp_path / "pyramid.tif"
    pixels = noise((3, 130, 71))
    write_pyramid(path, pixels, ome, **options)
    image = assert_file_reads(path)
    assert [level.shape for level in image.levels] == [(130, 71), (65, 36), (33, 18)]
    assert [level.chunk_shape for level in image.levels] == [(32, 32), (16, 16), (16, 16)]
    assert np.array_equal(open_plane(path, 2, level=2).read(ALL, ALL), pixels[2, ::4, ::4])
    with pytest.raises(ImageError, match="no level 3"):
        open_plane(path, 0, level=3)


def test_a_pyramid_in_further_pages(tmp_path: Path) -> None:
    path = tmp_path / "pyramid.tif"
    pixels = noise((130, 71))
    with tifffile.TiffWriter(path) as tif:
        for step in (1, 2, 4):
            tif.write(
                pixels[::step, ::step], subfiletype=int(step > 1), tile=(32, 32), metadata=None
            )
    image = assert_file_reads(path)
    assert [level.shape for level in image.levels] == [(130, 71), (65, 36), (33, 18)]


def test_sizes_of_a_level(tmp_path: Path) -> None:
    path = tmp_path / "pyramid.tif"
    write_pyramid(path, noise((3, 128, 64)), ome=True)
    with open_image(path) as image:
        assert [level.memory_bytes for level in image.levels] == [49152, 12288, 3072]
        assert [level.stored_bytes for level in image.levels] == [49152, 12288, 3072]
        assert {level.codec for level in image.levels} == {"none"}


def test_absent_chunks_are_the_fill_value(tmp_path: Path) -> None:
    path = tmp_path / "sparse.tif"
    tile = noise((16, 16))
    tifffile.imwrite(
        path,
        iter([tile, None, None, tile]),
        shape=(32, 30),
        dtype="uint16",
        tile=(16, 16),
        compression="zstd",
        extratags=[(42113, "s", 0, "7", True)],
    )
    plane = open_plane(path)
    expected = np.full((32, 30), 7, np.uint16)
    expected[:16, :16] = tile
    expected[16:, 16:] = tile[:, :14]
    assert_reads(plane, expected)
    before = plane.bytes_read
    assert (plane.read(slice(16, 32), slice(0, 16)) == 7).all()
    assert plane.bytes_read == before


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_uncompressed_strips_in_any_place(tmp_path: Path, byteorder: str) -> None:
    """Two strips change places in the file, and one is declared absent."""
    path = tmp_path / "strips.tif"
    pixels = noise((40, 21))
    tifffile.imwrite(path, pixels, rowsperstrip=8, byteorder=byteorder, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tags = tif.pages[0].tags
        offsets, counts = list(tags["StripOffsets"].value), list(tags["StripByteCounts"].value)
        data = [path.read_bytes()[o : o + n] for o, n in zip(offsets, counts, strict=True)]
        offsets[0], offsets[3], counts[2] = offsets[3], offsets[0], 0
        tags["StripOffsets"].overwrite(offsets)
        tags["StripByteCounts"].overwrite(counts)
    with path.open("r+b") as file:
        for strip in (0, 3):
            file.seek(offsets[strip])
            file.write(data[strip])
    expected = pixels.copy()
    expected[16:24] = 0
    plane = open_plane(path)
    assert_reads(plane, expected)
    before = plane.bytes_read
    plane.read(slice(6, 27), slice(2, 5))
    assert plane.bytes_read == before + (2 + 8 + 3) * 3 * 2


def test_one_page_that_stands_for_a_run(tmp_path: Path) -> None:
    path = tmp_path / "run.tif"
    pixels = noise((4, 33, 21))
    tifffile.imwrite(
        path,
        pixels,
        photometric="minisblack",
        metadata={"axes": "CYX"},
        contiguous=True,
        truncate=True,
        byteorder=">",
    )
    with tifffile.TiffFile(path) as tif:
        assert len(tif.pages) == 1
    assert_file_reads(path)
    plane = open_plane(path, 3)
    plane.read(slice(2, 5), slice(4, 10))
    assert plane.bytes_read == 3 * 6 * 2


@pytest.mark.parametrize("axes", ["CYX", "TZCYX", "ZYX"])
def test_imagej_stacks(tmp_path: Path, axes: str) -> None:
    path = tmp_path / "stack.tif"
    sizes = {"T": 2, "Z": 3, "C": 4, "Y": 22, "X": 17}
    pixels = noise(tuple(sizes[a] for a in axes))
    labels = [f"slice {i}" for i in range(len(pixels.reshape(-1, 22, 17)))]
    tifffile.imwrite(
        path,
        pixels,
        imagej=True,
        resolution=(2.0, 4.0),
        metadata={"axes": axes, "unit": "um", "Labels": labels},
    )
    image = assert_file_reads(path)
    assert image.pixel_size_um == (0.25, 0.5)
    if axes == "CYX":
        assert [c.name for c in image.channels] == labels


def test_pages_without_an_axis_are_channels(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    pixels = noise((5, 20, 24))
    tifffile.imwrite(path, pixels, metadata=None, photometric="minisblack")
    image = assert_file_reads(path)
    assert [c.name for c in image.channels] == [f"channel_{i}" for i in range(5)]


@pytest.mark.parametrize(
    ("unit", "resolution", "expected"),
    [
        ("CENTIMETER", (1e4 / 0.5, 1e4 / 0.65), (0.65, 0.5)),
        ("INCH", (25400 / 0.5, 25400 / 0.5), (0.5, 0.5)),
        ("INCH", (72, 72), None),
        ("INCH", (300, 300), None),
        ("NONE", (2, 2), None),
    ],
)
def test_pixel_size_from_the_resolution_tags(
    tmp_path: Path, unit: str, resolution: tuple[float, float], expected: tuple[float, float] | None
) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, noise((8, 8)), resolution=resolution, resolutionunit=unit)
    with open_image(path) as image:
        if expected is None:
            assert image.pixel_size_um is None
        else:
            assert image.pixel_size_um == pytest.approx(expected, rel=1e-6)


# --- what a read touches ---


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(start, stop) of every read of a file's pixels."""
    ranges: list[tuple[int, int]] = []
    real = FileBytes.read_at

    def spy(self: FileBytes, offset: int, count: int) -> memoryview:
        ranges.append((offset, offset + count))
        return real(self, offset, count)

    monkeypatch.setattr(FileBytes, "read_at", spy)
    return ranges


@pytest.mark.parametrize("planar", ["pages", "separate"])
def test_a_region_touches_its_own_chunks_only(
    tmp_path: Path, touched: list[tuple[int, int]], planar: str
) -> None:
    path = tmp_path / "image.tif"
    pixels = noise((3, 128, 160))
    options = {"planarconfig": "separate"} if planar == "separate" else {}
    tifffile.imwrite(
        path, pixels, tile=(32, 32), compression="zstd", photometric="minisblack", **options
    )
    with tifffile.TiffFile(path) as tif:
        offsets, counts = [], []
        for page in tif.pages:
            offsets += page.dataoffsets
            counts += page.databytecounts
    plane = open_plane(path, 1)
    assert np.array_equal(plane.read(slice(30, 70), slice(96, 128)), pixels[1, 30:70, 96:128])
    wanted = [20 + 5 * row + 3 for row in (0, 1, 2)]  # 4 x 5 chunks for each channel
    assert sorted(touched) == sorted((offsets[i], offsets[i] + counts[i]) for i in wanted)
    assert plane.bytes_read == sum(counts[i] for i in wanted)


def bytes_read_by_this_process() -> int:
    """rchar: what this process asked of read, pread and the like."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("rchar"):
            return int(line.split()[1])
    raise AssertionError("no rchar")


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("codec", [{}, {"compression": "zstd"}], ids=["none", "zstd"])
def test_the_system_agrees_on_the_bytes(tmp_path: Path, codec: dict[str, Any]) -> None:
    path = tmp_path / "image.ome.tif"
    tifffile.imwrite(
        path,
        noise((8, 512, 512)),
        tile=(128, 128),
        photometric="minisblack",
        metadata={"axes": "CYX"},
        **codec,
    )
    plane = open_plane(path, 5)
    before = bytes_read_by_this_process()
    plane.read(slice(0, 100), slice(100, 140))
    asked = bytes_read_by_this_process() - before
    assert plane.bytes_read <= 2 * 128 * 128 * 2 + 64  # zstd cannot shrink noise
    assert plane.bytes_read <= asked < plane.bytes_read + 4096  # reading /proc itself counts


@pytest.mark.parametrize("samples", [1, 3])
def test_uncompressed_rows_are_read_alone(tmp_path: Path, samples: int) -> None:
    path = tmp_path / "strip.tif"
    shape = (1000, 200) if samples == 1 else (1000, 200, samples)
    photometric = "minisblack" if samples == 1 else "rgb"
    tifffile.imwrite(path, noise(shape), rowsperstrip=1000, photometric=photometric)
    plane = open_plane(path, 0)
    assert plane.chunk_shape == (1000, 200)
    plane.read(slice(500, 503), slice(10, 30))
    assert plane.bytes_read == 3 * 20 * 2 * samples
    plane.read(slice(500, 503), ALL)
    assert plane.bytes_read == (3 * 20 + 3 * 200) * 2 * samples


@pytest.mark.parametrize("codec", [{}, {"compression": "zstd"}])
def test_many_threads_may_read(tmp_path: Path, codec: dict[str, Any]) -> None:
    path = tmp_path / "image.tif"
    pixels = noise((300, 310))
    tifffile.imwrite(path, pixels, tile=(32, 32), **codec)
    plane = open_plane(path)
    rng = np.random.default_rng(0)

    def check(corner: np.ndarray) -> bool:
        y, x = (slice(int(c), int(c) + 60) for c in corner)
        return np.array_equal(plane.read(y, x), pixels[y, x])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(check, rng.integers(0, 240, (200, 2))))


def test_planes_outlive_the_image(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    pixels = noise((40, 40))
    tifffile.imwrite(path, pixels, compression="zstd")
    with open_image(path) as image:
        plane = image.plane()
    path.rename(tmp_path / "moved.tif")
    assert np.array_equal(plane.read(ALL, ALL), pixels)


# --- what cannot be read ---


def test_complex_values_are_refused_and_described(tmp_path: Path) -> None:
    path = tmp_path / "complex.tif"
    tifffile.imwrite(path, noise((9, 9), "complex64"))
    with open_image(path) as image:
        assert image.dtype == np.complex64
        with pytest.raises(ImageError, match="complex64"):
            image.plane()


@pytest.mark.parametrize(
    "content", [b"", b"II", b"II*\0", b"II*\0\xff\xff\0\0", b"\x89PNG....", b"text"]
)
def test_what_is_no_tiff_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.tif"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"no TIFF|without an image|cannot be opened"):
        open_image(path)


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no file or directory"):
        open_image(tmp_path / "absent.tif")


@pytest.mark.parametrize("codec", [{}, {"compression": "adobe_deflate"}, {"compression": "lzw"}])
@pytest.mark.parametrize("chunks", [{"tile": (16, 16)}, {"rowsperstrip": 8}])
@pytest.mark.filterwarnings("default")
def test_a_file_cut_anywhere_reads_right_or_is_refused(
    tmp_path: Path, codec: dict[str, Any], chunks: dict[str, Any]
) -> None:
    whole, cut = tmp_path / "whole.ome.tif", tmp_path / "cut.ome.tif"
    pixels = noise((2, 40, 40))
    tifffile.imwrite(whole, pixels, metadata={"axes": "CYX"}, **codec, **chunks)
    data = whole.read_bytes()
    refused = 0
    for length in range(0, len(data), 97):
        cut.write_bytes(data[:length])
        try:
            plane = open_plane(cut, 1)
            assert np.array_equal(plane.read(ALL, ALL), pixels[1])
        except ImageError:
            refused += 1
    assert refused > len(data) // 97 // 2


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    pixels = noise((64, 64))
    tifffile.imwrite(path, pixels, tile=(32, 32), compression="zstd")
    with tifffile.TiffFile(path) as tif:
        offset, count = tif.pages[0].dataoffsets[3], tif.pages[0].databytecounts[3]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\0" * count)
    plane = open_plane(path)
    assert np.array_equal(plane.read(slice(0, 32), ALL), pixels[:32])
    with pytest.raises(ImageError, match=r"chunk 3 of page 0 .* zstd"):
        plane.read(ALL, ALL)


# --- real files ---


def test_every_real_file_reads_or_is_refused(real_images: Path) -> None:
    folders = ("tiffs", "cycif_tonsil", "codex_tissue")
    paths = [path for folder in folders for path in sorted((real_images / folder).glob("*.tif*"))]
    assert len(paths) >= 18
    refused = []
    for path in paths:
        try:
            assert_file_reads(path)
        except ImageError:
            refused.append(path.name)
    assert refused == ["gray.c8.tif"]  # complex
