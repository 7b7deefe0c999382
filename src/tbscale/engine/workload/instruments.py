"""Turn an instrument on for the repeats alone: imports and weights are not what is measured."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tbscale.engine.workload.engines import find_engine
from tbscale.engine.workload.job import INSTRUMENTS, Job
from tbscale.errors import RunError


def _no_table() -> dict[str, Any] | None:
    return None


@dataclass
class Watch:
    """An instrument at work; `table` gives what it saw once it has stopped, if it says it here."""

    table: Callable[[], dict[str, Any] | None] = _no_table


@contextmanager
def instrument(job: Job) -> Iterator[Watch]:
    """Watch the body of the `with` with the job's instrument.

    Raises
    ------
    RunError : unknown instrument, or scalene asked for in a process that it did not start
    """
    if job.instrument not in INSTRUMENTS:
        raise RunError(
            f"there is no instrument {job.instrument!r}; choose {', '.join(INSTRUMENTS)}"
        )
    if job.instrument == "scalene":
        with _scalene():
            yield Watch()
    elif job.instrument == "line_profiler":
        with _line_profiler(find_engine(job.engine).functions) as watch:
            yield watch
    else:
        yield Watch()


@contextmanager
def _scalene() -> Iterator[None]:
    """Between `start` and `stop` of a scalene that was started with `--off`."""
    scalene_profiler = sys.modules.get("scalene.scalene_profiler")
    if scalene_profiler is None:
        raise RunError("scalene did not start this process; use `python -m scalene run`")
    scalene_profiler.start()
    try:
        yield
    finally:
        scalene_profiler.stop()


@contextmanager
def _line_profiler(functions: tuple[str, ...]) -> Iterator[Watch]:
    from tbscale.engine.workload.lines import line_table, make_profiler

    profiler = make_profiler(functions)
    profiler.enable_by_count()
    try:
        yield Watch(lambda: line_table(profiler, functions))
    finally:
        profiler.disable_by_count()
