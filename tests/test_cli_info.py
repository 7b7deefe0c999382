"""`tbscale info` as a user runs it: a process, its output and its exit status."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from tbscale.cli import app
from tbscale.errors import ImageError


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "cycif.ome.tif"
    metadata = {"axes": "CYX", "Channel": {"Name": ["DNA", "CD3"]}}
    pixels = np.zeros((2, 40, 30), np.uint16)
    tifffile.imwrite(path, pixels, metadata=metadata, photometric="minisblack")
    return path


def test_it_prints_text(image: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(image)])
    assert result.exit_code == 0
    assert result.output.startswith(f"{image}\n")
    assert "     1  CD3\n" in result.output
    assert "memory, stock Cellpose 3" in result.output


def test_it_prints_json(image: Path) -> None:
    result = CliRunner().invoke(app, ["info", "--json", str(image)])
    assert result.exit_code == 0
    assert [c["name"] for c in json.loads(result.output)["channels"]] == ["DNA", "CD3"]


def test_a_mistake_reaches_main_as_an_image_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(tmp_path / "absent.tif")])
    assert isinstance(result.exception, ImageError)


def test_a_mistake_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no image")
    command = [sys.executable, "-m", "tbscale", "info", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"tbscale: {path} is no TIFF")
    assert result.stderr.count("\n") == 1
