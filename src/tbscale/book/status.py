"""What this book rests on: machines, versions, how many guidelines hold where."""

from __future__ import annotations

from collections import defaultdict

from tbscale.book.guidelines.model import Guideline
from tbscale.book.guidelines.verdicts import evaluate
from tbscale.book.markdown import cell, code, number, table, text
from tbscale.book.shelf import Entry, Shelf
from tbscale.book.tables import DASH, machine_text

SHORT_COMMIT = 10


def by_machine(shelf: Shelf) -> dict[str, list[Entry]]:
    """The records of each machine, oldest first, by its short name."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in shelf.entries:
        found[entry.machine].append(entry)
    return dict(found)


def machines_table(shelf: Shelf, guidelines: tuple[Guideline, ...]) -> str:
    """Every machine: what was measured on it, when, and how many guidelines hold there."""
    verdicts = [verdict for one in guidelines for verdict in evaluate(one, shelf)]
    rows = []
    for name, entries in sorted(by_machine(shelf).items()):
        own = [verdict for verdict in verdicts if verdict.machine == name]
        holding = sum(verdict.holds for verdict in own)
        rows.append(
            [
                cell(machine_text(entries[-1].record.machine)),
                ", ".join(sorted({cell(one.record.dataset.name) for one in entries})),
                str(len(entries)),
                entries[-1].record.created.isoformat(),
                f"{holding} of {len(own)}" if own else DASH,
            ]
        )
    columns = [
        text("machine"),
        text("images"),
        number("records"),
        text("newest"),
        number("guidelines that hold"),
    ]
    return table(columns, rows)


def versions_table(shelf: Shelf) -> str:
    """Every version of the software that measured, and by how many records."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for entry in shelf.entries:
        for name, version in {**entry.record.software, **entry.record.engine.versions}.items():
            counts[name, version] += 1
    rows = [
        [cell(name), code(version), str(count)] for (name, version), count in sorted(counts.items())
    ]
    return table([text("software"), text("version"), number("records")], rows)


def commits_table(shelf: Shelf, root: str) -> str:
    """Which state of this package made which records."""
    made: dict[str, list[Entry]] = defaultdict(list)
    for entry in shelf.entries:
        commit = entry.record.code.commit
        state = code(commit[:SHORT_COMMIT]) if commit else "unknown"
        made[state + (" with changes" if entry.record.code.dirty else "")].append(entry)
    rows = [
        [state, ", ".join(f"[{one.address}]({root}records/{one.address}.md)" for one in entries)]
        for state, entries in made.items()
    ]
    return table([text("commit"), text("records")], rows)
