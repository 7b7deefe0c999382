"""The description of an image agrees with its file."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tbscale.bench.records import load_record
from tbscale.images.describe import (
    describe_image,
    format_bytes,
    format_image,
    needs_bytes,
    segment_needs,
)
from tbscale.images.image import Image
from tbscale.images.labels_out import open_label_writer
from tbscale.images.open import open_image

ROOT = Path(__file__).parents[1]


@pytest.fixture
def image(tmp_path: Path) -> Image:
    path = tmp_path / "cycif.ome.tif"
    pixels = np.zeros((3, 100, 80), np.uint16)
    with tifffile.TiffWriter(path, ome=True) as tif:
        names = {"Name": ["DNA_1", "CD3", "CD4"]}
        size = {"PhysicalSizeY": 0.65, "PhysicalSizeX": 0.5}
        tif.write(
            pixels, subifds=1, tile=(32, 32), compression="adobe_deflate", predictor=True,
            photometric="minisblack", metadata={"axes": "CYX", "Channel": names, **size},
        )  # fmt: skip
        tif.write(pixels[:, ::2, ::2], subfiletype=1, tile=(16, 16), photometric="minisblack")
    with open_image(path) as opened:
        return opened


def test_facts(image: Image) -> None:
    facts = describe_image(image)
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["kind"], facts["axes"], facts["shape"]) == ("OME-TIFF", "CYX", [3, 100, 80])
    assert facts["dtype"] == "uint16"
    assert facts["pixel_size_um"] == [0.65, 0.5]
    assert [c["name"] for c in facts["channels"]] == ["DNA_1", "CD3", "CD4"]
    first, second = facts["levels"]
    assert first["codec"] == "deflate, horizontal predictor"
    assert (first["chunk_shape"], second["chunk_shape"]) == ([32, 32], [16, 16])
    assert first["memory_bytes"] == 3 * 100 * 80 * 2
    assert 0 < first["stored_bytes"] < first["memory_bytes"]
    assert second["stored_bytes"] == 3 * 12 * 16 * 16 * 2  # whole chunks, not compressed
    assert facts["segment_problem"] is None
    assert facts["segment_needs_bytes"] == needs_bytes((100, 80))


def test_text(image: Image) -> None:
    lines = format_image(image, [("memory, tbscale", "1 GiB")]).splitlines()
    assert lines[0] == str(image.path)
    assert "  axes        CYX = 3 x 100 x 80, uint16" in lines
    assert "  pixel size  0.65 x 0.5 um (Y x X)" in lines
    assert "     1  CD3" in lines
    assert any("100 x 80  chunks of 32 x 32" in line and "deflate" in line for line in lines)
    assert "  memory, tbscale  1 GiB" in lines
    assert not any(line.startswith(("note", "before that")) for line in lines)


def test_what_stands_in_the_way_is_said(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    stack = np.zeros((5, 8, 8), np.uint16)
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "ZYX"})
    with open_image(path) as image:
        assert "pass z 0 to 4" in describe_image(image)["segment_problem"]
        assert "before that: " in format_image(image, segment_needs((8, 8)))


def test_notes_are_shown(image: Image) -> None:
    image.notes = ("the OME-XML lies",)
    assert "note: the OME-XML lies" in format_image(image, segment_needs((8, 8))).splitlines()
    assert describe_image(image)["notes"] == ["the OME-XML lies"]


def test_what_stock_cellpose_took_on_the_plane_it_was_measured_on() -> None:
    needs = needs_bytes((10101, 9666))
    (path,) = (ROOT / "results" / "LUNG-1-LN_40X").glob("stock-*-f1e94c43.json")
    record = load_record(path)
    assert record.dataset.shape == (10101, 9666)
    assert needs["stock_memory"] == pytest.approx(record.plain.peak_rss_bytes, rel=0.01)
    assert needs["scratch_at_most"] == 10101 * 9666 * 25


def test_an_output_is_within_what_was_said(tmp_path: Path) -> None:
    """Ids without any order do not compress: the worst that a plane of labels can be."""
    labels = np.random.default_rng(0).integers(0, 2**32, (512, 512), dtype=np.uint32)
    with open_label_writer(tmp_path / "a.zarr", labels.shape, chunk_px=128) as writer:
        writer.write(slice(None), slice(None), labels)
    with open_image(tmp_path / "a.zarr") as image:
        stored = sum(level.stored_bytes for level in image.levels)
    assert stored <= needs_bytes((512, 512))["output_at_most"] * 1.001


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (15 * 1024, "15.0 KiB"),
        (150 * 1024**2, "150 MiB"),
        (1024**3 - 1, "1024 MiB"),
        (63 * 10**9, "58.7 GiB"),
        (3 * 1024**4, "3.00 TiB"),
        (5000 * 1024**4, "5000 TiB"),
    ],
)
def test_bytes_in_words(count: int, words: str) -> None:
    assert format_bytes(count) == words
