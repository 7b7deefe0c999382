"""The chunks of labels are those of a Zarr array, and change where they should."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from label_files import ALL, blocks, cells

from tbscale.errors import ImageError
from tbscale.images.labels_out.chunks import LabelChunks
from tbscale.images.labels_out.spool import LabelSpool


def whole(level: LabelChunks) -> tuple[slice, slice]:
    return slice(0, level.shape[0]), slice(0, level.shape[1])


def test_zarr_reads_the_chunks_that_were_written_here(tmp_path: Path) -> None:
    labels = cells(70, 50)
    spool = LabelSpool(tmp_path / "spool", labels.shape, 32)
    for y, x in blocks(labels.shape, 30):
        spool.write(y, x, labels[y, x])
    assert np.array_equal(np.asarray(spool.group["0"]), labels)
    spool.merge(slice(30, 40), slice(0, 50), np.zeros((10, 50), np.uint32))
    assert np.array_equal(np.asarray(spool.group["0"]), labels)


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
