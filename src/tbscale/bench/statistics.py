"""Statistics of repeats, computed on reading and never stored."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tbscale.bench.machine_slug import machine_slug
from tbscale.bench.schema import Pass, Record
from tbscale.errors import RecordError

UNSTABLE_RELATIVE_SD = 0.10  # pyperf's limit


@dataclass(frozen=True)
class Summary:
    """Repeats of one quantity, in its own unit; `spread` is largest minus smallest."""

    n: int
    median: float
    smallest: float
    largest: float
    sd: float

    @property
    def spread(self) -> float:
        """Largest minus smallest."""
        return self.largest - self.smallest

    @property
    def unstable(self) -> bool:
        """Whether the standard deviation is above 10 % of the median."""
        return self.sd > UNSTABLE_RELATIVE_SD * abs(self.median)


def summarise(values: Sequence[float]) -> Summary:
    """Summarise repeats; `sd` is the sample's (0 for one value). RecordError for none.

    >>> summarise([1.0, 2.0, 4.0]).median
    2.0
    """
    if not values:
        raise RecordError("no repeats to summarise; measure at least one")
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return Summary(len(values), statistics.median(values), min(values), max(values), sd)


def wall_summary(one: Pass) -> Summary:
    """Wall seconds of the whole run over the measured repeats of a pass."""
    return summarise([repeat.wall_s for repeat in one.measured])


def step_summaries(one: Pass) -> dict[str, Summary]:
    """Wall seconds of each step over the measured repeats, in the order steps first ran."""
    names = dict.fromkeys(step for repeat in one.measured for step in repeat.steps)
    return {
        name: summarise([repeat.steps.get(name, 0.0) for repeat in one.measured]) for name in names
    }


def peak_over_plan(record: Record) -> float | None:
    """The largest resident memory over the peak that the plan stated; None without a plan."""
    projected = record.parameters.get("projected_peak_bytes")
    return record.plain.peak_rss_bytes / projected if isinstance(projected, int) else None


def differs(one: Summary, other: Summary) -> bool:
    """Whether two quantities may be ranked: their medians differ by more than either spread."""
    return abs(one.median - other.median) > max(one.spread, other.spread)


def check_same_machine(records: Sequence[Record]) -> None:
    """Refuse to pool seconds of different machines. RecordError names them."""
    machines = sorted({machine_slug(record.machine) for record in records})
    if len(machines) > 1:
        raise RecordError(
            f"records of different machines ({', '.join(machines)}) cannot be pooled; "
            "compare portable quantities instead"
        )
