"""Stand-in files: layout, pyramid, names, crops, determinism, refusals, memory."""

import errno
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from tbscale.errors import DatasetError
from tbscale.images.datasets import dataset
from tbscale.images.standin import ometiff, render_channel, render_labels, stain_of, writer
from tbscale.images.standin.pyramid import (
    halve_by_mean,
)
from tbscale.images.standin.writer import StandIn, labels_path, parse_crop, write_stand_in

EXEMPLAR = dataset("exemplar-001")
CROP = (slice(900, 2300), slice(100, 1301))  # 1400 x 1201: two levels, odd sizes, partial chunks
OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stand-in") / "exemplar.ome.tif"
    labels = write_stand_in(StandIn(EXEMPLAR, 7, 5, CROP), out, workers=2)
    assert labels == labels_path(out)
    return out


def test_tifffile_reports_shape_type_and_pyramid(written: Path) -> None:
    with tifffile.TiffFile(written) as tif:
        series = tif.series[0]
        assert (series.shape, series.dtype, series.axes) == ((5, 1400, 1201), np.uint16, "CYX")
        assert [level.shape for level in series.levels] == [(5, 1400, 1201), (5, 700, 601)]
        page = tif.pages[0]
        assert page.tile == (1024, 1024)
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert page.predictor == tifffile.PREDICTOR.HORIZONTAL
        assert len(page.subifds) == 1
        assert len(tif.series) == 1


def test_pixels_are_the_crop_of_the_whole_plane(written: Path) -> None:
    tissue = EXEMPLAR.stand_in_tissue(7)
    with tifffile.TiffFile(written) as tif:
        for channel in (0, 2, 4):
            drawn = render_channel(tissue, *CROP, stain_of(channel))
            np.testing.assert_array_equal(tif.pages[channel].asarray(), drawn)
    labels = tifffile.imread(labels_path(written))
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(labels, render_labels(tissue, *CROP))


def test_levels_are_halved_by_mean_and_labels_by_choice(written: Path) -> None:
    with tifffile.TiffFile(written) as tif:
        full, half = (level.asarray()[0].astype(float) for level in tif.series[0].levels)
    whole = np.pad(full, ((0, 0), (0, 1)), mode="edge").reshape(700, 2, 601, 2).mean(axis=(1, 3))
    assert np.abs(half - whole).max() <= 0.5
    with tifffile.TiffFile(labels_path(written)) as tif:
        full, half = (level.asarray() for level in tif.series[0].levels)
    np.testing.assert_array_equal(half, full[::2, ::2])


def test_ome_xml_names_channels_and_pixel_size(written: Path) -> None:
    with tifffile.TiffFile(written) as tif:
        root = ElementTree.fromstring(tif.ome_metadata)
    pixels = root.find(f"{OME}Image/{OME}Pixels")
    names = [channel.get("Name") for channel in pixels.findall(f"{OME}Channel")]
    assert names == ["DNA_1", "A488_1", "A555_1", "A647_1", "DNA_2"]
    assert (pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeXUnit")) == ("0.65", "µm")
    order = [child.tag.removeprefix(OME) for child in pixels]
    assert order == ["Channel"] * 5 + ["TiffData"]
    description = root.find(f"{OME}Image/{OME}Description").text
    assert "stand-in of exemplar-001, seed 7, region 900:2300,100:1301" in description


def test_same_seed_same_bytes_with_any_number_of_threads(written: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.ome.tif"
    write_stand_in(StandIn(EXEMPLAR, 7, 5, CROP), again, workers=1)
    for one, other in ((written, again), (labels_path(written), labels_path(again))):
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (one, other)]
        assert digests[0] == digests[1]
    write_stand_in(StandIn(EXEMPLAR, 8, 1, CROP), tmp_path / "other.ome.tif")
    assert (tmp_path / "other.ome.tif").read_bytes() != written.read_bytes()


def test_fewer_channels_are_the_first_ones(written: Path, tmp_path: Path) -> None:
    out = tmp_path / "one.ome.tif"
    write_stand_in(StandIn(EXEMPLAR, 7, 1, CROP), out)
    np.testing.assert_array_equal(tifffile.imread(out), tifffile.imread(written, key=0))


def test_progress_adds_up(tmp_path: Path) -> None:
    what = StandIn(EXEMPLAR, 0, 2, (slice(0, 1100), slice(0, 60)))
    seen: list[int] = []
    write_stand_in(what, tmp_path / "p.ome.tif", progress=seen.append)
    assert sum(seen) == what.pixels
    assert len(seen) > 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.ome.tif", "a-labels.ome.tif"), ("b.tiff", "b-labels.ome.tif"),
     ("C.OME.TIF", "C-labels.ome.tif")],
)  # fmt: skip
def test_labels_lie_beside_the_image(name: str, expected: str) -> None:
    assert labels_path(Path("x") / name) == Path("x") / expected


def test_another_ending_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"end it in \.ome\.tif"):
        labels_path(Path("image.png"))


@pytest.mark.parametrize("text", ["5", "0:5", "0:5,1", "a:b,c:d", "0:5,0:5,0:5", "::,::"])
def test_a_crop_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="Y0:Y1,X0:X1"):
        parse_crop(text)


