"""The headline table in README.md, written from records between two markers."""

from __future__ import annotations

from pathlib import Path

from tbscale.book.markdown import cell, table, text
from tbscale.book.shelf import Entry, Shelf, load_shelf
from tbscale.book.tables import OUTCOME, machine_text, outcome_cells
from tbscale.errors import BookError

BEGIN = "<!-- headline: written by `make readme` from results/, do not edit -->"
END = "<!-- /headline -->"


def headline_markdown(shelf: Shelf, repository: Path) -> str:
    """The headline table with a link to each record's file; plain Markdown."""
    whole = [one for one in shelf.profile_sets if one.crop is None]
    if not whole:
        return "No record has been measured yet."
    columns = [text("image"), text("engine"), *OUTCOME, text("machine"), text("record")]
    return table(columns, [_row(one.leading, repository) for one in whole])


def _row(entry: Entry, repository: Path) -> list[str]:
    data = entry.record.dataset
    name = cell(data.name) + (" (stand-in)" if data.origin == "stand-in" else "")
    path = entry.path.relative_to(repository).as_posix() if entry.path else ""
    where = [cell(machine_text(entry.record.machine)), f"[{entry.address}]({path})"]
    return [name, entry.record.engine.name, *outcome_cells(entry), *where]


def with_headline(readme: str, headline: str) -> str:
    """README text with `headline` between the markers. BookError where they are missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BookError(f"README.md holds no markers {BEGIN} and {END}; put them back")
    return f"{before}{BEGIN}\n\n{headline}\n\n{END}{after}"


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
