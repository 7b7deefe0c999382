"""The steps of a segmentation and the clock that times them.

A step is one timed stage. Names are the field's words, in the order in which a run meets them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

STEPS = (
    "read",
    "convert",  # reference only: to float32, two channels, channels last
    "normalise",
    "tile",  # reference only: copies the plane into overlapping tiles
    "network",
    "blend",
    "follow",
    "seeds",
    "flow_qc",
    "fill",
    "display",  # reference only: the HSV image of the flows, computed even when unwanted
    "table",
    "write",
)


@dataclass(frozen=True)
class Span:
    """One interval of one step, seconds on the clock's own axis (0 = start of the run)."""

    step: str
    start_s: float
    stop_s: float


@dataclass
class StepClock:
    """Times steps by `perf_counter` at their boundaries; nothing else is touched.

    `synchronise` is called before each reading, so that queued accelerator work is counted
    where it was asked for. A step inside a step is charged to the inner one alone.
    """

    synchronise: Callable[[], None] | None = None
    spans: list[Span] = field(default_factory=list)
    _zero_s: float = field(default_factory=time.perf_counter)
    _open: list[tuple[str, float]] = field(default_factory=list)

    def restart(self) -> None:
        """Forget all spans and set the zero of the axis to now."""
        self.spans.clear()
        self._open.clear()
        self._zero_s = time.perf_counter()

    @property
    def zero_s(self) -> float:
        """The zero of the axis as `perf_counter` gives it, seconds."""
        return self._zero_s

    @property
    def current(self) -> str | None:
        """The step that is charged now; None between steps."""
        return self._open[-1][0] if self._open else None

    def now_s(self) -> float:
        """Seconds since the zero of the axis."""
        if self.synchronise is not None:
            self.synchronise()
        return time.perf_counter() - self._zero_s

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Charge the body of the `with` to `name` (one of `STEPS`)."""
        _check_name(name)
        started = self.now_s()
        if self._open:
            outer, outer_start = self._open[-1]
            self.spans.append(Span(outer, outer_start, started))
        self._open.append((name, started))
        try:
            yield
        finally:
            stopped = self.now_s()
            last, start = self._open.pop()
            self.spans.append(Span(last, start, stopped))
            if self._open:
                outer, _ = self._open[-1]
                self._open[-1] = (outer, stopped)

    def switch(self, name: str) -> None:
        """Charge the rest of the innermost open `with` to `name`, if it is not already.

        For code whose phases have no function of their own: one boundary, no gap.

        Raises
        ------
        RuntimeError : no step is open
        """
        _check_name(name)
        if not self._open:
            raise RuntimeError(f"no step is open to switch to {name!r}")
        current, start = self._open[-1]
        if current == name:
            return
        now = self.now_s()
        self.spans.append(Span(current, start, now))
        self._open[-1] = (name, now)

    def take(self, other: StepClock) -> None:
        """Add the spans of a clock that ran at the same time, on this one's axis."""
        shift = other.zero_s - self.zero_s
        self.spans.extend(
            Span(one.step, one.start_s + shift, one.stop_s + shift) for one in other.spans
        )

    def wall_s(self) -> dict[str, float]:
        """Seconds charged to each step that ran, in the order of `STEPS`."""
        totals = dict.fromkeys(STEPS, 0.0)
        for span in self.spans:
            totals[span.step] += span.stop_s - span.start_s
        ran = {span.step for span in self.spans}
        return {name: total for name, total in totals.items() if name in ran}


def _check_name(name: str) -> None:
    if name not in STEPS:
        raise ValueError(f"unknown step {name!r}; use one of {', '.join(STEPS)}")
