"""Time each step after the network in Cellpose 3, Cellpose 4 and tbscale, plain and fast.

    python benchmarks/steps.py exemplar-001 --repeats 5 --cp4 .venv-cp4/bin/python

All engines get the same flows and run in turn, step by step, round after round, so that whatever
else the machine does hits all of them; ratios are of times of the same round. Writes a record of
the experiment `steps`: every time, the ratios, how far each step's output agrees with that of
Cellpose 3, memory, and counts that travel between machines.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from cellpose4 import Cellpose4
from experiment import at_least_one, said_in_words
from measures import Measure, make_record, measure
from numpy.typing import NDArray
from step_engines import NITER, RULES, STEPS, Cellpose3, Engine, Tbscale
from step_flows import Flows, add_options, load_flows

from tbscale.bench.agreement import compare_labels
from tbscale.bench.machine import read_load
from tbscale.bench.records import save_record
from tbscale.bench.reference import agreement
from tbscale.engine.kernels.choice import FAST, FUNCTIONS, choose_kernels
from tbscale.engine.kernels.flow_qc import pixels_by_label
from tbscale.engine.kernels.follow import follow_counted
from tbscale.engine.masks import whole_of
from tbscale.engine.scratch import mask_flow
from tbscale.engine.workload.labels import label_facts
from tbscale.engine.workload.threads import fix_threads

logger = logging.getLogger("benchmarks")
REFERENCE = "cellpose-3"
SAMPLE_S = 0.002
Times = dict[tuple[str, str], list[float]]


def run_chain(engine: Engine) -> None:
    """All steps once, each output kept for the next: the warm-up too."""
    for step in STEPS:
        engine.keep(step, engine.run(step))


def time_rounds(engines: dict[str, Engine], cp4: Cellpose4 | None, rounds: int) -> Times:
    """Seconds of every step of every engine, one value a round; engines take turns."""
    times: Times = {}
    for number in range(rounds):
        for step in STEPS:
            names = list(engines)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                started = time.perf_counter()
                engines[name].run(step)
                times.setdefault((step, name), []).append(time.perf_counter() - started)
            if cp4 is not None:
                times.setdefault((step, "cellpose-4"), []).append(cp4.time_s(step))
        logger.info("round %d of %d", number + 1, rounds)
    return times


@contextmanager
def sample_rss(peak: list[int]) -> Iterator[None]:
    """Append the largest growth of resident memory while the `with` is open, bytes."""
    process, stop = psutil.Process(), threading.Event()
    start = process.memory_info().rss
    seen = [start]

    def watch() -> None:
        while not stop.wait(SAMPLE_S):
            seen.append(process.memory_info().rss)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        peak.append(max(seen) - start)


def measure_memory(engines: dict[str, Engine]) -> list[Measure]:
    """Growth of resident memory in each step; a step of a few milliseconds may show none."""
    out = []
    for name, engine in engines.items():
        for step in STEPS:
            peak: list[int] = []
            with sample_rss(peak):
                engine.run(step)
            out.append(measure("peak-growth", f"{step}/{name}", peak[0], "B"))
    return out


def describe_times(times: Times) -> list[Measure]:
    """Every time, and for each engine the ratios of Cellpose 3 and 4 to it, round by round."""
    out = []
    for (step, name), walls in times.items():
        for number, wall_s in enumerate(walls):
            out.append(measure("wall", f"{step}/{name}/{number + 1}", wall_s, "s", "local"))
        for reference in (REFERENCE, "cellpose-4"):
            if name == reference or (step, reference) not in times:
                continue
            pairs = zip(times[step, reference], walls, strict=True)
            out += describe_ratios(f"{step}/{name}/{reference}", [a / b for a, b in pairs])
    return out


def describe_ratios(subject: str, ratios: list[float]) -> list[Measure]:
    """Median, lowest and highest of the ratios of pairs; also printed."""
    values = {
        "ratio": statistics.median(ratios),
        "ratio-lowest": min(ratios),
        "ratio-highest": max(ratios),
    }
    logger.info("%-32s %7.2f times (%.2f to %.2f)", subject, *values.values())
    return [measure(name, subject, value, "1", "local") for name, value in values.items()]


def grade_steps(engines: dict[str, Engine], kept: Callable[[str, str], Any]) -> list[Measure]:
    """How each step's output agrees with that of Cellpose 3."""
    out = []
    for step in STEPS:
        wanted = engines[REFERENCE].show(step, kept(REFERENCE, step))
        for name, engine in engines.items():
            if name != REFERENCE:
                shown = engine.show(step, kept(name, step))
                out += grade(f"{step}/{name}", shown, wanted, is_labels=step != "follow")
    return out


def grade(
    subject: str, ours: NDArray[Any], wanted: NDArray[Any], is_labels: bool = True
) -> list[Measure]:
    """The grade of one output: `grade-bit` and so on is 1; for labels also cells and AP."""
    if not is_labels:
        differing = float(np.mean((ours != wanted).any(axis=0)))
        found = "bit" if differing == 0 else "near" if differing <= 1e-5 else "ap"
        logger.info("%-32s %s", subject, found)
        return [
            measure(f"grade-{found}", subject, 1),
            measure("differing-share", subject, differing),
        ]
    compared = compare_labels(ours, wanted)
    logger.info("%-32s %s, %d cells", subject, compared.grade, compared.cells)
    return [
        measure(f"grade-{compared.grade}", subject, 1),
        measure("cells", subject, compared.cells),
        measure("differing-share", subject, compared.differing_share),
        *(measure(f"ap-{t}", subject, ap) for t, ap in compared.ap.items()),
    ]


