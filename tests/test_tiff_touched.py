"""A region of a TIFF touches its own chunks only, and what cannot be read is refused."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from tiff_files import ALL, noise

from tbscale.errors import ImageError
from tbscale.images.file_bytes import FileBytes
from tbscale.images.open import open_image, open_plane

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
