"""`tbscale data`: tables, files, one sentence for a mistake."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from tbscale.cli import app
from tbscale.errors import DatasetError
from tbscale.images import fetch as fetch_module

RUN = CliRunner()


def test_list_is_a_table() -> None:
    lines = RUN.invoke(app, ["data", "list"]).output.splitlines()
    assert [line.split()[0] for line in lines] == [
        "name", "exemplar-001", "LUNG-1-LN_40X", "WD-76845-097",
    ]  # fmt: skip
    assert "27120 x 26139" in lines[3]


def test_list_as_json() -> None:
    facts = json.loads(RUN.invoke(app, ["data", "list", "--json"]).output)
    assert [each["shape_yx"] for each in facts] == [[3138, 2509], [10101, 9666], [27120, 26139]]
    assert [len(each["channel_names"]) for each in facts] == [12, 44, 40]
    assert {each["synapse_folder"] for each in facts} == {"syn26848688"}


def test_stand_in_writes_both_files(tmp_path: Path) -> None:
    out = tmp_path / "new" / "s.ome.tif"
    arguments = ["--out", str(out), "--seed", "4", "--channels", "2", "--crop", "10:74,20:148"]
    result = RUN.invoke(app, ["data", "stand-in", "exemplar-001", *arguments])
    assert result.exit_code == 0, result.output
    assert tifffile.imread(out).shape == (2, 64, 128)
    assert tifffile.imread(out.with_name("s-labels.ome.tif")).dtype == np.uint32
    assert "seed 4" in result.stdout


@pytest.mark.parametrize("command", ["stand-in", "fetch"])
def test_an_unknown_name_lists_the_choices(command: str) -> None:
    result = RUN.invoke(app, ["data", command, "exemplar-9"])
    assert isinstance(result.exception, DatasetError)
    assert "choose one of exemplar-001, LUNG-1-LN_40X, WD-76845-097" in str(result.exception)


def test_fetch_shows_progress_and_prints_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(data: object, out: Path, progress: fetch_module.Progress) -> Path:
        for done in (0, 50, 100):
            progress(fetch_module.DOWNLOAD, done, 100)
        progress(fetch_module.VERIFY, 100, 100)
        return out

    monkeypatch.setattr(fetch_module, "fetch", fetch)
    result = RUN.invoke(app, ["data", "fetch", "exemplar-001", "--out", str(tmp_path / "e.tif")])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "e.tif")
    assert "download: 100%" in result.stderr
    assert "verify: 100%" in result.stderr


def test_a_mistake_is_one_sentence_and_status_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tbscale", "data", "stand-in", "exemplar-001", "--crop", "x"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "tbscale: 'x' is not a crop; pass Y0:Y1,X0:X1 in pixels, such as 0:512,100:612"
    )
