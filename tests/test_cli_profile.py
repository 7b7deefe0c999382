"""`tbscale profile` and `tbscale record` as a user runs them, on a tiny image."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import psutil
import pytest
from made_up import made_up_record
from tiny import write_tiny, write_weights

from tbscale.bench.records import json_schema, load_record, save_record
from tbscale.engine.workload.job import Job

GNU_TIME = Path("/usr/bin/time")
STEPS = [
    "read",
    "convert",
    "normalise",
    "tile",
    "network",
    "blend",
    "follow",
    "seeds",
    "flow_qc",
    "fill",
    "display",
]


def run(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this interpreter in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny image and weights that find cells in it."""
    made = tmp_path_factory.mktemp("profile")
    write_tiny(made / "tiny.ome.tif", 192)
    write_weights(made / "weights.pth")
    return made


@pytest.fixture(scope="module")
def profiled(folder: Path) -> subprocess.CompletedProcess[str]:
    words = "tbscale profile tiny.ome.tif --model weights.pth --channel DNA_1 --repeats 1"
    more = "--threads 1 --setting flow_threshold=3 --out results/local -p show_pixels=always"
    return run(*words.split(), *more.split(), folder=folder, TBSCALE_CACHE=str(folder / "cache"))


def test_profile_leaves_a_record_and_a_notebook(
    folder: Path, profiled: subprocess.CompletedProcess[str]
) -> None:
    assert profiled.returncode == 0, profiled.stderr
    assert "pass 3 of 3: line_profiler" in profiled.stderr
    (path,) = (folder / "results" / "local").rglob("*.json")
    record = load_record(path)
    assert (record.dataset.name, record.dataset.channel_name) == ("tiny", "DNA_1")
    assert record.result is not None
    assert record.result.cells > 5
    assert [one.instrument for one in record.passes] == ["plain", "scalene", "line_profiler"]
    assert record.command == (
        "tbscale profile tiny.ome.tif --channel DNA_1 --model weights.pth --repeats 1 "
        "--threads 1 --setting flow_threshold=3"
    )
    for one in record.passes:
        assert one.threads.torch == 1
        for repeat in one.repeats:
            assert list(repeat.steps) == STEPS
            assert sum(repeat.steps.values()) == pytest.approx(repeat.wall_s, rel=0.03)
    assert len(record.plain.repeats) == 2
    # samples and the lifetime peak come from counters that the kernel keeps approximately
    assert record.plain.peak_rss_bytes >= 0.99 * max(record.plain.repeats[1].rss_bytes)
    assert all(one.overhead_ratio for one in record.passes[1:])


def test_the_executed_notebook_shows_what_the_record_says(
    folder: Path, profiled: subprocess.CompletedProcess[str]
) -> None:
    assert profiled.returncode == 0, profiled.stderr
    (path,) = (folder / "results" / "local").rglob("*.ipynb")
    assert path.with_suffix(".json").is_file()
    assert path.stat().st_size < 1_000_000
    assert str(folder) not in path.read_text()
    cells = {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}
    figures = [name for name, cell in cells.items() if "image/svg+xml" in str(cell.get("outputs"))]
    assert figures == ["time", "memory", "region"]
    for table in ("scalene", "lines"):
        assert "cellpose/" in str(cells[table].outputs)


def test_check_accepts_the_record_and_not_an_edited_one(
    folder: Path, profiled: subprocess.CompletedProcess[str]
) -> None:
    assert profiled.returncode == 0, profiled.stderr
    (path,) = (folder / "results" / "local").rglob("*.json")
    words = ["tbscale", "record", "check"]
    checked = run(*words, str(path), folder=folder)
    assert checked.returncode == 0, checked.stderr
    assert "nothing private found" in checked.stdout
    edited = folder / "edited.json"
    edited.write_text(path.read_text().replace('"DNA_1"', '"DNA_9"'))
    refused = run(*words, str(edited), folder=folder)
    assert refused.returncode == 2
    assert re.fullmatch(r"tbscale: .* was changed after it was sealed .*\n", refused.stderr)


