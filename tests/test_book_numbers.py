"""Numbers with a unit in prose must be bound, and the lint that says so must see them."""

import json
from pathlib import Path

import pytest

from tbscale.book.build import check_numbers
from tbscale.book.numbers import check_folder, check_text
from tbscale.errors import BookError

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "found",
    ["12.5 s", "940 s", "1.76 GB", "24 GiB", "63 %", "224 px", "12,415 cells", "6.5x", "3 times",
     "0.65 µm", "31 GFLOP", "2 cores", "3 ms", "1e6 pixels", "6.6 million weights", "~4 minutes",
     "100 kB", "1.5\N{NO-BREAK SPACE}GiB"],
)  # fmt: skip
def test_an_unbound_number_is_found(found: str) -> None:
    (one,) = check_text(f"Some words.\n\nIt is {found} here.", "page.md")
    assert one.found == found
    assert one.line == 3
    assert "page.md:3" in str(one)


@pytest.mark.parametrize(
    "text",
    [
        "It took {{ entry.wall.median | seconds }}.",
        "{% if x > 3 %} s {% endif %}",
        "Stringer says 182.5 s {cite:p}`stringer2021`.",
        "`sleep 3 s` waits.",
        "```sh\nsleep 3 s\n```",
        "~~~\n3 s\n~~~",
        "[a page](3-s.md) and <https://example.org/3 s>",
        "Python 3.11 or 3.12, version 0.5, in 2022, section 3.",
        "CC BY 4.0; step 3 of 5; uint16; UTF-8",
        "three times faster, in two minutes",
        "```{figure} x.png\n:width: 100%\n:alt: A cell\n```",
    ],
)
def test_bound_cited_code_and_plain_numbers_pass(text: str) -> None:
    assert check_text(text, "page.md") == []


def test_a_directive_with_words_is_prose_and_what_follows_it_too() -> None:
    text = (
        "```{note}\nIt took 3 s.\n```\n\nAnd 4 s.\n\n````{code-block} sh\n```\n5 s\n````\n\n6 s\n"
    )
    assert [one.found for one in check_text(text, "page.md")] == ["3 s", "4 s", "6 s"]


def test_alternative_text_is_prose() -> None:
    text = "```{figure} x.png\n:width: 50%\n:alt: A bar of 3 s\n```"
    assert [one.found for one in check_text(text, "page.md")] == ["3 s"]


def test_a_citation_stands_behind_its_own_paragraph_only() -> None:
    text = "As in {cite:p}`stringer2021`, 3 s.\n\nAnd 4 s."
    assert [one.found for one in check_text(text, "page.md")] == ["4 s"]


def test_notebooks_are_read_cell_by_cell(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["It took ", "3 s."]},
        {"cell_type": "code", "source": "wait = '4 s'"},
    ]
    (tmp_path / "one.ipynb").write_text(json.dumps({"cells": cells}))
    assert [one.found for one in check_folder(tmp_path)] == ["3 s"]


def test_every_number_of_this_book_is_bound() -> None:
    check_numbers(ROOT)


def test_an_unbound_number_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "README.md").write_text("fine")
    (tmp_path / "notebooks" / "page.md").write_text("It took 3 s.")
    with pytest.raises(BookError, match=r"page\.md:1: '3 s'.*bind each"):
        check_numbers(tmp_path)


def test_what_is_written_from_records_is_bound_and_the_rest_of_the_page_is_not(
    tmp_path: Path,
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "It took 1 s.\n\n<!-- headline: written by `make readme`, do not edit -->\n\n| 3 s |\n\n"
        "<!-- /headline -->\n\nIt took 2 s.\n",
        encoding="utf-8",
    )
    assert [(one.line, one.found) for one in check_folder(tmp_path)] == [(1, "1 s"), (9, "2 s")]
