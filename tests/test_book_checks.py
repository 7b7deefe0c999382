"""The checks of a built site see what they promise to see."""

from pathlib import Path

import pytest

from tbscale.book.build import check_built, find_repository
from tbscale.book.checks import check_site, css_loads
from tbscale.errors import BookError


def problems(folder: Path, body: str, **others: str) -> list[str]:
    (folder / "index.html").write_text(f"<html><body>{body}</body></html>")
    for name, text in others.items():
        (folder / name.replace("_html", ".html").replace("_css", ".css")).write_text(text)
    return [str(one) for one in check_site(folder)]


@pytest.mark.parametrize(
    "body",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<script src="//cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="https://fonts.example/css">',
        '<link rel="preconnect" href="https://fonts.example">',
        '<img src="http://example/x.png" alt="x">',
        '<iframe src="https://example"></iframe>',
        '<p style="background: url(https://example/x.png)">x</p>',
        '<style>@import "https://example/x.css";</style>',
        '<style>a { background: url("https://example/x.png") }</style>',
    ],
)
def test_what_asks_another_host_is_found(tmp_path: Path, body: str) -> None:
    (found,) = problems(tmp_path, body)
    assert "asks another host" in found
    assert found.startswith("index.html: ")


def test_a_script_that_names_a_host_is_found(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, '<script>load("https://unpkg.example/thebe.js")</script>')
    assert "names another host" in found


def test_a_style_sheet_that_asks_is_found(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "", x_css="@font-face { src: url(https://fonts.example/f) }")
    assert found == "x.css: asks another host for https://fonts.example/f"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<a href="none.html">x</a>', "there is no such file"),
        ('<a href="other.html#nowhere">x</a>', "that page has no nowhere"),
        ('<a href="#nowhere">x</a>', "that page has no nowhere"),
        ('<a href="../above.html">x</a>', "outside the site"),
        ('<a href="file:///home/me/x.html">x</a>', "a path of one machine"),
        ('<script src="none.js"></script>', "there is no such file"),
        ('<img src="none.svg" alt="x">', "there is no such file"),
        ('<img src="other.html">', "without alternative text"),
        ('<img src="other.html" alt=" ">', "without alternative text"),
    ],
)
def test_what_leads_nowhere_or_says_nothing_is_found(tmp_path: Path, body: str, said: str) -> None:
    (found,) = problems(tmp_path, body, other_html='<p id="here">x</p>')
    assert said in found


def test_what_is_fine_passes(tmp_path: Path) -> None:
    body = (
        '<a href="https://doi.org/10.1">a reader may click</a> <a href="mailto:a@b.c">x</a>'
        '<a href="other.html?q=1#he%20re">x</a> <a href="#">top</a> <a href=".">x</a>'
        '<img src="data:image/png;base64,aGk=" alt="x"> <link rel="canonical" href="https://x">'
        '<script type="application/ld+json">{"@context": "https://schema.org"}</script>'
        '<p style="background: url(data:image/png;base64,aGk=)">x</p>'
    )
    assert problems(tmp_path, body, other_html='<p id="he re">x</p>') == []


def test_css_loads_are_addresses() -> None:
    css = "a{background:url( 'a.png' )} @import \"b.css\"; b{mask:url(#c)} c{src:url(d.woff2)}"
    assert css_loads(css) == ["a.png", "b.css", "d.woff2"]


def test_an_empty_site_is_no_book(tmp_path: Path) -> None:
    with pytest.raises(BookError, match="build the book first"):
        check_built(tmp_path)


def test_outside_a_clone_it_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(BookError, match="inside a clone"):
        find_repository(tmp_path)
