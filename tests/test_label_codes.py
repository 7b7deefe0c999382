"""Labels on their way to a TIFF are stored as its tiles, and read back from them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from label_files import ALL, Padded, Source, cells, read_levels

from tbscale.errors import ImageError
from tbscale.images.labels_out import open_label_writer, partial_path
from tbscale.images.labels_out.chunks import LabelChunks
from tbscale.images.labels_out.codes import TIFF_CODE, ZARR_CODE, ChunkCode
from tbscale.images.labels_out.spool import LabelSpool

CODES = pytest.mark.parametrize("code", [ZARR_CODE, TIFF_CODE])


@CODES
@given(seed=st.integers(0, 99), height=st.integers(1, 40), width=st.integers(1, 40))
def test_what_is_encoded_is_decoded(code: ChunkCode, seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    chunk = rng.integers(0, 2**32, (height, width), dtype=np.uint32)
    out = np.full_like(chunk, 7)
    assert code.decode(bytes(code.encode(chunk)), out)
    np.testing.assert_array_equal(out, chunk)


@CODES
@pytest.mark.parametrize("side", [16, 256, 1024, 2048])
def test_zeros_take_no_more_than_their_share(code: ChunkCode, side: int) -> None:
    chunk = np.zeros((side, side), np.uint32)
    assert len(code.encode(chunk)) < 100 + chunk.nbytes * code.zeros_share


def test_the_tiles_are_those_that_tifffile_makes(tmp_path: Path) -> None:
    labels = cells(128, 192)
    with open_label_writer(tmp_path / "ours.ome.tif", labels.shape, chunk_px=64) as writer:
        writer.write_from(Source(labels))
    tifffile.imwrite(
        tmp_path / "theirs.tif", labels, tile=(64, 64), compression="adobe_deflate", predictor=True
    )
    found = []
    for name in ("ours.ome.tif", "theirs.tif"):
        path = tmp_path / name
        with tifffile.TiffFile(path) as tif, path.open("rb") as file:
            page = tif.pages[0]
            assert isinstance(page, tifffile.TiffPage)
            places = zip(page.dataoffsets, page.databytecounts, strict=True)
            found.append([(file.seek(at), file.read(size))[1] for at, size in places])
            assert (page.compression, page.predictor) == (8, 2)
    assert found[0] == found[1]


@pytest.mark.parametrize("shape", [(1, 1), (15, 100), (64, 64), (65, 200)])
@pytest.mark.parametrize("source", [Source, Padded])
def test_a_tile_has_its_size_where_the_level_is_smaller(
    tmp_path: Path, shape: tuple[int, int], source: type[Source]
) -> None:
    labels = cells(*shape)
    path = tmp_path / "labels.tif"
    with open_label_writer(path, shape, chunk_px=64) as writer:
        writer.write_from(source(labels))
        np.testing.assert_array_equal(writer.read(ALL, ALL), labels)
    for n, level in enumerate(read_levels(path)):
        np.testing.assert_array_equal(level, labels[:: 2**n, :: 2**n])


def test_an_unfinished_output_of_the_other_format_is_refused(tmp_path: Path) -> None:
    labels = cells(40, 40)
    LabelSpool(tmp_path / "spool", labels.shape, 16, resume=True).write(ALL, ALL, labels)
    with pytest.raises(ImageError, match="remove it to start again"):
        LabelSpool(tmp_path / "spool", labels.shape, 16, resume=True, code=TIFF_CODE)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_document_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes) -> None:
    LabelSpool(tmp_path / "spool", (40, 40), 16, resume=True)
    (tmp_path / "spool" / "0" / "zarr.json").write_bytes(content)
    with pytest.raises(ImageError, match="remove it to start again"):
        LabelSpool(tmp_path / "spool", (40, 40), 16, resume=True)


@pytest.mark.parametrize("damage", [lambda code: code[:-9], lambda code: b"", lambda code: b"abc"])
def test_a_damaged_tile_is_one_sentence(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    labels = cells(64, 64)
    path = tmp_path / "labels.ome.tif"
    with open_label_writer(path, labels.shape, chunk_px=32, resume=True) as writer:
        writer.write_from(Source(labels))
        tile = partial_path(path) / "0" / "c" / "0" / "1"
        whole = tile.read_bytes()
        tile.write_bytes(damage(whole))
        with pytest.raises(ImageError, match="is damaged; start again with --restart"):
            writer.read(ALL, ALL)
        tile.write_bytes(whole)
    np.testing.assert_array_equal(read_levels(path)[0], labels)


def test_a_tile_of_another_size_is_one_sentence(tmp_path: Path) -> None:
    level = LabelChunks(tmp_path, "0", (32, 32), 32, TIFF_CODE)
    level.store((0, 0), np.ones((32, 32), np.uint32))
    path = tmp_path / "0" / "c" / "0" / "0"
    path.write_bytes(TIFF_CODE.encode(np.ones((16, 32), np.uint32)))
    with pytest.raises(ImageError, match="is damaged"):
        level.read(slice(0, 32), slice(0, 32))
