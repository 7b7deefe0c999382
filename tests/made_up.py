"""A made-up record: every number in it is invented, for tests only."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tbscale.bench.records import seal
from tbscale.bench.schema import Record

STEP_SHARES = {
    "read": 0.01,
    "convert": 0.02,
    "normalise": 0.03,
    "tile": 0.01,
    "network": 0.7,
    "blend": 0.02,
    "follow": 0.1,
    "seeds": 0.03,
    "flow_qc": 0.05,
    "fill": 0.01,
    "display": 0.01,
}


def made_up_repeat(wall_s: float, *, warm_up: bool = False) -> dict[str, Any]:
    steps = {name: round(share * wall_s, 6) for name, share in STEP_SHARES.items()}
    spans, start = [], 0.0
    for name, seconds in steps.items():
        spans.append({"step": name, "start_s": start, "stop_s": start + seconds})
        start += seconds
    return {
        "warm_up": warm_up,
        "wall_s": wall_s,
        "cpu_s": 1.7 * wall_s,
        "steps": steps,
        "uncharged_s": round(wall_s - sum(steps.values()), 6),
        "step_peak_rss_bytes": {name: 900_000_000 + i * 10**7 for i, name in enumerate(steps)},
        "peak_rss_bytes": 1_000_000_000,
        "spans": spans,
        "rss_time_s": [0.0, wall_s / 2, wall_s],
        "rss_bytes": [500_000_000, 1_000_000_000, 700_000_000],
        "counts": {"pixels": 65_536, "tiles": 4, "bytes_read": 131_072},
    }


def made_up_pass(instrument: str, walls: list[float], plain_first: float) -> dict[str, Any]:
    repeats = [made_up_repeat(wall) for wall in walls]
    if len(repeats) > 1:
        repeats[0]["warm_up"] = True
    return {
        "instrument": instrument,
        "instrument_version": "0.0",
        "command": "python -m tbscale.engine.workload JOB RESULT",
        "ended": "completed",
        "ended_detail": None,
        "overhead_ratio": None if instrument == "plain" else walls[0] / plain_first,
        "prepare_s": 6.5,
        "start_rss_bytes": 400_000_000,
        "peak_rss_bytes": 1_010_000_000,
        "tree_peak_rss_bytes": 1_000_000_000,
        "threads": {
            "requested": 2,
            "torch": 2,
            "numba": 2,
            "opencv": 2,
            "environment": {"OMP_NUM_THREADS": "2"},
        },
        "repeats": repeats,
        "scalene": deepcopy(MADE_UP_SCALENE) if instrument == "scalene" else None,
        "line_profiler": deepcopy(MADE_UP_LINES) if instrument == "line_profiler" else None,
    }


MADE_UP_SCALENE = {
    "elapsed_s": 1.5,
    "max_footprint_bytes": 600_000_000,
    "lines": [
        {
            "file": "cellpose/dynamics.py",
            "line": 469,
            "function": "steps_interp",
            "python_share": 0.01,
            "native_share": 0.4,
            "system_share": 0.02,
            "core_share": 0.5,
            "peak_bytes": 200_000_000,
            "allocated_bytes": 100_000_000,
            "copied_bytes_per_s": 1e6,
            "source": None,
        }
    ],
}
MADE_UP_LINES = {
    "functions": ["cellpose.dynamics.compute_masks"],
    "lines": [
        {
            "file": "cellpose/dynamics.py",
            "line": 900,
            "function": "compute_masks",
            "hits": 1,
            "time_s": 0.2,
            "share": 0.8,
            "source": None,
        }
    ],
}


def made_up_document(engine: str = "stock") -> dict[str, Any]:
    """A fresh document without id, to change at will."""
    walls = [1.2, 1.0, 1.02, 0.99]
    load = {"load_1min": 0.1, "cpu_share": 0.02}
    return {
        "schema_version": 1,
        "created": "2026-11-23",
        "experiment": "profile",
        "dataset": {
            "name": "made-up",
            "origin": "stand-in",
            "shape": [256, 256],
            "level": 0,
            "channel": 0,
            "channel_name": "DNA_1",
            "channels": 1,
            "crop": None,
            "dtype": "uint16",
            "pixel_size_um": 0.65,
            "sha256": "a" * 64,
        },
        "engine": {"name": engine, "versions": {"cellpose": "3.1.1.3"}},
        "parameters": {"diameter": 17.0, "flow_threshold": 0.4, "resample": True},
        "weights": {"name": "random", "sha256": "b" * 64},
        "machine": {
            "cpu": {
                "model": "Imaginary CPU 9000",
                "physical_cores": 2,
                "logical_cores": 2,
                "flags": ["avx2", "avx512f", "avx512_bf16"],
                "max_mhz": None,
                "cache_l1d_bytes": 98_304,
                "cache_l2_bytes": 2_097_152,
                "cache_l3_bytes": 33_554_432,
            },
            "memory": {
                "total_bytes": 16 * 1024**3,
                "swap_bytes": 0,
                "cgroup_limit_bytes": None,
                "cgroup_cpus": None,
            },
            "storage": {"kind": "ssd", "filesystem": "ext4"},
            "gpus": [],
            "os": "Linux 6.1",
            "python": "CPython 3.11.9",
            "load_before": load,
            "load_after": load,
        },
        "software": {"cellpose": "3.1.1.3", "numpy": "2.0.2"},
        "code": {"commit": "c" * 40, "dirty": False},
        "command": "tbscale profile made-up --engine stock",
        "passes": [
            made_up_pass("plain", walls, walls[0]),
            made_up_pass("scalene", [1.8], walls[0]),
            made_up_pass("line_profiler", [1.3], walls[0]),
        ],
        "result": {
            "cells": 40,
            "foreground_pixels": 9_000,
            "labels_sha256": "d" * 64,
            "agreements": [],
        },
        "measures": [],
    }


def made_up_record(engine: str = "stock") -> Record:
    """A sealed made-up record."""
    return seal(made_up_document(engine))
