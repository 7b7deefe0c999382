"""Every notebook of the questions runs, at a tiny size, and leaves the record of its experiment."""

from pathlib import Path

import pytest
from tiny import write_tiny

from tbscale.bench.records import load_record
from tbscale.bench.template import check_parameters, execute
from tbscale.errors import RunError

PAGES = Path(__file__).resolve().parents[1] / "notebooks"
TINY: dict[str, dict[str, object]] = {
    "questions/q1-bottleneck": {"image": "tiny.ome.tif", "crop": "0:96,0:96", "repeats": 1},
    "questions/q2-growth": {"smallest": 0.01, "largest": 0.02, "threads_size": 0.01},
    "questions/q3-properties": {"densities": "1500", "diameters": "", "empty": "", "size_px": 96},
    "questions/q4-settings": {"variants": "niter-50", "size_px": 96, "rounds": 1},
    "questions/q5-channels": {"channels": "1,2", "nets": "2", "size_px": 96, "tiles": 1},
    "questions/q6-network": {"tiles": 1, "tile_px": 64, "rounds": 1, "size_px": 96},
    "questions/q7-files": {"size_px": 96, "rounds": 1},
    "questions/q10-speedup": {
        "image": "tiny.ome.tif",
        "crop": "0:96,0:96",
        "rounds": 1,
        "engines": "tbscale",
    },
    "trust": {"image": "tiny.ome.tif"},
}
EXPERIMENT = {"questions/q1-bottleneck": "profile"}


@pytest.mark.parametrize("name", list(TINY))
def test_a_notebook_runs_and_leaves_its_record(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny(Path("tiny.ome.tif"), 128, 1)
    Path("results").mkdir()
    parameters = {**TINY[name], "out": "results/local", "results": "results"}
    path, notebook = execute(PAGES / f"{name}.ipynb", parameters, Path("results/local"))
    record = load_record(path)
    assert record.experiment == EXPERIMENT.get(name, name.rpartition("-")[2])
    assert record.measures or record.passes
    assert notebook.is_file()


def test_an_unknown_parameter_is_refused() -> None:
    for name in TINY:
        with pytest.raises(RunError, match="no parameter colour"):
            check_parameters(PAGES / f"{name}.ipynb", {"colour": "red"})
