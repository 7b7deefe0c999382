"""Make the tree that jupyter-book reads: hand-written pages, generated pages, figures, raw data.

    notebooks/*.md, *.ipynb    -> the same paths, their `{{ }}` bound to records
    one page a profile set     -> profiles/<slug>.md
    one page a record          -> records/<address>.md, beside records/<address>.json
    executed notebooks         -> runs/<address>.ipynb
    figures                    -> figures/<address>-<kind>.svg, -dark.svg, .csv

Files are written only where their content changed, so that a second build is quick, and files
that no page asks for any more are removed.
"""

from __future__ import annotations

import fnmatch
import json
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import yaml

from tbscale.bench.records import json_schema
from tbscale.book.context import FILTERS, PageContext
from tbscale.book.executed import executed_page
from tbscale.book.guidelines.registry import GUIDELINES
from tbscale.book.guidelines.verdicts import check_evidence
from tbscale.book.shelf import Shelf
from tbscale.errors import BookError

PAGES_FOLDER = "notebooks"
TEMPLATE_NOTEBOOKS = ("profile.ipynb",)  # papermill's input; its executed runs are the pages
COPIED = (".bib", ".svg", ".png", ".jpg", ".csv")


@dataclass
class Tree:
    """Paths of the assembled book with their content; `_extra/` is served as it is."""

    content: dict[str, bytes] = field(default_factory=dict)

    def add(self, path: str, text: str | bytes) -> None:
        """Add one file; a path may be added twice only with the same content."""
        data = text.encode() if isinstance(text, str) else text
        if self.content.setdefault(path, data) != data:
            raise BookError(f"two pages of the book want the path {path}; rename one of them")

    def pages(self) -> list[str]:
        """The pages, without their suffix, sorted."""
        return sorted(p.rpartition(".")[0] for p in self.content if p.endswith((".md", ".ipynb")))

    def write(self, folder: Path) -> set[str]:
        """Write what changed under `folder`, remove the rest, return the paths of both."""
        old = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        gone = old - self.content.keys()
        for path in gone:
            (folder / path).unlink()
        changed = {
            path
            for path, data in self.content.items()
            if path not in old or (folder / path).read_bytes() != data
        }
        for path in changed:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(self.content[path])
        return changed | gone


@dataclass(frozen=True)
class Binder:
    """Renders templates with the names of a page, and collects what they draw."""

    shelf: Shelf
    base_url: str
    tree: Tree
    environment: jinja2.Environment

    def bind(self, page: str, template: str, **names: object) -> str:
        """The text of one page. BookError where it uses a name that no record gives."""
        context = PageContext(self.shelf, page, self.base_url)
        try:
            compiled = self.environment.from_string(template)
            text = compiled.render({**context.names(), **names})
        except jinja2.TemplateError as error:
            where = f"line {error.lineno}: " if hasattr(error, "lineno") else ""
            raise BookError(f"page {page} cannot be bound to records: {where}{error}") from None
        for drawing in context.drawings:
            self.tree.add(f"_extra/figures/{drawing.name}.svg", drawing.light_svg)
            self.tree.add(f"_extra/figures/{drawing.name}-dark.svg", drawing.dark_svg)
            self.tree.add(f"_extra/figures/{drawing.name}.csv", drawing.csv)
        return text

    def bind_file(self, page: str, source: Path) -> str:
        """The text of a hand-written page; of a notebook, its Markdown cells are bound."""
        text = source.read_text(encoding="utf-8")
        if source.suffix != ".ipynb":
            return self.bind(page, text)
        notebook = json.loads(text)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = self.bind(page, "".join(cell["source"]))
        return json.dumps(notebook, indent=1)


