"""The report: one page that asks for nothing, made from what labels say of themselves."""

import errno
import re
import tracemalloc
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from browser import DESKTOP, PHONE, Browser, find_chromium
from numpy.typing import NDArray
from tiny import blobs
from typer.testing import CliRunner

from tbscale.cli import app
from tbscale.engine.table.measure import measure_shapes
from tbscale.errors import ImageError, RunError
from tbscale.images.labels_out import open_label_writer
from tbscale.images.plane import ArrayPlane
from tbscale.report.page import check_report_path, default_path, is_report, write_report
from tbscale.report.source import open_source
from tbscale.report.survey import (
    around,
    busiest_border,
    choose_places,
    count_in_bins,
    shrink,
    survey,
)

SHAPE = (600, 700)
RUN: dict[str, Any] = {
    "wall_s": 12.5,
    "peak_rss_bytes": 2**30,
    "resumed": True,
    "steps": {
        "network": {"wall_s": 10.0, "peak_rss_bytes": 2**30},
        "fill": {"wall_s": 0.1, "peak_rss_bytes": None},
    },
    "plan": {"budget_bytes": 2**32, "projected_peak_bytes": 2**30 + 2**28, "blocks": 9},
    "machine": {"cores": 2, "memory_bytes": 2**34},
}


def squares() -> NDArray[np.uint32]:
    """Cells of 10 px with a gap, more of them at the top."""
    labels = np.zeros(SHAPE, np.uint32)
    count = 0
    for y in range(5, SHAPE[0] - 15, 14):
        for x in range(5, SHAPE[1] - 15, 14 if y < 300 else 42):
            count += 1
            labels[y : y + 10, x : x + 10] = count
    return labels


def write_pair(folder: Path, name: str = "labels.ome.zarr", **facts: Any) -> Path:
    """An image whose channel has a hostile name, and labels of it."""
    pixels = np.tile(blobs(256), (3, 3))[: SHAPE[0], : SHAPE[1]]
    tifffile.imwrite(
        folder / "tissue.ome.tif",
        pixels[None],
        ome=True,
        tile=(128, 128),
        metadata={"axes": "CYX", "Channel": {"Name": ["<script>DNA & co</script>"]}},
    )
    labels = squares()
    known = {
        "cells": int(labels.max()),
        "image name": "tissue.ome.tif",
        "grade": "bit",
        "reference": "Cellpose",
        "channel": None,
        "level": 0,
        "core_px": 256,
        "shape": list(SHAPE),
    }
    with open_label_writer(
        folder / name, SHAPE, pixel_size_um=(0.65, 0.65), provenance=known | facts
    ) as writer:
        writer.write(slice(0, SHAPE[0]), slice(0, SHAPE[1]), labels)
    return folder / name


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    labels = write_pair(folder, run=RUN)
    return write_report(labels, folder / "page.html")


def test_the_page_holds_everything_and_asks_for_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;DNA &amp; co" in text
    assert re.findall(r'(?:src|href|srcset)="(?!data:)', text) == []
    for alt in re.findall(r'<img [^>]*?alt="([^"]*)"', text):
        assert len(alt) > 20
    for words in ("1. Dense", "2. Sparse", "3. Where blocks met", "12.5", "projected", "core_px"):
        assert words in text
    assert "continued one that was cut short" in text
    assert [p.name for p in page.parent.iterdir() if p.name.startswith(".")] == []


def test_a_run_that_left_no_facts_is_said_so(tmp_path: Path) -> None:
    labels = write_pair(tmp_path, "labels.ome.tif")
    shown = CliRunner().invoke(app, ["report", str(labels)])
    assert shown.exit_code == 0, shown.output
    assert shown.output.strip() == str(default_path(labels))
    assert "do not hold what their run took" in default_path(labels).read_text(encoding="utf-8")


def test_a_page_is_made_again_and_another_file_is_not_replaced(tmp_path: Path) -> None:
    labels = write_pair(tmp_path)
    page, notes = default_path(labels), tmp_path / "notes.html"
    notes.write_text("<p>mine</p>", encoding="utf-8")
    for _ in range(2):
        assert CliRunner().invoke(app, ["report", str(labels)]).exit_code == 0
        assert is_report(page)
        page.write_text(page.read_text("utf-8").replace("<h1>", "<h1>Old "), encoding="utf-8")
    shown = CliRunner().invoke(app, ["report", str(labels), "--html", str(notes)])
    assert "exists and is no page of tbscale; choose another name" in str(shown.exception)
    assert notes.read_text("utf-8") == "<p>mine</p>"
    with pytest.raises(ImageError, match=r"labels\.ome\.zarr\.html exists; choose another name"):
        check_report_path(page)


def test_no_cells_make_a_page_too(tmp_path: Path) -> None:
    write_pair(tmp_path)
    empty = tmp_path / "empty.ome.zarr"
    facts = {"cells": 0, "image name": "tissue.ome.tif", "core_px": 256, "run": RUN}
    with open_label_writer(empty, SHAPE, provenance=facts):
        pass
    text = write_report(empty, tmp_path / "empty.html").read_text(encoding="utf-8")
    assert "no cells" in text


