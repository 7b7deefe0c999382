"""Executed notebooks as pages: what ran, without what only the machine that ran it needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tbscale.bench.template import MAX_BYTES
from tbscale.book.figures import described
from tbscale.book.shelf import Entry
from tbscale.errors import BookError

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
Json = dict[str, Any]


def executed_page(entry: Entry) -> str:
    """The executed notebook of a record as a page of the book.

    Raises
    ------
    BookError : the notebook is larger than `MAX_BYTES`, or is not a notebook
    """
    path = entry.notebook
    if path is None:
        raise BookError(f"record {entry.address} has no executed notebook; build without its page")
    notebook = read_notebook(path)
    notebook["metadata"] = {"language_info": {"name": "python"}, "kernelspec": KERNEL}
    notebook["cells"] = [_cleaned(cell) for cell in notebook["cells"]]
    _title(notebook, f"The run as executed: {described(entry)}")
    _describe_images(notebook)
    return json.dumps(notebook, indent=1, sort_keys=True)


def read_notebook(path: Path) -> Json:
    """Read a notebook that is to be kept. BookError where it is too large or not one."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise BookError(
            f"{path.name} has {size} bytes, the limit of a kept notebook is {MAX_BYTES}; "
            "print fewer or smaller figures"
        )
    try:
        notebook: Json = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(notebook["cells"], list):
            raise KeyError("cells")
    except (ValueError, KeyError, TypeError):
        raise BookError(f"{path.name} is not a notebook; remove it or restore it") from None
    notebook.setdefault("metadata", {})
    return notebook


def _cleaned(cell: Json) -> Json:
    """A cell without papermill's notes and without what went to stderr."""
    tags = cell.get("metadata", {}).get("tags", [])
    kept = {**cell, "metadata": {"tags": tags} if tags else {}}
    if "outputs" in cell:
        kept["outputs"] = [out for out in cell["outputs"] if out.get("name") != "stderr"]
    return kept


def _title(notebook: Json, words: str) -> None:
    """Put `words` in place of the notebook's own first heading, or above everything."""
    for cell in notebook["cells"]:
        lines = "".join(cell["source"]).splitlines()
        for number, line in enumerate(lines):
            if cell["cell_type"] == "markdown" and line.startswith("# "):
                cell["source"] = "\n".join([*lines[:number], f"# {words}", *lines[number + 1 :]])
                return
    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": f"# {words}"}
    notebook["cells"].insert(0, title)


def _describe_images(notebook: Json) -> None:
    """Give each figure an alternative text: the heading above it, and that its data follow."""
    heading = "the run"
    for cell in notebook["cells"]:
        lines = "".join(cell["source"]).splitlines()
        if cell["cell_type"] == "markdown":
            headings = [line.lstrip("# ") for line in lines if line.startswith("#")]
            heading = headings[-1] if headings else heading
        elif any(_is_image(output) for output in cell.get("outputs", ())):
            cell["metadata"]["mystnb"] = {"image": {"alt": f"Output of the run: {heading}"}}


def _is_image(output: Json) -> bool:
    return any(kind.startswith("image/") for kind in output.get("data", {}))
