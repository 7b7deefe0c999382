"""Build the book: records in, static pages out."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tbscale.book.checks import check_site
from tbscale.book.loading import load_shelf
from tbscale.book.numbers import check_folder
from tbscale.book.pages import PAGES_FOLDER, write_book_source
from tbscale.errors import BookError

log = logging.getLogger(__name__)
SHOWN_PROBLEMS = 20


def find_repository(start: Path) -> Path:
    """The folder with `_config.yml` and `_toc.yml`, at or above `start`."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / "_config.yml").is_file() and (folder / "_toc.yml").is_file():
            return folder
    raise BookError(
        f"no _config.yml and _toc.yml at or above {start}; run this inside a clone of the project"
    )


def build_book(repository: Path, published: Path, others: Sequence[Path], out: Path) -> Path:
    """Build and check the whole book; return the path of its first page.

    Parameters
    ----------
    repository : folder with `_config.yml`, `_toc.yml` and `notebooks/`
    published, others : folders of records, committed and measured just now
    out : folder that gets `_build/`

    Raises
    ------
    BookError : a number is unbound, jupyter-book warns, or the site breaks a promise
    RecordError : a record is not valid
    """
    check_numbers(repository)
    shelf = load_shelf(published, others)
    log.info("book: %d records, %d profiles", len(shelf.entries), len(shelf.profile_sets))
    source = out / "_build" / "src"
    afresh = write_book_source(repository, shelf, source)
    run_jupyter_book(source, out, afresh)
    site = out / "_build" / "html"
    check_built(site)
    return (site / "index.html").resolve()


def check_numbers(repository: Path) -> None:
    """Refuse a page with a number that no record and no source stands behind."""
    unbound = check_folder(repository / PAGES_FOLDER, repository / "README.md")
    _refuse([str(one) for one in unbound], "bind each to a record, or cite its source")


def check_built(site: Path) -> None:
    """Refuse a site with a dead link, a call to another host, or an undescribed image."""
    problems = check_site(site)
    _refuse([str(one) for one in problems], "mend the page and build again")
    log.info("book: links, hosts and alternative texts checked")


def _refuse(problems: list[str], remedy: str) -> None:
    if not problems:
        return
    for problem in problems[:SHOWN_PROBLEMS]:
        log.error("%s", problem)
    more = f" (the first of {len(problems)})" if len(problems) > 1 else ""
    raise BookError(f"{problems[0]}{more}; {remedy}")


def run_jupyter_book(source: Path, out: Path, afresh: bool) -> None:
    """Run jupyter-book strictly: nitpicking, every warning an error, all of them shown.

    `afresh` writes every page again, changed or not.
    """
    if find_spec("jupyter_book") is None:
        raise BookError("jupyter-book is not installed; install tbscale with its extra: book")
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command += ["build", str(source), "--path-output", str(out), "-n", "-W", "--keep-going"]
    command += ["--all"] if afresh else []
    ended = subprocess.run(command, check=False)
    if ended.returncode != 0:
        raise BookError("jupyter-book met the warnings shown above; mend them and build again")
