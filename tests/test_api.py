"""`tbscale.segment` and the command: same options, same files, one sentence for a mistake."""

import doctest
import inspect
import json
import subprocess
import sys
from pathlib import Path

import ome_zarr_models
import pandas as pd
import pytest
import zarr
from tiny import write_tiny, write_weights

import tbscale
from tbscale import cli
from tbscale.cli.segment import run_segment
from tbscale.engine.weights import embedded_weights
from tbscale.images.labels_out.provenance import read_provenance


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    write_tiny(folder / "tissue.ome.tif")
    write_weights(folder / "weights.pth")
    return folder


@pytest.fixture(scope="module")
def result(folder: Path) -> "tbscale.api.SegmentResult":
    return tbscale.segment(
        folder / "tissue.ome.tif",
        folder / "labels.ome.zarr",
        model=folder / "weights.pth",
        flow_threshold=0.0,
        core_px=100,
        cells=folder / "cells.parquet",
        measure=["DNA_2", 0],
        report=folder / "report.html",
    )


def test_the_function_has_the_options_of_the_command() -> None:
    command = inspect.signature(run_segment).parameters
    function = inspect.signature(tbscale.segment).parameters
    defaults = {name: one.default for name, one in function.items()}
    assert {n: p.default for n, p in command.items() if n != "dry_run"} == defaults


def test_the_example_of_the_docstring_runs() -> None:
    import tbscale.api

    embedded_weights()
    failed, tried = doctest.testmod(tbscale.api)
    assert (failed, tried > 5) == (0, True)


def test_importing_the_package_is_light() -> None:
    code = "import sys, tbscale; print(sorted({'torch', 'numpy', 'cellpose'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_the_result_says_what_was_made(result: "tbscale.api.SegmentResult", folder: Path) -> None:
    assert result.cell_count > 10
    assert result.out == folder / "labels.ome.zarr"
    assert {"network", "follow", "table", "write"} <= set(result.steps_s)
    assert 0 < result.step_peak_rss_bytes["network"] <= result.peak_rss_bytes
    stages = {stage.name: stage.bytes for stage in result.plan.projection.stages}
    assert stages["table"] > 0
    assert result.cells is not None
    table = pd.read_parquet(result.cells)
    assert len(table) == result.cell_count
    assert list(table)[:4] == ["CellID", "DNA_2", "DNA_1", "X_centroid"]
    assert result.report is not None
    assert result.report.is_file()
    assert not list(folder.glob(".*"))


def test_the_labels_are_valid_and_carry_their_grade(
    result: "tbscale.api.SegmentResult", folder: Path
) -> None:
    group = zarr.open_group(result.out, mode="r")
    ome_zarr_models.v05.ImageLabel.from_zarr(group)
    facts = read_provenance(result.out)
    assert facts["grade"] == "bit"
    assert facts["cells"] == result.cell_count
    assert facts["image name"] == "tissue.ome.tif"
    assert facts["model"] == "weights.pth"
    assert set(facts["run"]["steps"]) >= {"network", "table"}
    assert str(folder) not in json.dumps(facts)  # no path leaves with the labels


def test_the_table_does_not_depend_on_the_blocks(
    result: "tbscale.api.SegmentResult", folder: Path, tmp_path: Path
) -> None:
    other = tbscale.segment(
        folder / "tissue.ome.tif",
        tmp_path / "labels.ome.tif",
        model=folder / "weights.pth",
        flow_threshold=0.0,
        core_px=64,
        cells=tmp_path / "cells.parquet",
        measure=["DNA_2", 0],
    )
    assert result.cells is not None
    assert other.cells is not None
    pd.testing.assert_frame_equal(pd.read_parquet(result.cells), pd.read_parquet(other.cells))
    zarr_facts, tiff_facts = read_provenance(result.out), read_provenance(other.out)
    assert {n: v for n, v in zarr_facts.items() if n not in ("run", "core_px")} == {
        n: v for n, v in tiff_facts.items() if n not in ("run", "core_px")
    }


