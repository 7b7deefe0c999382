"""line_profiler inside the workload: named functions, and their lines as plain numbers."""

from __future__ import annotations

import importlib
import inspect
import linecache
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from line_profiler import LineProfiler

from tbscale.errors import RecordError

MIN_SHARE = 0.005  # lines below this share of their function are not worth a row


def find_function(dotted: str) -> Callable[..., Any]:
    """The function or method behind a dotted name. RecordError where there is none."""
    parts = dotted.split(".")
    for split in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for name in parts[split:]:
            found = getattr(found, name, None)
        if inspect.isfunction(found):
            return found
    raise RecordError(f"there is no function {dotted} to profile; correct its engine's entry")


def make_profiler(functions: Sequence[str]) -> LineProfiler:
    """A profiler that watches the named functions, not yet enabled."""
    profiler = LineProfiler()
    for dotted in functions:
        profiler.add_function(find_function(dotted))
    return profiler


def line_table(profiler: LineProfiler, functions: Sequence[str]) -> dict[str, Any]:
    """Lines with their hits and seconds, slowest first; cheap lines left out.

    Raises
    ------
    RecordError : the profiler saw nothing
    """
    stats = profiler.get_stats()
    rows = [
        _row(key, timing, total, stats.unit)
        for key, timings in stats.timings.items()
        if (total := sum(time for _, _, time in timings)) > 0
        for timing in timings
        if timing[2] >= MIN_SHARE * total
    ]
    if not rows:
        raise RecordError("line_profiler saw none of the named functions; name ones that run")
    rows.sort(key=lambda row: -row["time_s"])
    return {"functions": list(functions), "lines": rows}


def _row(
    key: tuple[str, int, str], timing: tuple[int, int, int], total: int, unit_s: float
) -> dict[str, Any]:
    path, _, function = key
    line, hits, time = timing
    return {
        "file": package_path(path),
        "line": line,
        "function": function.rpartition(".")[2],
        "hits": hits,
        "time_s": time * unit_s,
        "share": time / total,
        "source": own_source(path, line),
    }


def package_path(path: str) -> str:
    """A file's path from its package on: nothing of where it is installed.

    >>> package_path("/x/lib/python3.11/site-packages/cellpose/dynamics.py")
    'cellpose/dynamics.py'
    """
    parts = Path(path).parts
    for root in ("site-packages", "dist-packages", "src"):
        if root in parts:
            return "/".join(parts[len(parts) - parts[::-1].index(root) :])
    return "/".join(parts[-2:])


def own_source(path: str, line: int) -> str | None:
    """The text of a line of this package; None for others, whose text is not ours to keep."""
    if not package_path(path).startswith("tbscale/"):
        return None
    return linecache.getline(path, line).strip() or None
