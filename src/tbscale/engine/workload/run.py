"""Run a job: warm-ups and repeats, each timed by its steps and sampled for memory."""

from __future__ import annotations

import gc
import logging
import resource
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil

from tbscale.engine.device import gpu_peak_bytes
from tbscale.engine.workload.engines import Prepared, Segmentation, prepare
from tbscale.engine.workload.image import image_facts
from tbscale.engine.workload.instruments import instrument
from tbscale.engine.workload.job import Job, check_repeats
from tbscale.engine.workload.labels import label_facts, write_labels
from tbscale.engine.workload.sampler import RssSampler, step_peaks, thin_samples, thin_spans
from tbscale.engine.workload.threads import fix_threads, thread_facts
from tbscale.steps import StepClock

logger = logging.getLogger(__name__)
Json = dict[str, Any]


def run_job(job: Job) -> Json:
    """Do what the job says and report it as plain JSON values.

    Memory is read before labels are counted and pixels hashed, and neither is timed.
    """
    check_repeats(job.repeats, job.warm_ups)
    started = time.perf_counter()
    prepared = prepare(job)
    fix_threads(job.threads)
    prepare_s = time.perf_counter() - started
    start_rss_bytes = psutil.Process().memory_info().rss
    repeats, table, segmentation = _repeat(job, prepared)
    report = {
        "prepare_s": prepare_s,
        "start_rss_bytes": start_rss_bytes,
        "peak_rss_bytes": peak_rss_bytes(),
        "threads": thread_facts(job.threads),
        "repeats": repeats,
        "line_profiler": table,
        "weights": {"name": prepared.weights_name, "sha256": prepared.weights_sha256},
        "settings": prepared.settings,
    }
    return report | _outcome(job, segmentation)


def peak_rss_bytes() -> int:
    """Largest resident memory of this process's life, as the operating system counts it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # KiB on Linux, bytes on macOS


def _repeat(job: Job, prepared: Prepared) -> tuple[list[Json], Json | None, Segmentation]:
    """All warm-ups and repeats, watched by the job's instrument."""
    repeats = []
    with instrument(job) as watch:
        for number in range(job.warm_ups + job.repeats):
            warm_up = number < job.warm_ups
            name = "warm-up" if warm_up else f"repeat {number - job.warm_ups + 1} of {job.repeats}"
            label = f"{job.instrument}, {name}"
            # scalene would count the sampler's waiting as half of the time of every step
            repeat, segmentation = run_once(prepared, label, sampled=job.instrument != "scalene")
            repeats.append({"warm_up": warm_up, **repeat})
    return repeats, watch.table(), segmentation


def run_once(prepared: Prepared, label: str, *, sampled: bool = True) -> tuple[Json, Segmentation]:
    """One run with its steps, memory and counts."""
    gc.collect()
    clock = StepClock(synchronise=prepared.synchronise)
    sampler = RssSampler(clock, label)
    gpu_peak_bytes()  # from here on
    with sampler if sampled else nullcontext():
        cpu_s = _cpu_s()
        clock.restart()
        segmentation = prepared.run(clock)
        wall_s = clock.now_s()
        cpu_s = _cpu_s() - cpu_s
    on_gpu = gpu_peak_bytes()
    logger.info("%s: %.1f s", label, wall_s)
    steps = clock.wall_s()
    time_s, rss_bytes = sampler.since(clock.zero_s)
    peaks = step_peaks(clock.spans, time_s, rss_bytes)
    thin_time_s, thin_rss_bytes = thin_samples(time_s, rss_bytes)
    return {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "steps": steps,
        "uncharged_s": wall_s - sum(steps.values()),
        "step_peak_rss_bytes": peaks,
        "peak_rss_bytes": max(rss_bytes, default=0),
        "spans": [
            {"step": s.step, "start_s": round(s.start_s, 6), "stop_s": round(s.stop_s, 6)}
            for s in thin_spans(clock.spans, wall_s)
        ],
        "rss_time_s": thin_time_s,
        "rss_bytes": thin_rss_bytes,
        "counts": segmentation.counts | ({} if on_gpu is None else {"gpu_peak_bytes": on_gpu}),
    }, segmentation


def _cpu_s() -> float:
    """CPU seconds of this process, all threads, ended children included."""
    return sum(psutil.Process().cpu_times()[:4])


def _outcome(job: Job, segmentation: Segmentation) -> Json:
    """What was segmented and what came out; labels are written where the job says so."""
    facts = label_facts(segmentation.labels)
    if job.labels_out is not None:
        write_labels(segmentation.labels, Path(job.labels_out))
    return {
        "dataset": image_facts(job),
        "result": {
            "cells": facts.cells,
            "foreground_pixels": facts.foreground_pixels,
            "labels_sha256": facts.sha256,
        },
    }