def test_peers_are_shown(tmp_path: Path) -> None:
    path = save_record(made_up_record(), tmp_path / "mine")
    checked = run(
        "tbscale", "record", "check", str(path), "--results", str(tmp_path), folder=tmp_path
    )
    assert "no published record of made-up with stock yet" in checked.stdout
    schema = run("tbscale", "record", "schema", folder=tmp_path)
    assert json.loads(schema.stdout) == json_schema()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("absent.tif", "neither a file nor a dataset"),
        ("--all", "no dataset is on disk"),
        ("x --all", "without a name"),
        ("-p colour=red", "no parameter colour; choose from"),
    ],
)
def test_mistakes_are_one_sentence_before_anything_runs(
    tmp_path: Path, words: str, message: str
) -> None:
    failed = run("tbscale", "profile", *words.split(), folder=tmp_path)
    assert failed.returncode == 2
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.skipif(not GNU_TIME.exists(), reason="no /usr/bin/time here")
def test_stated_peak_memory_is_that_of_the_operating_system(folder: Path) -> None:
    job = Job("stock", "tiny.ome.tif", model="weights.pth", repeats=1, warm_ups=0)
    (folder / "job.json").write_text(replace(job, settings={"flow_threshold": 3.0}).to_json())
    words = [sys.executable, "-m", "tbscale.engine.workload", "job.json", "result.json"]
    done = subprocess.run(
        [str(GNU_TIME), "-v", *words], cwd=folder, capture_output=True, text=True, check=True
    )
    found = re.search(r"Maximum resident set size \(kbytes\): (\d+)", done.stderr)
    assert found is not None
    stated = json.loads((folder / "result.json").read_text())["peak_rss_bytes"]
    assert stated == pytest.approx(1024 * int(found[1]), rel=0.05)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--instruments scalene", "begin with plain"),
        ("--repeats 0", "measure nothing"),
        ("--time-limit -5", "ends every pass"),
    ],
)
def test_passes_that_measure_nothing_start_no_kernel(
    tmp_path: Path, words: str, message: str
) -> None:
    failed = run("tbscale", "profile", "exemplar-001", *words.split(), folder=tmp_path)
    assert failed.returncode == 2
    assert failed.stderr.startswith("tbscale: ")
    assert failed.stderr.count("\n") == 1
    assert message in failed.stderr


def test_a_profile_that_is_told_to_end_leaves_no_process(folder: Path, tmp_path: Path) -> None:
    words = f"tbscale profile {folder}/tiny.ome.tif --model {folder}/weights.pth --channel DNA_1"
    process = subprocess.Popen(
        [sys.executable, "-m", *words.split(), "--repeats", "100000", "--out", str(tmp_path)],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    own = psutil.Process(process.pid)
    try:
        family = wait_for_workload(own)
        process.terminate()
        assert process.wait(60) != 0
        _, alive = psutil.wait_procs(family, timeout=30)
        assert alive == []
        assert list(tmp_path.rglob("*.json")) == []
    finally:
        for one in [*own.children(recursive=True), own] if own.is_running() else []:
            one.kill()  # 100,000 repeats would outlive a failed test
        process.wait(60)


def is_workload(process: psutil.Process) -> bool:
    """Whether a process runs a pass; one that ended meanwhile does not."""
    try:
        return "tbscale.engine.workload" in process.cmdline()
    except (psutil.Error, FileNotFoundError):
        return False


def wait_for_workload(parent: psutil.Process, limit_s: float = 120) -> list[psutil.Process]:
    """The processes below one, as soon as a pass is among them."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        family = parent.children(recursive=True)
        if any(map(is_workload, family)):
            return family
        time.sleep(0.2)
    raise AssertionError("no pass was started")
