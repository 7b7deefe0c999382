"""Passes: how a process ends, what an instrument yields, and that nothing means an error."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tbscale.bench import passes
from tbscale.bench.scalene_table import enclosing_function, read_scalene
from tbscale.engine.workload import lines
from tbscale.engine.workload.job import Job
from tbscale.engine.workload.sampler import step_peaks, thin_samples, thin_spans
from tbscale.engine.workload.threads import VARIABLES, thread_environment
from tbscale.errors import RecordError, RunError
from tbscale.steps import Span

JOB = Job("stock", "x.tif", threads=1)
REPORT = {
    "prepare_s": 1.0,
    "start_rss_bytes": 5,
    "peak_rss_bytes": 9,
    "threads": {},
    "repeats": [{"wall_s": 3.0, "peak_rss_bytes": 8}],
    "line_profiler": None,
}


def replace_process(
    monkeypatch: pytest.MonkeyPatch, code: str, report: dict[str, Any] | None = None
) -> None:
    """Let a pass run `code`, after writing `report` as its result if there is one."""

    def command(job: Job, folder: Path) -> list[str]:
        text = "" if report is None else json.dumps(report)
        write = f"open({str(folder / 'result.json')!r}, 'w').write({text!r})" if text else "pass"
        return [sys.executable, "-c", f"import os, sys, time\n{write}\n{code}"]

    monkeypatch.setattr(passes, "pass_command", command)


def test_a_completed_pass_reports_its_repeats_and_overhead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = {"functions": ["f"], "lines": [{"line": 1}]}
    replace_process(monkeypatch, "", {**REPORT, "line_profiler": table})
    job = Job("stock", "x.tif", threads=1, instrument="line_profiler")
    outcome = passes.run_pass(job, tmp_path, plain_first_s=2.0)
    assert outcome.document["ended"] == "completed"
    assert outcome.document["overhead_ratio"] == 1.5
    assert outcome.document["line_profiler"] == table
    assert outcome.document["instrument_version"] != ""


def test_a_killed_process_is_a_finding_with_its_peak(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = "keep = bytearray(80_000_000); time.sleep(0.5)\nos.kill(os.getpid(), 9)"
    replace_process(monkeypatch, code)
    outcome = passes.run_pass(JOB, tmp_path)
    assert outcome.report is None
    assert outcome.document["ended"] == "out_of_memory"
    assert outcome.document["peak_rss_bytes"] > 80_000_000


def test_a_memory_error_is_a_finding_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    error = {"error": {"kind": "MemoryError", "message": "no room"}}
    replace_process(monkeypatch, "sys.exit(2)", error)
    assert passes.run_pass(JOB, tmp_path).document["ended"] == "out_of_memory"


def test_a_pass_over_its_time_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace_process(monkeypatch, "time.sleep(60)")
    outcome = passes.run_pass(JOB, tmp_path, time_limit_s=0.3)
    assert outcome.document["ended"] == "time_limit"


def test_a_users_mistake_comes_back_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = {"error": {"kind": "ImageError", "message": "no channel 9; pass 0 or 1"}}
    replace_process(monkeypatch, "sys.exit(2)", error)
    with pytest.raises(RunError, match="no channel 9; pass 0 or 1"):
        passes.run_pass(JOB, tmp_path)


@pytest.mark.parametrize("code", ["raise SystemExit('boom')", ""])
def test_an_unexpected_end_quotes_the_last_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    replace_process(monkeypatch, code)
    with pytest.raises(RunError, match=r"boom|no result \(it said nothing\)"):
        passes.run_pass(JOB, tmp_path)


def test_log_lines_are_passed_on_while_it_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replace_process(monkeypatch, "print('half way', file=sys.stderr)", REPORT)
    monkeypatch.setattr(logging.getLogger("tbscale"), "propagate", True)
    with caplog.at_level(logging.INFO, logger="tbscale"):
        passes.run_pass(JOB, tmp_path)
    assert "half way" in caplog.messages


def test_every_library_is_held_to_the_threads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert set(thread_environment(3).values()) == {"3"}
    code = f"sys.exit(any(os.environ[name] != '1' for name in {VARIABLES!r}))"
    replace_process(monkeypatch, code, REPORT)
    assert passes.run_pass(JOB, tmp_path).document["ended"] == "completed"


def test_instruments_that_yield_nothing_are_errors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    replace_process(monkeypatch, "", REPORT)
    with pytest.raises(RecordError, match="line_profiler yielded nothing"):
        passes.run_pass(Job("stock", "x", threads=1, instrument="line_profiler"), tmp_path)
    with pytest.raises(RecordError, match="scalene wrote no profile"):
        passes.run_pass(Job("stock", "x", threads=1, instrument="scalene"), tmp_path)
    (tmp_path / "scalene.json").write_text("{}")  # what scalene writes of a short run
    with pytest.raises(RecordError, match="scalene yielded nothing"):
        passes.run_pass(Job("stock", "x", threads=1, instrument="scalene"), tmp_path)


def test_scalene_does_not_start_torchs_own_profiler() -> None:
    command = passes.scalene_command(Path("out.json"))
    assert "--memory" in command
    assert "--gpu" not in command
    assert "--no-stacks" in command


def scalene_line(number: int, cpu: float, malloc_mb: float) -> dict[str, float]:
    names = ("n_cpu_percent_python", "n_sys_percent", "n_peak_mb", "n_copy_mb_s")
    line = dict.fromkeys((*names, "n_core_utilization"), 0.0)
    return {**line, "lineno": number, "n_cpu_percent_c": cpu, "n_malloc_mb": malloc_mb}


def test_scalene_lines_are_ranked_and_bounded(tmp_path: Path) -> None:
    """100 hot lines and 100 that allocate: the hottest and the largest stay."""
    hot = [scalene_line(n, 1 + n / 100, 0) for n in range(1, 101)]
    large = [scalene_line(n, 0, n) for n in range(101, 201)]
    idle = [scalene_line(300, 0, 0)]
    profile = {
        "elapsed_time_sec": 2.0,
        "max_footprint_mb": 1.5,
        "files": {"/x/site-packages/cellpose/core.py": {"lines": hot + large + idle}},
    }
    (tmp_path / "scalene.json").write_text(json.dumps(profile))
    table = read_scalene(tmp_path / "scalene.json")
    numbers = [row["line"] for row in table["lines"]]
    assert numbers[0] == 100
    assert set(numbers) == {*range(71, 101), *range(171, 201)}
    assert table["max_footprint_bytes"] == 1.5 * 2**20
    assert {row["file"] for row in table["lines"]} == {"cellpose/core.py"}
    assert {row["source"] for row in table["lines"]} == {None}


def test_functions_are_named_by_the_innermost_definition(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("a = 1\ndef f():\n    def g():\n        return 1\n    return g\n")
    names = [enclosing_function(str(file), line) for line in (1, 2, 4, 5)]
    assert names == ["<module>", "f", "g", "f"]


def test_line_profiler_rows_carry_numbers_and_own_source_only() -> None:
    name = "tbscale.engine.workload.sampler.thin_samples"
    profiler = lines.make_profiler([name])
    with pytest.raises(RecordError, match="saw none"):
        lines.line_table(profiler, [name])
    profiler.enable_by_count()
    thin_samples([float(n) for n in range(2000)], list(range(2000)))
    profiler.disable_by_count()
    table = lines.line_table(profiler, [name])
    assert {row["function"] for row in table["lines"]} == {"thin_samples"}
    assert all(row["file"] == "tbscale/engine/workload/sampler.py" for row in table["lines"])
    assert all(row["source"] for row in table["lines"])
    assert lines.own_source(os.__file__, 1) is None
    with pytest.raises(RecordError, match="no function"):
        lines.find_function("os.path.no_such_function")


def test_thinning_keeps_peaks_and_bounds() -> None:
    time_s = [0.02 * n for n in range(10_000)]
    rss = [100 + n % 7 for n in range(10_000)]
    rss[5432] = 999
    thin_time, thin_rss = thin_samples(time_s, rss, limit=100)
    assert len(thin_rss) == 100
    assert max(thin_rss) == 999
    assert thin_time[thin_rss.index(999)] == pytest.approx(time_s[5432])
    assert thin_samples([], []) == ([], [])


def test_short_spans_are_merged_into_what_came_before() -> None:
    spans = [Span("network" if n % 2 else "tile", n / 1000, (n + 1) / 1000) for n in range(1000)]
    spans.append(Span("follow", 1.0, 2.0))
    merged = thin_spans(spans, 2.0, limit=10)
    assert len(merged) <= 10
    assert merged[-1] == Span("follow", 1.0, 2.0)
    assert merged[0].start_s == 0


def test_peaks_belong_to_the_step_that_ran() -> None:
    spans = [Span("read", 0, 1), Span("network", 1, 2), Span("fill", 5, 6)]
    assert step_peaks(spans, [0.5, 1.5, 3.0], [10, 30, 99]) == {"read": 10, "network": 30}


def test_unknown_fields_of_a_job_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(JOB.to_json())
    assert Job.load(path) == JOB
    path.write_text('{"engine": "stock", "image": "x", "colour": 1}')
    with pytest.raises(RunError, match="unknown fields colour"):
        Job.load(path)