@pytest.mark.parametrize("text", ["0:3139,0:10", "5:5,0:10", "-1:5,0:10", "10:5,0:10"])
def test_a_crop_outside_the_plane_is_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="0:3138,0:2509"):
        StandIn(EXEMPLAR, crop=parse_crop(text))


@pytest.mark.parametrize("channels", [0, 13])
def test_channels_that_there_are_not_are_refused(channels: int) -> None:
    with pytest.raises(DatasetError, match="pass 1 to 12"):
        StandIn(EXEMPLAR, channels=channels)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(DatasetError, match="seed -1"):
        StandIn(EXEMPLAR, seed=-1)


TINY = StandIn(EXEMPLAR, 0, 1, (slice(0, 50), slice(0, 50)))


def test_a_foreign_file_is_not_replaced_but_the_same_stand_in_is(tmp_path: Path) -> None:
    out = tmp_path / "mine.ome.tif"
    tifffile.imwrite(out, np.zeros((4, 4), np.uint16))
    before = out.read_bytes()
    with pytest.raises(DatasetError, match="is no stand-in"):
        write_stand_in(TINY, out)
    assert out.read_bytes() == before
    out.unlink()
    write_stand_in(TINY, out)
    before = out.read_bytes()
    write_stand_in(TINY, out)
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"channels": 2}, {"crop": (slice(9, 59), slice(0, 50))}]
)
def test_another_stand_in_is_not_replaced(change: dict[str, Any], tmp_path: Path) -> None:
    what = replace(TINY, crop=(slice(0, 50), slice(9, 59)))
    out = tmp_path / "mine.ome.tif"
    write_stand_in(what, out)
    before = out.read_bytes(), labels_path(out).read_bytes()
    with pytest.raises(DatasetError, match="exists and is another stand-in; remove it, or pass"):
        write_stand_in(replace(what, **change), out)
    assert out.read_bytes() == before[0]
    out.unlink()
    if "channels" in change:  # the labels are the same
        write_stand_in(replace(what, **change), out)
    else:
        with pytest.raises(DatasetError, match=r"mine-labels\.ome\.tif exists and is another"):
            write_stand_in(replace(what, **change), out)
    assert labels_path(out).read_bytes() == before[1]


def test_a_broken_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *rest: object) -> None:
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, "write_drawing", full)
    with pytest.raises(DatasetError, match=r"no room is left; free some"):
        write_stand_in(TINY, tmp_path / "x.ome.tif")
    assert list(tmp_path.iterdir()) == []


def test_litter_of_a_killed_run_is_cleared_and_of_a_live_one_is_not(tmp_path: Path) -> None:
    out = tmp_path / "x.ome.tif"
    dead, live = (tmp_path / f".x.ome.tif.{pid}.partial" for pid in (2**22 + 1, os.getppid()))
    for part in (dead, live):
        part.write_bytes(b"half of it")
    write_stand_in(TINY, out)
    assert {path.name for path in tmp_path.iterdir()} == {
        out.name, labels_path(out).name, live.name,
    }  # fmt: skip


def test_a_file_size_limit_gives_one_sentence(tmp_path: Path) -> None:
    """A real refusal by the system, in a process of its own."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "from tbscale.cli import main; main()"
    )
    arguments = ["data", "stand-in", "exemplar-001", "--channels", "1", "--crop", "0:700,0:700"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--out", str(tmp_path / "x.ome.tif")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no room is left" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_gives_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="cannot write"):
        write_stand_in(TINY, tmp_path / "file" / "x.ome.tif")
    (tmp_path / "d.ome.tif").mkdir()
    with pytest.raises(DatasetError, match="it is a folder"):
        write_stand_in(TINY, tmp_path / "d.ome.tif")


def test_large_planes_become_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ometiff.Drawing(
        "n", "d", (27120, 26139), np.dtype(np.uint16), ["a", "b", "c"], [None] * 3,  # type: ignore[list-item]
        halve_by_mean, None,
    )  # fmt: skip
    assert whole.largest_bytes > ometiff.LARGEST_CLASSIC_BYTES
    monkeypatch.setattr(ometiff, "LARGEST_CLASSIC_BYTES", 1000)
    out = tmp_path / "big.ome.tif"
    write_stand_in(TINY, out)
    with tifffile.TiffFile(out) as tif:
        assert tif.is_bigtiff


@pytest.mark.slow
def test_the_lung_plane_stays_under_a_gibibyte(tmp_path: Path) -> None:
    out = tmp_path / "lung.ome.tif"
    command = [sys.executable, "-m", "tbscale", "data", "stand-in", "LUNG-1-LN_40X"]
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--channels", "2", "--out", str(out)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    peak_kib = int(re.findall(r"(\d+)\s*$", done.stdout)[0])
    assert peak_kib < 1 << 20
    with tifffile.TiffFile(out) as tif:
        assert tif.series[0].shape == (2, 10101, 9666)
        assert tif.series[0].dtype == np.uint16
        assert len(tif.series[0].levels) > 1
