"""How to cite: BibTeX for a record and for the book."""

from __future__ import annotations

from collections.abc import Sequence

from tbscale import __version__
from tbscale.book.shelf import SHORT_ID, Entry

AUTHOR = "{The tbscale authors}"
BOOK_TITLE = "Cell segmentation at terabyte scale: measured guidelines"
FIRST_YEAR = 2026
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def record_bibtex(entry: Entry, base_url: str = "") -> str:
    """BibTeX of one record; its full id is what identifies it, wherever the book is served.

    `base_url` is the published site's address, or empty where there is none.
    """
    record = entry.record
    origin = "stand-in of " if record.dataset.origin == "stand-in" else ""
    title = f"{record.experiment} of {origin}{record.dataset.name}"
    if record.passes:  # an experiment sets several programs beside each other, or none
        title += f", engine {entry.ran}"
    fields = {
        "author": AUTHOR,
        "title": f"{{{escape(title[0].upper() + title[1:])}}}",
        "howpublished": escape(f"{BOOK_TITLE}, tbscale {__version__}"),
        "year": str(record.created.year),
        "month": MONTHS[record.created.month - 1],
        "note": f"Record {record.id}",
    }
    if base_url:
        fields["url"] = f"{base_url.rstrip('/')}/records/{entry.address}.html"
    return _entry("misc", f"tbscale-{entry.address}", fields)


def book_bibtex(year: int, base_url: str = "") -> str:
    """BibTeX of the book and the software."""
    fields = {
        "author": AUTHOR,
        "title": f"{{{BOOK_TITLE}}}",
        "version": __version__,
        "year": str(year),
    }
    if base_url:
        fields["url"] = base_url
    return _entry("misc", "tbscale", fields)


def guideline_bibtex(slug: str, title: str, entries: Sequence[Entry], base_url: str = "") -> str:
    """BibTeX of a guideline; the records it rests on are named by their ids."""
    ids = dict.fromkeys(entry.record.id for entry in entries)
    fields = {
        "author": AUTHOR,
        "title": f"{{{escape(title)}}}",
        "howpublished": escape(f"{BOOK_TITLE}, tbscale {__version__}, guideline {slug}"),
        "year": str(max((entry.record.created.year for entry in entries), default=FIRST_YEAR)),
        "note": "Records " + " ".join(one[:SHORT_ID] for one in ids),
    }
    if base_url:
        fields["url"] = f"{base_url.rstrip('/')}/guidelines/{slug}.html"
    return _entry("misc", f"tbscale-{slug}", fields)


def escape(words: str) -> str:
    """Letters that TeX would read as commands, made plain."""
    for mark in "&%$#_":
        words = words.replace(mark, "\\" + mark)
    return words


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    bare = {"month"}  # a macro of BibTeX, not a string
    lines = [
        f"  {name} = {value if name in bare else '{' + value + '}'},"
        for name, value in fields.items()
    ]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])
