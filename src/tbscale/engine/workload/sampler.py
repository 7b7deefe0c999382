"""Resident memory over time, sampled by a thread, process and children together."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

import psutil

from tbscale.steps import Span, StepClock

logger = logging.getLogger(__name__)

INTERVAL_S = 0.02
CHILDREN_EVERY_S = 0.5  # listing children walks all processes: too dear for every sample
HEARTBEAT_S = 10.0
MAX_SAMPLES = 400  # kept in a record for each repeat
MAX_SPANS = 400


@dataclass
class RssSampler:
    """Samples while its `with` is open; `time_s` is on the axis of `perf_counter`."""

    clock: StepClock
    label: str
    time_s: list[float] = field(default_factory=list)
    rss_bytes: list[int] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> RssSampler:
        self._thread = threading.Thread(target=self._sample, name="rss-sampler", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _sample(self) -> None:
        process = psutil.Process()
        children: list[psutil.Process] = []
        next_list = next_beat = time.perf_counter()
        next_beat += HEARTBEAT_S
        while not self._stop.is_set():
            now = time.perf_counter()
            if now >= next_list:
                children = process.children(recursive=True)
                next_list = now + CHILDREN_EVERY_S
            self.time_s.append(now)
            self.rss_bytes.append(process.memory_info().rss + _total_rss(children))
            if now >= next_beat:
                self._beat(now)
                next_beat = now + HEARTBEAT_S
            self._stop.wait(INTERVAL_S)

    def _beat(self, now: float) -> None:
        logger.info(
            "%s: %s, %.0f s, %.2f GB",
            self.label,
            self.clock.current or "between steps",
            now - self.clock.zero_s,
            self.rss_bytes[-1] / 1e9,
        )

    def since(self, zero_s: float) -> tuple[list[float], list[int]]:
        """Samples with their time from `zero_s` on, earlier ones left out."""
        kept = [
            (t - zero_s, rss)
            for t, rss in zip(self.time_s, self.rss_bytes, strict=True)
            if t >= zero_s
        ]
        return [t for t, _ in kept], [rss for _, rss in kept]


def _total_rss(processes: list[psutil.Process]) -> int:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended between the listing and the reading
    return total


def thin_samples(
    time_s: list[float], rss_bytes: list[int], limit: int = MAX_SAMPLES
) -> tuple[list[float], list[int]]:
    """Keep the largest sample of each bucket, at most `limit` of them, so that peaks stay.

    >>> thin_samples([0.0, 0.1, 0.2, 0.3], [1, 9, 2, 3], limit=2)
    ([0.1, 0.3], [9, 3])
    """
    size = -(-len(time_s) // limit) or 1
    largest = [
        max(range(start, min(start + size, len(time_s))), key=rss_bytes.__getitem__)
        for start in range(0, len(time_s), size)
    ]
    return [round(time_s[i], 4) for i in largest], [rss_bytes[i] for i in largest]


def thin_spans(spans: list[Span], wall_s: float, limit: int = MAX_SPANS) -> list[Span]:
    """Merge spans that touch: same steps first, then ones too short to draw into the one before.

    The total of each step may shift by what was merged; exact totals are kept elsewhere.
    """
    ordered = sorted((s for s in spans if s.stop_s > s.start_s), key=lambda s: s.start_s)
    shortest_s = 0.0
    merged = _merge(ordered, shortest_s)
    while len(merged) > limit:
        shortest_s = max(2 * shortest_s, wall_s / 4000)
        merged = _merge(ordered, shortest_s)
    return merged


def _merge(spans: list[Span], shortest_s: float) -> list[Span]:
    merged: list[Span] = []
    for span in spans:
        same = merged and merged[-1].step == span.step
        short = merged and span.stop_s - span.start_s < shortest_s
        if same or short:
            merged[-1] = Span(merged[-1].step, merged[-1].start_s, span.stop_s)
        else:
            merged.append(span)
    return merged


def step_peaks(spans: list[Span], time_s: list[float], rss_bytes: list[int]) -> dict[str, int]:
    """Largest sample while each step ran; a step shorter than the interval may have none."""
    peaks: dict[str, int] = {}
    for span in spans:
        inside = [
            rss
            for t, rss in zip(time_s, rss_bytes, strict=True)
            if span.start_s <= t <= span.stop_s
        ]
        if inside:
            peaks[span.step] = max(peaks.get(span.step, 0), *inside)
    return peaks
