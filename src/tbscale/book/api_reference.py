"""Reference of the package's functions and classes, from their source: nothing is imported.

So the book builds without torch, and a name that is gone from the source fails the build.
"""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from tbscale.errors import BookError

ENTRY_SECTIONS = ("Parameters", "Attributes", "Returns", "Raises")
SECTIONS = (*ENTRY_SECTIONS, "Examples", "Notes")
WIDEST = 88  # characters of a signature on one line
RULED = re.compile(rf"^({'|'.join(SECTIONS)})\n-+\n", re.M)
Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Docstring:
    """The text before the sections, and each section's text by its name."""

    lead: str
    sections: dict[str, str]


def reference(shown: str, home: str, methods: tuple[str, ...] = ()) -> str:
    """Markdown of one function or class.

    Parameters
    ----------
    shown : the name that a reader imports
    home : where it is defined, as `module.path:name` below the package
    methods : those of a class that are shown too

    Raises
    ------
    BookError : there is no such definition, or it has no docstring
    """
    module, _, name = home.partition(":")
    node = find(module, name)
    parts = [f"## `{shown}`", signature(node, shown.rpartition(".")[2]), *body(node, home)]
    for method in methods:
        inner = child(node, method, home)
        parts += [f"### `{name}.{method}`", signature(inner, method), *body(inner, home)]
    return "\n\n".join(parts)


@cache
def _module(name: str) -> ast.Module:
    path = files("tbscale").joinpath(*name.split(".")[:-1], f"{name.rpartition('.')[2]}.py")
    return ast.parse(path.read_text("utf-8"))


def find(module: str, name: str) -> Definition:
    """The definition of a name at the top of a module. BookError where there is none."""
    return child(_module(module), name, f"{module}:{name}")


def child(node: ast.AST, name: str, home: str) -> Definition:
    """The definition of a name inside a module or class. BookError where there is none."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, Definition) and inner.name == name:
            return inner
    raise BookError(f"the reference names {home}, where {name!r} is not defined; correct the page")


def signature(node: Definition, shown: str) -> str:
    """How it is called, as a block of code; of a class, its annotated fields."""
    if isinstance(node, ast.ClassDef):
        fields = [
            ast.unparse(one)
            for one in node.body
            if isinstance(one, ast.AnnAssign) and not ast.unparse(one.target).startswith("_")
        ]
        lines = [f"class {shown}:", *(f"    {one}" for one in fields)]
        return fenced("\n".join(lines) if fields else f"class {shown}", "python")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    given = arguments(node)
    flat = f"{shown}({', '.join(given)}){returns}"
    broken = "\n".join([f"{shown}(", *(f"    {one}," for one in given), f"){returns}"])
    return fenced(flat if len(flat) <= WIDEST else broken, "python")


def arguments(node: ast.FunctionDef) -> list[str]:
    """The arguments as they are written, `self` left out."""
    inner = ast.unparse(node.args)
    depth, start, found = 0, 0, []
    for at, mark in enumerate(f"{inner},"):
        depth += (mark in "([{") - (mark in ")]}")
        if mark == "," and depth == 0:
            found.append(inner[start:at].strip())
            start = at + 1
    spaced = (re.sub(r"^(\w+: .*?)=", r"\1 = ", one) for one in found)
    return [one for one in spaced if one and one != "self"]


def fenced(content: str, language: str) -> str:
    """A block of code."""
    return f"```{language}\n{content}\n```"


def parse(docstring: str) -> Docstring:
    """Split a docstring at its underlined headings."""
    pieces = RULED.split(inspect.cleandoc(docstring))
    names, texts = pieces[1::2], pieces[2::2]
    return Docstring(pieces[0].strip(), dict(zip(names, map(str.rstrip, texts), strict=True)))


def body(node: Definition, home: str) -> list[str]:
    """The docstring as Markdown. BookError where there is none."""
    text = ast.get_docstring(node, clean=True)
    if not text:
        raise BookError(f"{home}: {node.name!r} has no docstring to put into the reference")
    found = parse(text)
    parts = [found.lead]
    for name, content in found.sections.items():
        listed = name in ENTRY_SECTIONS and " : " in content
        shown = examples(content) if name == "Examples" else content
        parts.append(f"**{name}**\n\n{entries(content) if listed else shown}")
    return parts


def entries(content: str) -> str:
    """`name : text` lines, continued by indentation, as a definition list.

    >>> print(entries("a, b : two numbers,\\n    pixels\\nc : a third"))
    `a`, `b`
    : two numbers, pixels
    <BLANKLINE>
    `c`
    : a third
    """
    joined: list[str] = []
    for line in content.splitlines():
        if line.startswith(" ") and joined:
            joined[-1] += " " + line.strip()
        elif line.strip():
            joined.append(line.strip())
    items = []
    for one in joined:
        names, _, text = one.partition(" : ")
        terms = ", ".join(f"`{name.strip()}`" for name in names.split(","))
        items.append(f"{terms}\n: {text or 'see above'}")
    return "\n\n".join(items)


def examples(content: str) -> str:
    """Sessions as blocks, and the words between them."""
    blocks = re.split(r"\n\s*\n", content)
    return "\n\n".join(fenced(one, "pycon") if one.startswith(">>>") else one for one in blocks)
