"""Evaluate guidelines on every machine that has measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tbscale.book.formats import share
from tbscale.book.guidelines.model import Guideline
from tbscale.book.guidelines.series import Span
from tbscale.book.shelf import Entry, Shelf
from tbscale.errors import BookError


@dataclass(frozen=True)
class Finding:
    """One record's numbers for the claims of one guideline."""

    guideline: Guideline
    entry: Entry
    spans: tuple[Span, ...]

    @property
    def holds(self) -> bool:
        """Whether every claim holds on this record."""
        claims = zip(self.guideline.claims, self.spans, strict=True)
        return all(claim.holds(span.median) for claim, span in claims)

    def failures(self) -> list[str]:
        """Where a claim fails, and by how much of its limit."""
        return [
            f"{self.entry.record.dataset.name}: {claim.what} {claim.say(span.median)}, "
            f"wanted {claim.wanted()}{_by_how_much(span.median, claim.limit)}"
            for claim, span in zip(self.guideline.claims, self.spans, strict=True)
            if not claim.holds(span.median)
        ]


def _by_how_much(found: float, limit: float) -> str:
    return f" (off by {share(abs(found - limit) / abs(limit))})" if limit else ""


@dataclass(frozen=True)
class Verdict:
    """What one machine's records say of one guideline."""

    machine: str
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether it holds on every record of the machine."""
        return all(one.holds for one in self.findings)


def current_entries(shelf: Shelf) -> tuple[Entry, ...]:
    """The newest record of each machine, experiment, image and engine, oldest first."""
    newest: dict[object, Entry] = {}
    for entry in shelf.entries:
        record = entry.record
        data = record.dataset
        place = (record.experiment, data.name, data.origin, data.crop, record.engine.name)
        newest[(place, entry.variant)] = entry
    return tuple(newest.values())


def evaluate(guideline: Guideline, shelf: Shelf) -> tuple[Verdict, ...]:
    """The verdict of every machine that has a record on which the guideline can be evaluated."""
    by_machine: dict[str, list[Finding]] = {}
    for entry in current_entries(shelf):
        spans = guideline.read(entry.record)
        if spans is not None:
            found = Finding(guideline, entry, spans)
            by_machine.setdefault(entry.machine, []).append(found)
    return tuple(Verdict(name, tuple(found)) for name, found in sorted(by_machine.items()))


def in_words(verdicts: tuple[Verdict, ...]) -> str:
    """`holds on 1 of 2 machines`, and how many records that is."""
    good = sum(one.holds for one in verdicts)
    machines = "machine" if len(verdicts) == 1 else "machines"
    records = [found for one in verdicts for found in one.findings]
    fine = sum(one.holds for one in records)
    return f"holds on {good} of {len(verdicts)} {machines}, {fine} of {len(records)} records"


def check_evidence(guidelines: Iterable[Guideline], shelf: Shelf) -> None:
    """Refuse a shelf that leaves a guideline without a record to evaluate it on.

    Raises
    ------
    BookError : names the guidelines
    """
    bare = [one.slug for one in guidelines if not evaluate(one, shelf)]
    if bare:
        raise BookError(
            f"no record carries the numbers of {', '.join(bare)}; "
            "measure them with `python benchmarks/guidelines.py --all`, or restore the records"
        )
