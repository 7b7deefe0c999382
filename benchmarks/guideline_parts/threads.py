"""Stages side by side, and more threads than cores."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from guideline_parts.notes import Notes
from guideline_parts.sample import Sample

PIECES = 16
PIECE_PX = 512
AHEAD = 2
SIGMA_PX = 2.0
ROUNDS = 5
WORKER = """
import sys, time, torch
net = torch.nn.Sequential(*[torch.nn.Conv2d(32, 32, 3, padding=1) for _ in range(4)]).eval()
tiles = torch.rand(2, 32, 224, 224)
print("ready", flush=True)
for line in sys.stdin:
    torch.set_num_threads(int(line))
    began = time.perf_counter()
    with torch.no_grad():
        for _ in range(12):
            net(tiles)
    print(time.perf_counter() - began, flush=True)
"""


def measure_threads(sample: Sample, notes: Notes) -> None:
    """Overlap of stages, then threads against cores."""
    _overlap(sample.image, notes)
    _oversubscribe(notes)


def _overlap(image: NDArray[np.uint16], notes: Notes) -> None:
    piece = np.resize(image, (PIECE_PX, PIECE_PX))
    stored = [zlib.compress(np.roll(piece, k).tobytes(), 6) for k in range(PIECES)]
    notes.time_rounds(
        "overlap.time",
        {
            "one stage after the other": lambda: list(
                map(_write, map(_compute, map(_read, stored)))
            ),
            "stages side by side": lambda: list(
                _staged(_write, _staged(_compute, _staged(_read, iter(stored))))
            ),
        },
        rounds=ROUNDS,
    )
    plain = [_write(_compute(_read(one))) for one in stored]
    staged = list(_staged(_write, _staged(_compute, _staged(_read, iter(stored)))))
    notes.count("overlap.differing", "stages side by side", sum(map(bytes.__ne__, plain, staged)))
    notes.local("overlap.cores", "cores", os.cpu_count() or 1, "1")


def _read(stored: bytes) -> NDArray[np.uint16]:
    return np.frombuffer(zlib.decompress(stored), np.uint16).reshape(PIECE_PX, PIECE_PX)


def _compute(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return gaussian_filter(pixels.astype(np.float32), SIGMA_PX).astype(np.uint16)


def _write(pixels: NDArray[np.uint16]) -> bytes:
    return zlib.compress(pixels.tobytes(), 1)


def _staged(work, source) -> Iterator:  # type: ignore[no-untyped-def, type-arg]
    """Run one stage in a thread of its own, at most AHEAD pieces ahead."""
    done: queue.Queue = queue.Queue(AHEAD)  # type: ignore[type-arg]
    end = object()

    def run() -> None:
        for one in source:
            done.put(work(one))
        done.put(end)

    threading.Thread(target=run, daemon=True).start()
    while (one := done.get()) is not end:
        yield one


def _oversubscribe(notes: Notes) -> None:
    """As many processes as cores, each with one thread or with as many as there are cores."""
    cores = max(2, os.cpu_count() or 2)
    command = [sys.executable, "-c", WORKER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(cores)]
    for worker in workers:
        worker.stdout.readline()
    _ask(workers, 1)
    for number in range(1, ROUNDS + 1):
        for variant, threads in (("one thread a process", 1), ("a thread a core a process", cores)):
            slowest = max(_ask(workers, threads))
            notes.local("threads.time", f"{variant}#{number}", slowest, "s")
    for worker in workers:
        worker.stdin.close()
        worker.wait()
    notes.local("threads.processes", "processes", cores, "1")


def _ask(workers: list, threads: int) -> list[float]:  # type: ignore[type-arg]
    """Start the work in every process at once; seconds of each."""
    for worker in workers:
        worker.stdin.write(f"{threads}\n")
        worker.stdin.flush()
    return [float(worker.stdout.readline()) for worker in workers]