def new_environment() -> jinja2.Environment:
    """Jinja as the pages use it; `{#` stays free for Markdown attributes."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        comment_start_string="<!--#",
        comment_end_string="#-->",
    )
    environment.filters.update(FILTERS)
    return environment


def generated_template(name: str) -> str:
    """The text of a template that comes with the package."""
    return files("tbscale.book").joinpath("templates", f"{name}.md.jinja").read_text("utf-8")


def make_tree(repository: Path, shelf: Shelf) -> Tree:
    """Everything that the book is made of.

    Raises
    ------
    BookError : a page is missing, uses a name that no record gives, or is a guideline without
        evidence
    """
    check_evidence(GUIDELINES, shelf)
    tree = Tree()
    config = (repository / "_config.yml").read_text(encoding="utf-8")
    base_url = str((yaml.safe_load(config).get("html") or {}).get("baseurl") or "")
    binder = Binder(shelf, base_url, tree, new_environment())
    tree.add("_config.yml", config)
    _add_static(tree)
    _add_hand_written(tree, binder, repository)
    _add_profiles(tree, binder)
    _add_records(tree, binder)
    toc = yaml.safe_load((repository / "_toc.yml").read_text(encoding="utf-8"))
    tree.add("_toc.yml", yaml.safe_dump(expand_toc(toc, tree.pages()), sort_keys=False))
    return tree


def is_template(source: Path) -> bool:
    """Whether a notebook is papermill's input: by name, or because its page lies beside it."""
    beside = source.with_suffix(".md")
    return source.suffix == ".ipynb" and (source.name in TEMPLATE_NOTEBOOKS or beside.is_file())


def expand_toc(node: Any, pages: list[str]) -> Any:
    """Replace each `glob` of a table of contents by the pages that match it, index pages aside.

    >>> expand_toc([{"file": "a"}, {"glob": "r/*"}], ["a", "r/index", "r/x", "s/y"])
    [{'file': 'a'}, {'file': 'r/x'}]
    """
    if isinstance(node, dict):
        expanded = {key: expand_toc(value, pages) for key, value in node.items()}
        return {key: value for key, value in expanded.items() if value != []}
    if not isinstance(node, list):
        return node
    found = []
    for item in node:
        if isinstance(item, dict) and "glob" in item:
            named = fnmatch.filter(pages, item["glob"])
            found += [{"file": page} for page in named if not page.endswith("/index")]
        else:
            found.append(expand_toc(item, pages))
    return found


def write_book_source(repository: Path, shelf: Shelf, folder: Path) -> bool:
    """Write the tree of `make_tree` under `folder`.

    Returns whether anything but the text of pages changed: then navigation, styles or raw data
    may be stale on every page, and all must be written again.
    """
    changed = make_tree(repository, shelf).write(folder)
    return any(not path.endswith((".md", ".ipynb")) for path in changed)


def _add_static(tree: Tree) -> None:
    for one in files("tbscale.book").joinpath("static").iterdir():
        tree.add(f"_static/{one.name}", one.read_bytes())


def _add_hand_written(tree: Tree, binder: Binder, repository: Path) -> None:
    pages = repository / PAGES_FOLDER
    for source in sorted(pages.rglob("*")):
        path = source.relative_to(pages)
        if not source.is_file() or any(part.startswith(".") for part in path.parts):
            continue
        if source.suffix in (".md", ".ipynb") and not is_template(source):
            tree.add(path.as_posix(), binder.bind_file(path.with_suffix("").as_posix(), source))
        elif source.suffix in COPIED:
            tree.add(path.as_posix(), source.read_bytes())
    changes = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    tree.add("changelog.md", changes)


def _add_profiles(tree: Tree, binder: Binder) -> None:
    tree.add("profiles/index.md", binder.bind("profiles/index", generated_template("profiles")))
    for one in binder.shelf.profile_sets:
        page = f"profiles/{one.slug}"
        tree.add(f"{page}.md", binder.bind(page, generated_template("profile"), set=one))


def _add_records(tree: Tree, binder: Binder) -> None:
    tree.add("records/index.md", binder.bind("records/index", generated_template("records")))
    tree.add("_extra/records/schema.json", json.dumps(json_schema(), indent=2) + "\n")
    for entry in binder.shelf.entries:
        page = f"records/{entry.address}"
        text = binder.bind(page, generated_template("record"), entry=entry)
        tree.add(f"{page}.md", text)
        tree.add(f"_extra/{page}.json", entry.raw_json())
        if entry.notebook is not None:
            tree.add(f"runs/{entry.address}.ipynb", executed_page(entry))
