"""Pixels, places and options that a run cannot use: one sentence, and nothing left behind."""

import os
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from fake_run import BENCH, SETTINGS, SHAPE, broken, climber, request

from tbscale import cli
from tbscale.engine import result
from tbscale.engine.cells import Rules
from tbscale.engine.estimate import estimate_request, estimate_time
from tbscale.engine.plan import GIB, plan_segmentation
from tbscale.engine.projection import Workload
from tbscale.engine.rescale import Scaling
from tbscale.engine.segmentation import segment
from tbscale.engine.weights import embedded_weights
from tbscale.errors import ImageError, RunError, WeightsError
from tbscale.images.labels_out import writer as writing
from tbscale.images.labels_out.writer import open_label_writer
from tbscale.images.plane import ArrayPlane


@pytest.fixture
def folder(tmp_path):
    BENCH["write_image"](tmp_path / "image.tif", SHAPE, 2)
    return tmp_path


def test_a_pixel_that_is_no_number_is_refused_wherever_it_lies(tmp_path):
    pixels = np.ones((2100, 64), np.float32)
    pixels[::2] = 5
    pixels[2050, 3] = np.nan
    tifffile.imwrite(tmp_path / "image.tif", pixels, tile=(64, 64))
    with pytest.raises(ImageError, match=r"rows 2048 to 2100 hold a pixel that is not a finite"):
        segment(request(tmp_path), make_network=climber)
    assert [path.name for path in tmp_path.iterdir()] == ["image.tif"]
    pixels[2050, 3] = 1
    tifffile.imwrite(tmp_path / "image.tif", pixels, tile=(64, 64))
    assert segment(request(tmp_path), make_network=climber).out.exists()


def test_numbers_keep_the_gap_of_a_cell_that_was_overwritten_and_the_table_has_no_row(
    folder, monkeypatch
):
    decide = result.last_decision

    def overwrite_one(ids, *rest):
        final = decide(ids, *rest)
        final[final == 7] = 0
        return final

    monkeypatch.setattr(result, "last_decision", overwrite_one)
    settings = replace(SETTINGS, rules=Rules(flow_threshold=3.0, min_size=0))
    made = segment(
        replace(request(folder), settings=settings, cells=folder / "cells.csv"),
        make_network=climber,
    )
    ids = np.unique(tifffile.imread(made.out))[1:]
    rows = (folder / "cells.csv").read_text().splitlines()[1:]
    assert [int(row.partition(",")[0]) for row in rows] == ids.tolist()
    assert 7 not in ids
    assert ids[-1] == len(ids) + 1 == made.cell_count + 1


def test_a_dry_run_takes_a_diameter_of_which_its_piece_holds_no_pixel(folder):
    plan, estimate = estimate_request(replace(request(folder), diameter=300.0 * 17), climber)
    assert plan.shape == SHAPE
    assert estimate.tiles == 1


def test_a_dry_run_of_a_large_plane_takes_a_diameter_larger_than_its_piece(tmp_path):
    plane = ArrayPlane(np.ones((600, 1400), np.uint16))
    plan = plan_segmentation(plane.shape, 8 * GIB, work=Workload(frame=(1, 2)))
    settings = replace(SETTINGS, scaling=Scaling(1 / 599))
    assert estimate_time([plane], plan, BENCH["Climber"](), settings).tiles == 1


@pytest.mark.parametrize("diameter", [1.0625, 4.25])
def test_a_dry_run_of_an_enlarged_plane_still_costs_a_few_batches(folder, diameter):
    _, estimate = estimate_request(replace(request(folder), diameter=diameter), climber)
    assert estimate.tiles <= 36


def test_weights_without_a_place_are_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TBSCALE_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(WeightsError, match=r"cannot be unpacked into .*; set TBSCALE_CACHE"):
        embedded_weights()


def test_a_place_without_permission_is_one_sentence(monkeypatch, capsys):
    def refuse(**_):
        raise PermissionError(13, "Permission denied", "/some/where")

    monkeypatch.setattr(cli, "app", refuse)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "tbscale: no permission for /some/where; choose a place" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_labels_in_a_folder_without_permission_are_refused_before_any_work(folder):
    (folder / "closed").mkdir(mode=0o500)
    with pytest.raises(RunError, match="closed cannot be written to"):
        segment(request(folder, "closed/labels.ome.tif"), make_network=climber)


def test_labels_that_cannot_be_finished_leave_nothing(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(writing, "stream_ome_tiff", fails)
    labels = np.ones((40, 50), np.uint32)
    with (
        pytest.raises(OSError, match="Input/output"),
        open_label_writer(tmp_path / "labels.ome.tif", (40, 50)) as writer,
    ):
        writer.write(slice(0, 40), slice(0, 50), labels)
    assert list(tmp_path.iterdir()) == []


def test_a_restarted_run_takes_its_table_with_it(folder, monkeypatch):
    """Killed with its table written, restarted, and killed before the new one: no stale table."""
    made = request(folder, cells=folder / "cells.csv")
    with monkeypatch.context() as patch:
        patch.setattr("tbscale.images.labels_out.writer.stream_ome_tiff", None)
        with pytest.raises(TypeError):
            segment(made, make_network=climber)
    assert made.cells.exists()
    assert not made.out.exists()
    with pytest.raises(RuntimeError):
        segment(made, restart=True, make_network=broken)
    assert not made.cells.exists()
    assert segment(made, make_network=climber).cells.exists()
