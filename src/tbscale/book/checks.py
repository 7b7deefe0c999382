"""Check a built site: links that lead somewhere, no other host asked, every image described.

What counts as asking: anything a browser loads by itself (scripts, styles, fonts, images, frames).
A link that a reader may click is not asking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "audio": ("src",),
    "video": ("src", "poster"),
    "track": ("src",),
    "input": ("src",),
    "use": ("href", "xlink:href"),
}
LOADING_RELS = frozenset(
    [
        "stylesheet",
        "icon",
        "preload",
        "prefetch",
        "preconnect",
        "dns-prefetch",
        "modulepreload",
        "manifest",
    ]
)
REMOTE = re.compile(r"^\s*(?:https?:)?//", re.I)
CSS_LOAD = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", re.I)
ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:", re.I)
NOT_PAGES = ("_static/webpack-macros.html", "_static/sbt-webpack-macros.html")  # theme templates


@dataclass(frozen=True)
class Problem:
    """One broken promise of one file of the site."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass
class Page(HTMLParser):
    """What a page loads, where it links, what it can be linked at, images without words."""

    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    undescribed: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)
    _inside: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Sort the attributes of one tag into what they ask for."""
        values = {name: value or "" for name, value in attrs}
        self.anchors.update(values[name] for name in ("id", "name") if values.get(name))
        self.loads += [values[name] for name in LOADS.get(tag, ()) if values.get(name)]
        self.loads += css_loads(values.get("style", ""))
        if tag == "link" and set(values.get("rel", "").lower().split()) & LOADING_RELS:
            self.loads.append(values.get("href", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "img" and not values.get("alt", "").strip():
            self.undescribed.append(values.get("src", "an image"))
        is_code = tag == "script" and values.get("type", "") in ("", "module", "text/javascript")
        self._inside = tag if is_code or tag == "style" else ""

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or style."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """Keep the text of inline scripts; of inline styles, what they load."""
        if self._inside == "script":
            self.inline.append(data)
        elif self._inside == "style":
            self.loads += css_loads(data)


def css_loads(text: str) -> list[str]:
    """Addresses that a style sheet loads; data that it carries itself are not."""
    found = [first or second for first, second in CSS_LOAD.findall(text)]
    return [one for one in found if not one.startswith(("data:", "#"))]


def check_site(site: Path) -> list[Problem]:
    """Everything wrong with the site under a folder; an empty list where nothing is."""
    site = site.resolve()
    pages = {path: _parsed(path) for path in sorted(site.rglob("*.html"))}
    problems = [] if pages else [Problem(str(site), "holds no page; build the book first")]
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        if name not in NOT_PAGES:
            dead = partial(_dead, site, pages, path)
            problems += [Problem(name, what) for what in _page_problems(page, dead)]
    for path in sorted(site.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        asked = [one for one in css_loads(text) if REMOTE.match(one)]
        name = path.relative_to(site).as_posix()
        problems += [Problem(name, f"asks another host for {one}") for one in asked]
    return problems


def _parsed(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _page_problems(page: Page, dead: Callable[[str], str | None]) -> Iterator[str]:
    for load in page.loads:
        if REMOTE.match(load):
            yield f"asks another host for {load}"
        elif (why := dead(load)) is not None:
            yield f"loads {load}, and {why}"
    for text in page.inline:
        for address in re.findall(r"['\"`](https?://[^'\"`\s]+)", text):
            yield f"names another host in a script: {address}"
    for link in page.links:
        if not REMOTE.match(link) and (why := dead(link)) is not None:
            yield f"links to {link}, and {why}"
    for image in page.undescribed:
        yield f"shows {image} without alternative text"


def _dead(site: Path, pages: dict[Path, Page], path: Path, address: str) -> str | None:
    """What is missing at a local address, or None where it leads somewhere."""
    if ABSOLUTE.match(address):
        return "it is a path of one machine" if address.lower().startswith("file:") else None
    parts = urlsplit(address)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_relative_to(site):
        return "that is outside the site"
    if target.is_dir():
        target = target / "index.html"
    if not target.is_file():
        return "there is no such file"
    wanted = unquote(parts.fragment)
    if wanted and target in pages and wanted not in pages[target].anchors:
        return f"that page has no {wanted}"
    return None
