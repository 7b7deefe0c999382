"""What a page may say: the words of its template, bound to records.

Every page of the book, written by hand or generated, is a Jinja template over one `PageContext`.
An unknown name is an error, so that a page cannot lose a number silently.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tbscale import __version__
from tbscale.bench.quantities import scope_of
from tbscale.book import (
    api_reference,
    bibtex,
    data_tables,
    facts,
    figures,
    formats,
    instruments,
    model_card,
    status,
    tables,
)
from tbscale.book.drawing import Drawing
from tbscale.book.freshness import age_badge, age_in_words
from tbscale.book.guidelines import registry
from tbscale.book.guidelines.words import Guide, index_table
from tbscale.book.markdown import badge
from tbscale.book.questions import (
    bottleneck,
    channels,
    files,
    growth,
    measures,
    network,
    properties,
    settings,
    speedup,
    step_costs,
    traps,
    trust,
)
from tbscale.book.questions import will_it_fit as fit
from tbscale.book.shelf import Entry, ProfileSet, Shelf

DRAWERS: dict[str, Callable[[Entry], Drawing]] = {
    "steps": figures.steps_drawing,
    "memory": figures.memory_drawing,
    "scores": model_card.scores_drawing,
}
MODULES: dict[str, object] = {
    "tables": tables,
    "instruments": instruments,
    "status": status,
    "facts": facts,
    "model_card": model_card,
    "data_tables": data_tables,
    "bottleneck": bottleneck,
    "channels": channels,
    "growth": growth,
    "properties": properties,
    "settings": settings,
    "network": network,
    "files": files,
    "measures": measures,
    "step_costs": step_costs,
    "speedup": speedup,
    "traps": traps,
    "trust": trust,
    "fit": fit,
}
ORIGINS = {
    frozenset(["real"]): "",
    frozenset(["stand-in"]): "On a stand-in. ",
    frozenset(["real", "stand-in"]): "On real images and on stand-ins, as marked. ",
}
FILTERS = {
    "seconds": formats.seconds,
    "memory": formats.memory,
    "count": formats.count,
    "share": formats.share,
    "ratio": formats.ratio,
    "shape": formats.shape,
}


@dataclass
class PageContext:
    """The records and helpers that one page sees, and the drawings it asked for.

    `page` is the page's path in the book without a suffix, such as `profiles/x`; links are made
    relative to it.
    """

    shelf: Shelf
    page: str
    base_url: str = ""
    drawings: list[Drawing] = field(default_factory=list)

    @property
    def root(self) -> str:
        """The way from this page to the top of the book: empty, or `../` once or more."""
        return "../" * self.page.count("/")

    def names(self) -> dict[str, object]:
        """The names that a template may use."""
        return {
            **MODULES,
            "shelf": self.shelf,
            "root": self.root,
            "version": __version__,
            "profile": self.shelf.profile,
            "scope_of": scope_of,
            "link": self.link,
            "source": self.source,
            "figure": self.figure,
            "headline": self.headline,
            "still_open": self.still_open,
            "machines_table": self.machines_table,
            "records_table": self.records_table,
            "book_bibtex": self.book_bibtex,
            "record_bibtex": self.record_bibtex,
            "badges": self.badges,
            "all_guidelines": registry.GUIDELINES,
            "reference": api_reference.reference,
            "drawing": self.drawing,
            "guideline": self.guideline,
            "guidelines_table": self.guidelines_table,
        }

    def link(self, entry: Entry, words: str = "") -> str:
        """A link to a record's permanent page."""
        return f"[{words or 'record ' + entry.address}]({self.root}records/{entry.address}.md)"

    def source(self, entry: Entry) -> str:
        """A link to a record, and the machine that it was measured on."""
        return f"{self.link(entry)}, measured on {tables.machine_text(entry.record.machine)}"

    def headline(self) -> str:
        """The headline tables over all whole planes, or a sentence where there is no record."""
        if not self.shelf.headline():
            return "*No record has been measured yet: run `make book`.*"
        return tables.headline_tables(self.shelf, self.root)

    def still_open(self, experiment: str) -> str:
        """What follows a question whose experiment no record answers; nothing where one does."""
        return "" if self.shelf.newest_of(experiment) else " *(not measured yet)*"

    def machines_table(self, one: ProfileSet) -> str:
        """The current records of a set beside each other."""
        return tables.machines_table(one, self.root)

    def records_table(self) -> str:
        """All records, newest first."""
        return tables.records_table(reversed(self.shelf.entries), self.root)

    def record_bibtex(self, entry: Entry) -> str:
        """BibTeX of a record."""
        return bibtex.record_bibtex(entry, self.base_url)

    def book_bibtex(self) -> str:
        """BibTeX of the book, dated by its newest record (or the day of the first release)."""
        years = [entry.record.created.year for entry in self.shelf.entries]
        return bibtex.book_bibtex(max(years, default=bibtex.FIRST_YEAR), self.base_url)

    def badges(self, entry: Entry) -> str:
        """Labels of a record: stand-in or real, unpublished, other code than this."""
        labels = [tables.origin_badge(entry.record)]
        if not entry.published:
            labels.append(badge("measured here, not published", "local"))
        if entry.record.code.dirty:
            labels.append(badge("uncommitted changes", "stale"))
        measured_by = entry.record.software.get("tbscale", __version__)
        if measured_by != __version__:
            labels.append(badge(f"measured with tbscale {measured_by}", "stale"))
        labels.append(age_badge(entry))
        return " ".join(filter(None, labels))

    def figure(self, kind: str, entry: Entry, caption: str) -> str:
        """A figure in both colour schemes, with alternative text, its data and its record.

        `kind` is a key of `DRAWERS`; `caption` is plain words.
        """
        return self.drawing(DRAWERS[kind](entry), caption, [entry])

    def guideline(self, key: str) -> Guide:
        """What the page of a guideline says by itself."""
        return Guide(registry.guideline(key), self.shelf, self.root, self.base_url, self.drawing)

    def guidelines_table(self) -> str:
        """All guidelines with their verdicts."""
        return index_table(registry.GUIDELINES, self.shelf, self.root)

    def drawing(self, drawing: Drawing, caption: str, entries: Sequence[Entry]) -> str:
        """A drawing of one or more records; see `figure`."""
        self.drawings.append(drawing)
        base = f"{self.root}figures/{drawing.name}"
        alt = html.escape(drawing.alt, quote=True)
        records = ", ".join(
            f'<a href="{self.root}records/{entry.address}.html">record {entry.address}</a>'
            + (f" ({words})" if (words := age_in_words(entry)) else "")
            for entry in entries
        )
        origin = ORIGINS[frozenset(entry.record.dataset.origin for entry in entries)]
        return "\n".join(
            [
                '<figure class="tb-figure">',
                f'<img class="tb-light" src="{base}.svg" alt="{alt}" loading="lazy">',
                f'<img class="tb-dark" src="{base}-dark.svg" alt="{alt}" loading="lazy">',
                f"<figcaption>{html.escape(caption)}",
                f'<span class="tb-source">{origin}<a href="{base}.csv" download>Data (CSV)</a>, '
                f'<a href="{base}.svg" download>figure (SVG)</a>, from {records}.</span>',
                "</figcaption>",
                "</figure>",
            ]
        )
