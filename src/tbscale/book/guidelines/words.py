"""What the page of a guideline says by itself: verdict, predicate, figure, tables, citation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tbscale.book import bibtex, formats, tables
from tbscale.book.drawing import Drawing
from tbscale.book.guidelines import chart
from tbscale.book.guidelines.model import Claim, Guideline
from tbscale.book.guidelines.series import Span, ratio, value
from tbscale.book.guidelines.verdicts import Finding, Verdict, evaluate, in_words
from tbscale.book.markdown import badge, cell, number, table, text
from tbscale.book.shelf import Entry, Shelf
from tbscale.errors import BookError

Place = Callable[[Drawing, str, Sequence[Entry]], str]


@dataclass(frozen=True)
class Guide:
    """One guideline as its page sees it.

    Attributes
    ----------
    root : the way from the page to the top of the book
    place : puts a drawing on the page
    """

    guideline: Guideline
    shelf: Shelf
    root: str
    base_url: str
    place: Place

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdict of every machine."""
        return evaluate(self.guideline, self.shelf)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What every record says, machine after machine."""
        return tuple(found for one in self.verdicts for found in one.findings)

    @property
    def verdict(self) -> str:
        """`holds on 1 of 1 machine, 4 of 4 records`."""
        return in_words(self.verdicts)

    def opening(self) -> str:
        """The rule, the verdict, and where it fails."""
        kind = "real" if all(one.holds for one in self.verdicts) else "stale"
        lines = [":::{div} lead", self.guideline.rule, ":::", "", badge(self.verdict, kind)]
        failed = [words for one in self.findings for words in one.failures()]
        lines += ["", *(f"- fails: {words}" for words in failed)] if failed else []
        return "\n".join(lines)

    def predicate(self) -> str:
        """The claims, in words, and what would falsify them."""
        rows = [
            f"{position}. {claim.what}: {claim.wanted()}"
            for position, claim in enumerate(self.guideline.claims, 1)
        ]
        head = "The guideline holds on a machine where, on every image measured there:"
        return "\n".join([head, "", *rows, "", self.guideline.falsified])

    def figure(self, caption: str) -> str:
        """The evidence of the machine with most records, in one figure."""
        if not self.verdicts:
            raise BookError(f"{self.guideline.slug} has no evidence to draw; measure it first")
        best = max(self.verdicts, key=lambda one: len(one.findings))
        machine = tables.machine_text(best.findings[0].entry.record.machine)
        entries = [one.entry for one in best.findings]
        drawing = chart.draw(self.guideline, best.findings)
        return self.place(drawing, f"{caption} {machine}.", entries)

    def table(self) -> str:
        """Every record on every machine: the number of each claim, its range, whether it holds."""
        claims = self.guideline.claims
        rows = [
            [
                f"{cell(chart.image_name(one))} {tables.origin_badge(one.entry.record)}",
                "yes" if one.holds else "**no**",
                *(_said(claim, span) for claim, span in zip(claims, one.spans, strict=True)),
                f"[{one.entry.address}]({self.root}records/{one.entry.address}.md)",
                cell(tables.machine_text(one.entry.record.machine)),
            ]
            for one in self.findings
        ]
        heads = [
            number(f"{position}: {claim.wanted()}") for position, claim in enumerate(claims, 1)
        ]
        columns = [text("image"), text("holds"), *heads, text("record"), text("machine")]
        return table(columns, rows)

    def number(self, claim: int = 0, image: str | None = None) -> str:
        """The median of one claim on one image, or its smallest to largest over all images."""
        what = self.guideline.claims[claim]
        values = [
            one.spans[claim].median
            for one in self.findings
            if image in (None, one.entry.record.dataset.name)
        ]
        if not values:
            raise BookError(f"{self.guideline.slug} was not measured on {image}; name another")
        return _low_to_high(what.say, values)

    def limit(self, claim: int = 0) -> str:
        """The limit of one claim, as it is written."""
        what = self.guideline.claims[claim]
        return what.say(what.limit)

    def measured(
        self, name: str, variant: str, image: str, say: Callable[[float], str] = formats.compact
    ) -> str:
        """The median of any measure on one image, where the guideline was evaluated or not."""
        for entry in reversed(self.shelf.of_experiment("guidelines")):
            if entry.record.dataset.name == image:
                found = value(name, variant)(entry.record)
                if found is not None:
                    return say(found.median)
        raise BookError(f"{image} has no measure {name} of {variant}; measure it first")

    def compared(self, name: str, over: str, under: str) -> str:
        """The ratio of two variants that no claim is about, smallest to largest over images."""
        spans = [ratio(name, over, under)(one.entry.record) for one in self.findings]
        medians = [span.median for span in spans if span is not None]
        if not medians:
            raise BookError(f"no record has {name} of {over} and {under}; measure it first")
        return _low_to_high(formats.ratio, medians)

    def steps(self, *names: str) -> str:
        """The time of named steps in the profiles of both engines, beside the whole run."""
        rows = []
        for one in self.shelf.profile_sets:
            entry = one.leading
            if one.crop is not None or not entry.completed:
                continue
            medians = [entry.steps[name].median if name in entry.steps else None for name in names]
            shown = [tables.DASH if m is None else formats.seconds(m) for m in medians]
            rows.append(
                [
                    f"[{cell(one.dataset)}]({self.root}profiles/{one.slug}.md) "
                    f"{tables.origin_badge(entry.record)}",
                    one.ran,
                    *shown,
                    formats.share(sum(entry.step_share(name) for name in names)),
                    formats.seconds(entry.wall.median),
                    cell(tables.machine_text(entry.record.machine)),
                ]
            )
        heads = [number(f"`{name}`") for name in names]
        columns = [text("image"), text("engine"), *heads]
        return table([*columns, number("share"), number("whole run"), text("machine")], rows)

    def citation(self) -> str:
        """BibTeX of the page, with the records it rests on."""
        return bibtex.guideline_bibtex(
            self.guideline.slug,
            self.guideline.title,
            [one.entry for one in self.findings],
            self.base_url,
        )


def _low_to_high(say: Callable[[float], str], values: Sequence[float]) -> str:
    low, high = say(min(values)), say(max(values))
    return low if low == high else f"{low} to {high}"


def _said(claim: Claim, span: Span) -> str:
    median = claim.say(span.median)
    if span.smallest == span.largest:
        return median
    spread = f"{claim.say(span.smallest)} to {claim.say(span.largest)}"
    return f"{median}<br><small>{spread}</small>"


def index_table(guidelines: Sequence[Guideline], shelf: Shelf, root: str) -> str:
    """All guidelines: link and rule, and the verdict over machines."""
    rows = []
    for one in guidelines:
        verdicts = evaluate(one, shelf)
        kind = "real" if all(verdict.holds for verdict in verdicts) else "stale"
        link = f"[{one.title}]({root}guidelines/{one.slug}.md)"
        short = in_words(verdicts).partition(",")[0]
        rows.append([f"{link}<br>{cell(one.rule)}", badge(short, kind)])
    return table([text("guideline"), text("verdict")], rows)
