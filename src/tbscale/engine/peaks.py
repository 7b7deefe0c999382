"""Resident memory of a run, in memory of its own that does not grow: the peak of each step."""

from __future__ import annotations

import resource
import sys
import threading
from dataclasses import dataclass, field

import psutil

from tbscale.steps import StepClock

INTERVAL_S = 0.05


def lifetime_peak_bytes() -> int:
    """Largest resident memory of this process so far, as the operating system counts it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # KiB on Linux, bytes on macOS


@dataclass
class PeakSampler:
    """Samples this process while its `with` is open.

    Attributes
    ----------
    step_bytes : largest sample while each step ran; a step shorter than the interval may have none
    """

    clock: StepClock
    step_bytes: dict[str, int] = field(default_factory=dict)
    _sampled: int = 0
    _before: int = field(default_factory=lifetime_peak_bytes)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def peak_bytes(self) -> int:
        """Largest resident memory since the start of the sampler.

        The operating system misses nothing, but counts from the start of the process: its figure
        is taken where it has grown since, else the largest sample.
        """
        now = lifetime_peak_bytes()
        return max(now, self._sampled) if now > self._before else self._sampled

    def __enter__(self) -> PeakSampler:
        self._thread = threading.Thread(target=self._sample, name="peaks", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _sample(self) -> None:
        process = psutil.Process()
        while True:
            self.note(process.memory_info().rss, self.clock.current)
            if self._stop.wait(INTERVAL_S):
                return

    def note(self, rss_bytes: int, step: str | None) -> None:
        """Count one sample."""
        self._sampled = max(self._sampled, rss_bytes)
        if step is not None:
            self.step_bytes[step] = max(self.step_bytes.get(step, 0), rss_bytes)
