"""What the notebooks of the questions call: keep a record that was just made, find the others."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from tbscale.bench.records import load_record, save_record
from tbscale.bench.schema import Record
from tbscale.book.loading import load_shelf, make_shelf
from tbscale.book.notebook import show, show_table
from tbscale.book.shelf import Entry, Shelf

__all__ = [
    "committed",
    "just_made",
    "keep",
    "numbers",
    "show",
    "show_progress",
    "show_table",
    "words",
]


def show_progress() -> None:
    """Log lines go to stderr, where a terminal and papermill show them as they come."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    own = logging.getLogger("tbscale")
    own.handlers[:] = [handler]
    own.setLevel(logging.INFO)
    own.propagate = False


def keep(record: Record, out: str) -> Entry:
    """Save a record under `out` and read it back."""
    path = save_record(record, Path(out))
    return Entry(load_record(path), published=False, path=path)


def committed(results: str) -> Shelf:
    """The records of a folder. RecordError where there is no such folder."""
    return load_shelf(Path(results))


def just_made(entry: Entry) -> Shelf:
    """A shelf with nothing but one record."""
    return make_shelf([entry])


def numbers(text: str) -> tuple[float, ...]:
    """`0,1500` as numbers, as papermill's `-p` passes them.

    >>> numbers("0,1500")
    (0.0, 1500.0)
    """
    return tuple(float(one) for one in str(text).split(",") if one)


def words(text: str) -> tuple[str, ...]:
    """`a,b` as words.

    >>> words("")
    ()
    """
    return tuple(one for one in text.split(",") if one)