def count_work(flows: Flows, fast: Tbscale) -> list[Measure]:
    """Counts that travel: pixels, iterations and operations of the reference and of the engine."""
    foreground = flows.cellprob > 0
    moving = mask_flow(flows.flow[0], flows.flow[1], foreground)
    shape = (foreground.shape[0], foreground.shape[1])
    _, _, work = follow_counted(moving, foreground, (0, 0), shape, whole_of(shape), NITER)
    found = fast.kept["flow_qc"]
    start, _ = pixels_by_label(found.labels, len(found.cells.first))
    height, width = (found.cells.box[:, k + 1] - found.cells.box[:, k] for k in (0, 2))
    updates = int((np.diff(start) * 2 * (height + width + 4)).sum())
    inside = int(foreground.sum())
    return [
        measure("pixels", "plane", foreground.size),
        measure("foreground-pixels", "plane", inside),
        measure("flow-bytes", "plane", moving.nbytes, "B"),
        measure("pixel-iterations", f"follow/{REFERENCE}", inside * NITER),
        measure("pixel-iterations", "follow/fast", work),
        measure("seeds", "seeds", len(found.cells.first)),
        measure("diffusion-updates", "flow_qc", updates),
    ]


def compare_errors(cp3: Cellpose3, fast: Tbscale) -> list[Measure]:
    """Largest difference between the flow errors of Cellpose 3 and ours, on the same cells."""
    from cellpose import metrics
    from step_engines import CPU

    masks = cp3.kept["seeds"]
    moving = fast.kept["follow"][0]
    wanted, _ = metrics.flow_error(masks, cp3.flow, CPU)
    ours = FAST.flow_errors(masks.astype(np.uint32), int(masks.max()), moving)
    return [
        measure("largest-error-difference", "flow_qc/fast", float(np.abs(ours - wanted).max())),
        measure("cells-checked", "flow_qc/fast", len(wanted)),
    ]


def conclude(labels: NDArray[Any], references: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """The result of the record: the fast engine's labels beside the references'."""
    facts = label_facts(labels)
    agreements = [
        agreement(name, None, compare_labels(labels, other)) for name, other in references.items()
    ]
    return {
        "cells": facts.cells,
        "foreground_pixels": facts.foreground_pixels,
        "labels_sha256": facts.sha256,
        "agreements": agreements,
    }


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--repeats", type=at_least_one, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cp4", type=Path, help="the interpreter of Cellpose 4's environment")
    parser.add_argument("--no-plain", action="store_true", help="leave the plain paths out")
    return parser.parse_args(arguments)


def describe_parameters(options: argparse.Namespace, cp4: Cellpose4 | None) -> dict[str, Any]:
    """What decided the numbers."""
    return {
        "flows": options.flows,
        "threads": options.threads,
        "repeats": options.repeats,
        "niter": NITER,
        "flow_threshold": RULES.flow_threshold,
        "min_size": RULES.min_size,
        "cellpose_4": cp4.versions["cellpose"] if cp4 else None,
        "torch_of_cellpose_4": cp4.versions["torch"] if cp4 else None,
    }


def main(arguments: list[str]) -> None:
    """Measure and save the record."""
    options = parse(arguments)
    fix_threads(options.threads)
    before = read_load()
    flows = load_flows(options)
    cp3 = Cellpose3(flows.flow, flows.cellprob)
    fast = Tbscale(flows.flow, flows.cellprob, FAST)
    engines: dict[str, Engine] = {REFERENCE: cp3, "fast": fast}
    if not options.no_plain:
        engines["plain"] = Tbscale(flows.flow, flows.cellprob, choose_kernels(FUNCTIONS))
    for engine in engines.values():
        run_chain(engine)
    fours = Cellpose4(options.cp4, flows.file, options.threads) if options.cp4 else nullcontext()
    with fours as cp4:
        for step in STEPS if cp4 else ():
            cp4.time_s(step)  # warm-up
        times = time_rounds(engines, cp4, options.repeats)
        references = {"Cellpose 3.1.1.3": cp3.kept["together"]}
        if cp4:
            references[f"Cellpose {cp4.versions['cellpose']}"] = cp4.labels()
    measures = describe_times(times)
    measures += grade_steps(engines, lambda name, step: engines[name].kept[step])  # type: ignore[attr-defined]
    for name, labels in list(references.items())[1:]:
        measures += grade("together/cellpose-4", labels, cp3.kept["together"])
        measures.append(measure("cells", name, int(labels.max())))
    measures += compare_errors(cp3, fast) + count_work(flows, fast) + measure_memory(engines)
    result = conclude(fast.kept["together"], references)
    record = make_record(
        "steps",
        flows.dataset,
        flows.weights,
        describe_parameters(options, cp4),
        measures,
        result,
        before,
    )
    logger.info("wrote %s", save_record(record, options.out))


if __name__ == "__main__":
    logging.getLogger("cellpose").setLevel(logging.WARNING)
    with said_in_words():
        main(sys.argv[1:])
