"""Small pieces of Markdown: tables with aligned columns, code that cannot break out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    """The heading of a column and the side its cells keep to."""

    heading: str
    side: Literal["left", "right"] = "left"


def text(heading: str) -> Column:
    """A column of words."""
    return Column(heading, "left")


def number(heading: str) -> Column:
    """A column of numbers."""
    return Column(heading, "right")


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> str:
    """A pipe table.

    >>> print(table([text("step"), number("wall")], [["network", "41.0 s"]]))
    | step | wall |
    | :--- | ---: |
    | network | 41.0 s |
    """
    rules = [":---" if column.side == "left" else "---:" for column in columns]
    lines = [[column.heading for column in columns], rules, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(value: object) -> str:
    """Plain text for a cell: pipes and line breaks cannot end it, nor can it start markup."""
    cleaned = " ".join(str(value).split())
    for mark in "\\|`*_<[{":
        cleaned = cleaned.replace(mark, "\\" + mark)
    return cleaned


def code(value: object) -> str:
    """Code for a cell, fenced by more backticks than it holds.

    >>> code("a|b`c")
    '`` a\\\\|b`c ``'
    """
    cleaned = " ".join(str(value).split()).replace("|", "\\|")
    if "`" not in cleaned:
        return f"`{cleaned}`"
    fence = "`" * (cleaned.count("`") + 1)
    return f"{fence} {cleaned} {fence}"


def badge(words: str, kind: str) -> str:
    """A small label; `kind` is a class of the style sheet."""
    return f'<span class="tb-badge {kind}">{words}</span>'
