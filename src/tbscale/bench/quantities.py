"""Which quantities of a record travel between machines, and in what unit each one is.

`portable` quantities depend on the data, the parameters and the versions: they may be compared
between machines. `local` ones depend on the machine: they may be compared only on one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["portable", "local"]


@dataclass(frozen=True)
class Quantity:
    """Unit, scope and meaning of one field of a record."""

    unit: str
    scope: Scope
    meaning: str


def _portable(unit: str, meaning: str) -> Quantity:
    return Quantity(unit, "portable", meaning)


def _local(unit: str, meaning: str) -> Quantity:
    return Quantity(unit, "local", meaning)


# keyed by class and field of `tbscale.bench.schema`
QUANTITIES: dict[str, Quantity] = {
    "Dataset.shape": _portable("px", "whole plane (Y, X)"),
    "Dataset.level": _portable("index", "pyramid level, 0 is full resolution"),
    "Dataset.channel": _portable("index", "channel, from 0"),
    "Dataset.channels": _portable("count", "channels in the file"),
    "Dataset.crop": _portable("px", "region read (y0, y1, x0, x1)"),
    "Dataset.pixel_size_um": _portable("um", "edge of a pixel"),
    "Cpu.physical_cores": _local("count", "cores without hyper-threads"),
    "Cpu.logical_cores": _local("count", "cores that the system schedules"),
    "Cpu.max_mhz": _local("MHz", "highest clock"),
    "Cpu.cache_l1d_bytes": _local("bytes", "level 1 data cache, all cores together"),
    "Cpu.cache_l2_bytes": _local("bytes", "level 2 cache, all cores together"),
    "Cpu.cache_l3_bytes": _local("bytes", "level 3 cache, all cores together"),
    "Memory.total_bytes": _local("bytes", "main memory"),
    "Memory.swap_bytes": _local("bytes", "swap space"),
    "Memory.cgroup_limit_bytes": _local("bytes", "memory limit of the control group"),
    "Memory.cgroup_cpus": _local("cores", "CPU limit of the control group"),
    "Gpu.memory_bytes": _local("bytes", "memory of the accelerator"),
    "Load.load_1min": _local("processes", "load average of one minute"),
    "Load.cpu_share": _local("share", "share of CPU in use"),
    "Threads.requested": _portable("count", "threads asked for"),
    "Threads.torch": _portable("count", "threads of torch"),
    "Threads.numba": _portable("count", "threads of numba"),
    "Threads.opencv": _portable("count", "threads of OpenCV"),
    "Span.start_s": _local("s", "start of a step's interval"),
    "Span.stop_s": _local("s", "end of a step's interval"),
    "Repeat.wall_s": _local("s", "wall time of the whole run"),
    "Repeat.cpu_s": _local("s", "CPU time of the process, all threads, children included"),
    "Repeat.steps": _local("s", "wall time charged to each step"),
    "Repeat.uncharged_s": _local("s", "wall time that no step claims"),
    "Repeat.step_peak_rss_bytes": _portable("bytes", "largest resident memory during a step"),
    "Repeat.peak_rss_bytes": _portable("bytes", "largest resident memory during the run"),
    "Repeat.rss_time_s": _local("s", "when resident memory was sampled"),
    "Repeat.rss_bytes": _portable("bytes", "resident memory, process and children"),
    "Repeat.counts": _portable("count", "tiles, pixels, bytes read, bytes on a GPU and the like"),
    "ScaleneLine.line": _portable("index", "line in the file"),
    "ScaleneLine.python_share": _local("share", "time in the interpreter"),
    "ScaleneLine.native_share": _local("share", "time in compiled code"),
    "ScaleneLine.system_share": _local("share", "time in the system or waiting"),
    "ScaleneLine.core_share": _local("share", "cores in use while the line ran"),
    "ScaleneLine.peak_bytes": _portable("bytes", "largest footprint while the line ran"),
    "ScaleneLine.allocated_bytes": _portable("bytes", "memory that the line allocated"),
    "ScaleneLine.copied_bytes_per_s": _local("bytes/s", "memory that the line copied"),
    "ScaleneTable.elapsed_s": _local("s", "run time under scalene"),
    "ScaleneTable.max_footprint_bytes": _portable("bytes", "scalene's own peak, not RSS"),
    "TimedLine.line": _portable("index", "line in the file"),
    "TimedLine.hits": _portable("count", "times the line ran"),
    "TimedLine.time_s": _local("s", "time in the line under line_profiler"),
    "TimedLine.share": _local("share", "share of its function's time"),
    "Pass.overhead_ratio": _local("ratio", "first repeat's wall over the plain pass's first"),
    "Pass.prepare_s": _local("s", "imports and loading of weights"),
    "Pass.start_rss_bytes": _portable("bytes", "resident memory before the first repeat"),
    "Pass.peak_rss_bytes": _portable("bytes", "largest resident memory of the process's life"),
    "Pass.tree_peak_rss_bytes": _portable("bytes", "largest sampled sum over the process tree"),
    "Agreement.cells": _portable("count", "cells compared"),
    "Agreement.reference_cells": _portable("count", "cells of the reference"),
    "Agreement.differing_share": _portable("share", "foreground pixels that differ"),
    "Agreement.ap": _portable("share", "average precision at an IoU threshold"),
    "Result.cells": _portable("count", "cells found"),
    "Result.foreground_pixels": _portable("px", "pixels inside cells"),
}


def scope_of(field: str) -> Scope:
    """Whether `Class.field` of the schema is portable or local. KeyError for other fields.

    >>> scope_of("Repeat.wall_s")
    'local'
    """
    return QUANTITIES[field].scope
