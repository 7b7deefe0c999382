"""The headline table in README.md, written from records between two markers."""

from __future__ import annotations

from pathlib import Path

from tbscale.book.loading import load_shelf
from tbscale.book.markdown import cell, table, text
from tbscale.book.shelf import Entry, Shelf
from tbscale.book.tables import OUTCOME, machine_text, outcome_cells
from tbscale.errors import BookError

BEGIN = "<!-- headline: written by `make readme` from results/, do not edit -->"
END = "<!-- /headline -->"


def headline_markdown(shelf: Shelf, repository: Path) -> str:
    """The headline table with a link to each record's file; plain Markdown."""
    shown = [entry for entry in shelf.headline() if entry.published]
    if not shown:
        return "No record has been measured yet."
    columns = [text("image"), text("engine"), *OUTCOME, text("machine"), text("record")]
    return table(columns, [_row(entry, repository) for entry in shown])


def _row(entry: Entry, repository: Path) -> list[str]:
    data = entry.record.dataset
    name = cell(data.name) + (" (stand-in)" if data.origin == "stand-in" else "")
    path = entry.path.relative_to(repository).as_posix() if entry.path else ""
    where = [cell(machine_text(entry.record.machine)), f"[{entry.address}]({path})"]
    return [name, entry.ran, *outcome_cells(entry), *where]


def with_headline(readme: str, headline: str) -> str:
    """README text with `headline` between the markers. BookError where they are missing."""
    return between(readme, BEGIN, END, headline, "README.md")


def between(page: str, begin: str, end: str, content: str, name: str) -> str:
    """A page with `content` between two markers. BookError where they are missing."""
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise BookError(f"{name} holds no markers {begin} and {end}; put them back")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def update_readme(repository: Path, results: Path, write: bool) -> bool:
    """Bring README.md up to date with the records; return whether it was not."""
    path = repository / "README.md"
    present = path.read_text(encoding="utf-8")
    wanted = with_headline(present, headline_markdown(load_shelf(results), repository))
    if wanted == present:
        return False
    if write:
        part = path.with_name(".README.md.part")
        part.write_text(wanted, encoding="utf-8")
        part.replace(path)
    return True