def test_a_run_killed_after_the_table_was_named_continues(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    out, cells = tmp_path / "labels.ome.zarr", tmp_path / "cells.csv"
    arguments = {"model": folder / "weights.pth", "flow_threshold": 0.0, "cells": cells}
    monkeypatch.setattr("tbscale.engine.segmentation.run_facts", killed)
    with pytest.raises(KeyboardInterrupt):
        tbscale.segment(folder / "tissue.ome.tif", out, **arguments)
    assert cells.is_file()
    assert not out.exists()
    monkeypatch.undo()
    result = tbscale.segment(folder / "tissue.ome.tif", out, **arguments)
    assert len(pd.read_csv(cells)) == result.cell_count
    assert read_provenance(out)["run"]["resumed"]


WRONG = {
    "--channel": ("9", "no channel 9"),
    "--channel2": ("CD3", "no channel named 'CD3'"),
    "--level": ("7", "no level 7"),
    "--z": ("3", "no z 3"),
    "--t": ("-1", "no t -1"),
    "--model": ("nucleii", "no model and no file"),
    "--diameter": ("0.1", "pass a --diameter of at least 1.07"),
    "--flow-threshold": ("nan", "0 or more"),
    "--cellprob-threshold": ("inf", "a finite number"),
    "--min-size": ("few", "'--min-size': Input should be a valid integer"),
    "--niter": ("-1", "at least 1, or 0 for the default"),
    "--overlap": ("1.5", "a share from 0 to 1"),
    "--network": ("slow", "'slow'"),
    "--device": ("tpu", "'tpu'"),
    "--plain": ("write", "'write'"),
    "--memory": ("much", "not a size of memory"),
    "--core-px": ("63", "--core-px is 63; pass at least 64"),
    "--cells": ("cells.xlsx", "end it in .csv or .parquet"),
    "--measure": ("CD8", "--cells FILE"),
    "--report": ("report.pdf", "end it in .html"),
    "--colour": ("red", "--colour"),
}


@pytest.mark.parametrize("option", ["--cells", "--report", "--memory"])
def test_a_plan_alone_refuses_what_a_run_would(
    option: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value, says = WRONG[option]
    image, out = folder / "tissue.ome.tif", folder / "wrong.ome.tif"
    words = ["tbscale", "segment", str(image), str(out), option, value, "--dry-run"]
    monkeypatch.setattr(sys, "argv", [*words, "--model", "embedded"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("option", WRONG)
def test_a_wrong_option_is_one_sentence_and_status_2(
    option: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value, says = WRONG[option]
    image, out = folder / "tissue.ome.tif", folder / "wrong.ome.tif"
    words = ["tbscale", "segment", str(image), str(out), option, value]
    monkeypatch.setattr(
        sys, "argv", words if option == "--model" else [*words, "--model", "embedded"]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("tbscale: ")
    assert says in shown.err
    assert shown.err.count("\n") == 1
    assert not list(folder.glob("*wrong*"))


@pytest.mark.parametrize("option", ["OUT", "--cells", "--report"])
@pytest.mark.parametrize("how", ["--resume", "--restart", "--dry-run"])
def test_a_file_that_is_there_is_not_replaced(
    option: str, how: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    paths = {"OUT": "labels.ome.tif", "--cells": "cells.csv", "--report": "page.html"}
    there = tmp_path / paths[option]
    there.write_text("mine")
    out, cells, page = (str(tmp_path / name) for name in paths.values())
    words = ["tbscale", "segment", str(folder / "tissue.ome.tif"), out, how]
    monkeypatch.setattr(sys, "argv", [*words, "--cells", cells, "--report", page])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert f"{there.name} exists; " in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_every_option_with_a_value_is_tried() -> None:
    options = {
        "--" + name.replace("_", "-")
        for name in inspect.signature(run_segment).parameters
        if name not in ("image", "out", "restart", "dry_run")
    }
    assert options <= set(WRONG)


def test_help_is_no_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tbscale", "segment", "--help"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert "--cells" in capsys.readouterr().out
