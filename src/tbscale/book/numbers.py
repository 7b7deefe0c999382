"""Find numbers with a unit in prose that no record and no cited source stands behind.

A number in a page is bound when it is a `{{ }}` expression, or when its paragraph cites a source
(a `{cite}` role). Code, tables made by `{{ }}`, addresses and titles of links are not prose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNITS = (
    r"%|‰|per ?cent|percent|"
    r"[nµum]?s|sec|secs|seconds?|min|mins|minutes?|h|hours?|days?|"
    r"[kKMGTP]?i?B|bytes?|[kMG]?bit/s|"
    r"px|pixels?|[Mm]egapixels?|[Gg]igapixels?|MP|"
    r"[nµum]m|µm/px|um/px|"
    r"GFLOPS?|TFLOPS?|FLOPS?|[kMG]?Hz|"
    r"cores?|threads?|cells?|nuclei|nucleus|tiles?|images?|"
    r"times|x|fold|weights|channels?"
)
NUMBER = r"(?<![\w.,/^-])[~<>≤≥]?\d[\d.,]*(?:[eE][+-]?\d+)?"
SCALED = r"(?:[\s  -]?(?:thousand|million|billion))?"
UNBOUND = re.compile(rf"{NUMBER}{SCALED}[\s  -]?(?:{UNITS})(?![\w(])")
FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*(.*?)\s*$")
CODE_DIRECTIVES = ("code", "code-block", "code-cell", "raw", "math", "eval-rst")
REMOVED = (
    re.compile(r"^[ \t]*:(?!alt:)[\w-]+:.*$", re.M),  # an option of a directive
    re.compile(r"\{\{.*?\}\}", re.S),  # bound
    re.compile(r"\{%.*?%\}", re.S),
    re.compile(r"<!--.*?-->", re.S),
    re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.S),  # inline code, and the target of a role
    re.compile(r"\]\([^)]*\)"),  # where a link goes
    re.compile(r"<https?://[^>]*>|https?://\S+"),
    re.compile(r"<[^>\n]+>"),
)
GENERATED = re.compile(r"<!-- (\w+): written by .*?<!-- /\1 -->", re.S)
CITED = re.compile(r"\{cite(:\w+)?\}`")


@dataclass(frozen=True)
class Unbound:
    """One number with a unit that nothing stands behind."""

    path: str
    line: int
    found: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found!r} comes from no record and no cited source"


def check_folder(folder: Path, *others: Path) -> list[Unbound]:
    """Every unbound number in the pages and notebooks under `folder`, and in `others`."""
    pages = [path for path in sorted(folder.rglob("*")) if path.suffix in (".md", ".ipynb")]
    found = []
    for path in (*pages, *others):
        text = without_generated(path.read_text(encoding="utf-8"))
        prose = _cells(text) if path.suffix == ".ipynb" else [text]
        found += [one for part in prose for one in check_text(part, path.name)]
    return found


def check_text(text: str, path: str) -> list[Unbound]:
    """Unbound numbers of one Markdown text.

    >>> [one.found for one in check_text("It took 12.5 s.", "page.md")]
    ['12.5 s']
    >>> check_text("It took {{ wall }}, as `sleep 3 s` does.", "page.md")
    []
    """
    return [
        Unbound(path, line, match.group().strip())
        for line, paragraph in paragraphs(text)
        if not CITED.search(paragraph)
        for match in UNBOUND.finditer(prose_of(paragraph))
    ]


def without_generated(text: str) -> str:
    """Blank the parts that are written from records between two markers; lines keep their number.

    >>> without_generated("a\\n<!-- t: written by x -->\\n3 s\\n<!-- /t -->\\nb").split()
    ['a', 'b']
    """
    return GENERATED.sub(lambda part: "\n" * part.group().count("\n"), text)


def prose_of(paragraph: str) -> str:
    """A paragraph without what is bound, code, or an address."""
    for pattern in REMOVED:
        paragraph = pattern.sub(" ¤ ", paragraph)
    return paragraph


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Paragraphs with the number of their first line, fenced code left out."""
    gathered: list[str] = []
    start = 1
    fences: list[tuple[str, bool]] = []  # marker and whether its body is prose, outermost first
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if fence:
            _open_or_close(fences, fence.group(1), fence.group(2))
        elif line.strip() and all(is_prose for _, is_prose in fences):
            start = start if gathered else number
            gathered.append(line)
            continue
        if gathered:
            yield start, "\n".join(gathered)
            gathered = []
    if gathered:
        yield start, "\n".join(gathered)


def _open_or_close(fences: list[tuple[str, bool]], marker: str, info: str) -> None:
    """Follow a line of backticks or tildes; a directive such as a note holds prose."""
    if not info and fences and marker.startswith(fences[-1][0]):
        fences.pop()
    elif not fences or fences[-1][1]:
        name = re.match(r"\{([\w-]+)\}", info)
        fences.append((marker, name is not None and name.group(1) not in CODE_DIRECTIVES))


def _cells(text: str) -> list[str]:
    cells = json.loads(text)["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
