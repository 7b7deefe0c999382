"""Read the measures of a record: rounds of a variant, ratios of rounds taken close together."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tbscale.bench.schema import Record

ROUND = "#"  # parts a variant from the number of its round


@dataclass(frozen=True)
class Span:
    """A number with the range of its repeats, in its own unit."""

    median: float
    smallest: float
    largest: float


def span_of(values: Sequence[float]) -> Span | None:
    """Median and range; None for no values.

    >>> span_of([3.0, 1.0, 2.0])
    Span(median=2.0, smallest=1.0, largest=3.0)
    """
    if not values:
        return None
    return Span(statistics.median(values), min(values), max(values))


def rounds_of(record: Record, name: str) -> dict[str, list[float]]:
    """The values of each variant of a measure, in the order of the record."""
    found: dict[str, list[float]] = {}
    for one in record.measures:
        if one.name == name:
            found.setdefault(one.subject.partition(ROUND)[0], []).append(one.value)
    return found


def value(name: str, variant: str) -> Callable[[Record], Span | None]:
    """Read one variant of a measure."""

    def read(record: Record) -> Span | None:
        return span_of(rounds_of(record, name).get(variant, []))

    return read


def ratio(name: str, over: str, under: str, scale: float = 1.0) -> Callable[[Record], Span | None]:
    """Read the ratio of two variants, round by round, times `scale`; None where one is missing.

    Rounds with nothing below the line are left out.
    """

    def read(record: Record) -> Span | None:
        rounds = rounds_of(record, name)
        pairs = zip(rounds.get(over, []), rounds.get(under, []), strict=False)
        return span_of([scale * above / below for above, below in pairs if below > 0])

    return read


def largest(name: str) -> Callable[[Record], Span | None]:
    """Read the largest value of a measure over its variants."""

    def read(record: Record) -> Span | None:
        values = [one for many in rounds_of(record, name).values() for one in many]
        return span_of([max(values)]) if values else None

    return read
