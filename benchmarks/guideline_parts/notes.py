"""Numbers on their way into a record, and times taken in interleaved rounds."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Work = Callable[[], object]
ROUNDS = 5


@dataclass
class Notes:
    """The measures of one record, in the order in which they were taken."""

    measures: list[dict[str, Any]] = field(default_factory=list)

    def count(self, name: str, variant: str, value: float, unit: str = "1") -> None:
        """Note a number that travels between machines."""
        self._add(name, variant, value, unit, "portable")

    def local(self, name: str, variant: str, value: float, unit: str) -> None:
        """Note a number that holds on this machine only."""
        self._add(name, variant, value, unit, "local")

    def time_rounds(self, name: str, variants: dict[str, Work], rounds: int = ROUNDS) -> None:
        """Time variants against each other, seconds, each round a pair taken close together.

        Every variant runs once untimed first. The order turns around from round to round, so that
        a machine that slows down favours none of them.
        """
        for work in variants.values():
            work()
        for number in range(1, rounds + 1):
            order = list(variants.items())
            for variant, work in order if number % 2 else reversed(order):
                began = time.perf_counter()
                work()
                self.local(name, f"{variant}#{number}", time.perf_counter() - began, "s")

    def _add(self, name: str, variant: str, value: float, unit: str, scope: str) -> None:
        self.measures.append(
            {"name": name, "subject": variant, "value": float(value), "unit": unit, "scope": scope}
        )


def traced_peak_bytes(work: Work) -> int:
    """The most memory that numpy and Python held at once because of `work`, bytes."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
