"""What TIFF files hold beside one plane: pyramids, stacks, absent chunks, sizes of a pixel."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from tiff_files import ALL, assert_file_reads, assert_reads, noise

from tbscale.errors import ImageError
from tbscale.images.open import open_image, open_plane


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
