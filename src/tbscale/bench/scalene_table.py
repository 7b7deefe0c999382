"""Scalene's JSON as the rows of a record: numbers and places, no source text but our own."""

from __future__ import annotations

import ast
import functools
import json
from pathlib import Path
from typing import Any

from tbscale.engine.workload.lines import own_source, package_path
from tbscale.errors import RecordError

MB = 1024 * 1024  # scalene's megabyte
MAX_LINES = 60
MIN_SHARE = 0.001  # lines below this share of time that also allocate nothing are left out


def read_scalene(path: Path) -> dict[str, Any]:
    """Rows of a scalene profile, hottest first.

    A run that was too short makes scalene write `{}` and exit with 0.

    Raises
    ------
    RecordError : no file, an empty profile, or one without a line that did anything
    """
    profile = _load(path)
    rows = [
        _row(file, line)
        for file, part in profile.get("files", {}).items()
        for line in part["lines"]
        if _matters(line)
    ]
    if not rows:
        raise RecordError(
            "scalene yielded nothing: the run was too short for it; measure a larger region"
        )
    rows.sort(key=_heat, reverse=True)
    return {
        "elapsed_s": profile["elapsed_time_sec"],
        "max_footprint_bytes": int(profile["max_footprint_mb"] * MB),
        "lines": _hottest(rows),
    }


def _load(path: Path) -> dict[str, Any]:
    try:
        profile: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        raise RecordError("scalene wrote no profile; measure a larger region") from None
    return profile


def _matters(line: dict[str, Any]) -> bool:
    share = line["n_cpu_percent_python"] + line["n_cpu_percent_c"] + line["n_sys_percent"]
    return bool(share >= 100 * MIN_SHARE or line["n_malloc_mb"] > 0)


def _heat(row: dict[str, Any]) -> float:
    return float(row["python_share"] + row["native_share"] + row["system_share"])


def _hottest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The hottest lines and those that allocate most, hottest first."""
    kept = {id(row) for row in rows[: MAX_LINES // 2]}
    by_memory = sorted(rows, key=lambda row: -int(row["allocated_bytes"]))
    kept |= {id(row) for row in by_memory[: MAX_LINES // 2]}
    return [row for row in rows if id(row) in kept]


def _row(file: str, line: dict[str, Any]) -> dict[str, Any]:
    return {
        "file": package_path(file),
        "line": line["lineno"],
        "function": enclosing_function(file, line["lineno"]),
        "python_share": _share(line["n_cpu_percent_python"] / 100),
        "native_share": _share(line["n_cpu_percent_c"] / 100),
        "system_share": _share(line["n_sys_percent"] / 100),
        "core_share": _share(line["n_core_utilization"]),
        "peak_bytes": int(line["n_peak_mb"] * MB),
        "allocated_bytes": int(line["n_malloc_mb"] * MB),
        "copied_bytes_per_s": line["n_copy_mb_s"] * MB,
        "source": own_source(file, line["lineno"]),
    }


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


def enclosing_function(file: str, line: int) -> str:
    """Name of the innermost function around a line; "<module>" outside of one or unreadable."""
    around = [(start, name) for start, stop, name in _functions(file) if start <= line <= stop]
    return max(around)[1] if around else "<module>"


@functools.cache
def _functions(file: str) -> tuple[tuple[int, int, str], ...]:
    """(first line, last line, name) of every function of a file."""
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return ()
    return tuple(
        (node.lineno, node.end_lineno or node.lineno, node.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
