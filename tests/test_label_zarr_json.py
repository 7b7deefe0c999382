"""The documents of labels are those that zarr writes, and zarr opens them."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from label_files import ALL, cells
from zarr.codecs import ZstdCodec
from zarr.storage import LocalStore

from tbscale.errors import ImageError
from tbscale.images.labels_out import open_label_writer
from tbscale.images.labels_out.spool import LabelSpool


def by_zarr(folder: Path, shape: tuple[int, int], chunks: tuple[int, int]) -> zarr.Group:
    group = zarr.open_group(LocalStore(folder), mode="w", zarr_format=3)
    group.create_array(
        "0",
        shape=shape,
        dtype="uint32",
        chunks=chunks,
        compressors=ZstdCodec(level=1),
        fill_value=0,
        dimension_names=("y", "x"),
    )
    return group


@pytest.mark.parametrize(
    ("shape", "chunks"), [((100, 70), (32, 32)), ((20, 300), (20, 32)), ((1, 1), (1, 1))]
)
def test_they_are_those_of_zarr(
    tmp_path: Path, shape: tuple[int, int], chunks: tuple[int, int]
) -> None:
    """Equal to the last byte, which is more than readers ask for."""
    by_zarr(tmp_path / "zarr", shape, chunks)
    LabelSpool(tmp_path / "here", shape, 32, resume=True)
    for name in ("zarr.json", "0/zarr.json"):
        written = (tmp_path / "here" / name).read_text()
        assert json.loads(written) == json.loads((tmp_path / "zarr" / name).read_text())
        assert written == (tmp_path / "zarr" / name).read_text()


def test_the_attributes_are_those_of_zarr(tmp_path: Path) -> None:
    labels = cells(20, 30)
    facts = {"model": "é", "none": None, "list": [1, 2.5, float("inf")], "deep": {"a": True}}
    path = tmp_path / "labels.zarr"
    with open_label_writer(path, labels.shape, chunk_px=32, provenance=facts) as writer:
        writer.write(ALL, ALL, labels)
        writer.annotate({"late": 1})
    group = by_zarr(tmp_path / "zarr", labels.shape, labels.shape)
    opened = zarr.open_group(path, mode="r")
    group.attrs.update(dict(opened.attrs))
    assert opened.attrs["tbscale"] == facts | {"late": 1}
    assert (path / "zarr.json").read_text() == (tmp_path / "zarr" / "zarr.json").read_text()
    assert (path / "0" / "zarr.json").read_text() == (tmp_path / "zarr/0/zarr.json").read_text()


def test_zarr_changes_what_was_written_here_and_is_read_again(tmp_path: Path) -> None:
    labels = cells(70, 50)
    spool = LabelSpool(tmp_path / "spool", labels.shape, 32, resume=True)
    spool.write(ALL, ALL, labels)
    array = zarr.open_group(tmp_path / "spool", mode="r+")["0"]
    assert isinstance(array, zarr.Array)
    array[10:40, :] = 7
    labels[10:40] = 7
    resumed = LabelSpool(tmp_path / "spool", labels.shape, 32, resume=True)
    assert np.array_equal(resumed.read(ALL, ALL), labels)


def test_a_group_where_an_array_should_be_is_refused(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "spool", mode="w").create_group("0")
    with pytest.raises(ImageError, match="remove it to start again"):
        LabelSpool(tmp_path / "spool", (20, 20), 16, resume=True)