def refuse(**_: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_what_cannot_be_reported_is_one_sentence(tmp_path: Path) -> None:
    labels = write_pair(tmp_path)
    with pytest.raises(ImageError, match=r"end it in \.html"):
        check_report_path(tmp_path / "page.pdf")
    with pytest.raises(RunError, match="there is no directory"):
        check_report_path(tmp_path / "none" / "page.html")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", refuse)
        with pytest.raises(
            RunError, match=r"cannot be written to \(Read-only .*\); choose another"
        ):
            check_report_path(tmp_path / "page.html")
    with pytest.raises(ImageError, match="does not say what made it"):
        write_report(tmp_path / "tissue.ome.tif", tmp_path / "page.html")
    with pytest.raises(ImageError, match="there is no file"):
        write_report(tmp_path / "absent.ome.zarr", tmp_path / "page.html")
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, np.zeros((30, 30), np.uint16))
    with pytest.raises(ImageError, match="pass the image that was segmented"):
        write_report(labels, tmp_path / "page.html", other)
    (tmp_path / "tissue.ome.tif").rename(tmp_path / "moved.ome.tif")
    with pytest.raises(ImageError, match="pass --image PATH"):
        write_report(labels, tmp_path / "page.html")
    write_report(labels, tmp_path / "page.html", tmp_path / "moved.ome.tif")


@pytest.mark.parametrize("shape", [(40, 90), (101, 37), (5, 5)])
def test_a_shrunk_plane_holds_the_means(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 60000, shape).astype(np.uint16)
    small = shrink(ArrayPlane(pixels), 20)
    step = -(-max(shape) // 20)
    for row, column in np.ndindex(small.shape):
        part = pixels[row * step : (row + 1) * step, column * step : (column + 1) * step]
        assert small[row, column] == pytest.approx(part.mean(), rel=1e-5)


def test_the_places_are_the_dense_the_sparse_and_a_border() -> None:
    labels = squares()
    shapes = measure_shapes(ArrayPlane(labels), int(labels.max()))
    assert count_in_bins(shapes, SHAPE, 24).sum() == labels.max()
    dense, sparse, border = choose_places(shapes, SHAPE, 256)
    counts = [len(np.unique(labels[p.region])) for p in (dense, sparse, border)]
    assert counts[0] > counts[1]
    assert border.borders_y == (512,)  # at row 256 the squares leave a gap, so none crosses
    assert set(border.borders_x) <= {256, 512}
    assert border.borders_x
    assert len(choose_places(shapes, SHAPE, 1024)) == 2
    (found,) = {busiest_border(shapes, SHAPE, 650)}
    assert found is not None
    assert found[1] == 650


def test_a_window_stays_in_the_plane() -> None:
    assert around(0, 699, SHAPE) == (slice(0, 256), slice(444, 700))
    assert around(50, 50, (100, 80)) == (slice(0, 100), slice(0, 80))


def test_memory_does_not_grow_with_the_plane(tmp_path: Path) -> None:
    """Nothing of the plane's size is held: 36 megapixels, of which 4 bytes each are labels."""
    shape = (6000, 6000)
    image = tmp_path / "wide.ome.tif"
    tifffile.imwrite(image, np.zeros(shape, np.uint16), tile=(256, 256), compression="zlib")
    facts = {"cells": 1, "image name": image.name, "core_px": 2048}
    with open_label_writer(tmp_path / "labels.ome.zarr", shape, provenance=facts) as writer:
        writer.write(slice(2040, 2060), slice(2040, 2060), np.ones((20, 20), np.uint32))
    tracemalloc.start()
    try:
        write_report(tmp_path / "labels.ome.zarr", tmp_path / "page.html")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60_000_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium (apt-get install chromium)")
    with Browser(executable) as opened:
        yield opened


@pytest.mark.parametrize(
    ("size", "dark"), [(PHONE, False), (DESKTOP, False), (DESKTOP, True)], ids=str
)
def test_the_page_reads_on_a_phone_and_in_the_dark(
    browser: Browser, page: Path, size: tuple[int, int], dark: bool
) -> None:
    browser.resize(size, dark)
    browser.open(f"file://{page}")
    assert browser.logged == []
    assert [one for one in browser.asked if not one.startswith(("file:", "data:"))] == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert browser.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    browser.evaluate(f"{axe}; 0")
    found = browser.evaluate(
        "axe.run({resultTypes: ['violations']}).then(r => r.violations"
        ".map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' ').slice(0, 300)))"
    )
    assert found == []


def test_the_report_shows_the_plane_that_was_segmented(tmp_path: Path) -> None:
    made = write_pair(tmp_path, z=1, t=None)
    stack = np.stack([np.full(SHAPE, level, np.uint16) for level in (10, 20, 30)])
    tifffile.imwrite(tmp_path / "tissue.ome.tif", stack, ome=True, metadata={"axes": "ZYX"})
    source = open_source(made, None, 100)
    assert int(source.pixels.read(slice(0, 1), slice(0, 1))[0, 0]) == 20


def test_gaps_in_the_numbers_are_no_cells(tmp_path: Path) -> None:
    made = write_pair(tmp_path, "gaps.ome.zarr", **{"cells": 10**6, "largest id": 10**6})
    found = survey(open_source(made, None, 100))
    assert found.density.sum() == len(found.means) == squares().max()
