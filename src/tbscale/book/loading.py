"""Records from files or at hand, put on a shelf."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tbscale.bench.records import load_record, record_files
from tbscale.book.same_labels import shared_agreements
from tbscale.book.shelf import Entry, Shelf
from tbscale.errors import RecordError


def load_shelf(published: Path, others: Sequence[Path] = ()) -> Shelf:
    """Load every record of `published`, and of `others` those that it does not hold.

    Raises
    ------
    RecordError : a file is not a valid record, or two ids share an address
    """
    entries: dict[str, Entry] = {}
    for folder in (published, *others):
        for path in _files_of(folder):
            record = load_record(path)
            entries.setdefault(record.id, Entry(record, folder == published, path))
    return make_shelf(entries.values())


def make_shelf(entries: Iterable[Entry]) -> Shelf:
    """Order records by age and refuse two that would share an address."""
    ordered = tuple(sorted(entries, key=lambda one: one.age))
    addresses = [entry.address for entry in ordered]
    doubled = sorted({one for one in addresses if addresses.count(one) > 1})
    if doubled:
        raise RecordError(
            f"two records share the address {doubled[0]}; keep one of the two files in results/"
        )
    shared = shared_agreements([entry.record for entry in ordered])
    pairs = zip(ordered, shared, strict=True)
    return Shelf(tuple(replace(entry, shared=one) if one else entry for entry, one in pairs))


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise RecordError(f"no folder of records at {path}; pass the folder that holds them")
    return record_files(path)
