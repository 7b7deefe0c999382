"""Guidelines: predicates that can flip, evidence that must exist, pages bound to records."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from book_entry import Json
from made_up_experiments import experiment_record

from tbscale.bench.records import seal
from tbscale.book.guidelines import chart
from tbscale.book.guidelines.model import Claim, Guideline
from tbscale.book.guidelines.registry import GUIDELINES, guideline
from tbscale.book.guidelines.series import Span, ratio, rounds_of, value
from tbscale.book.guidelines.verdicts import check_evidence, evaluate, in_words
from tbscale.book.loading import load_shelf, make_shelf
from tbscale.book.pages import Binder, Tree, new_environment
from tbscale.book.shelf import Entry, Shelf
from tbscale.errors import BookError

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "notebooks" / "guidelines"
FEWEST = 16
PARTS = (
    "Why",
    "When it counts as true",
    "Evidence",
    "Do",
    "Don't",
    "When it does not hold",
    "Beyond Cellpose",
    "Who met it",
    "How to cite",
)


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return load_shelf(ROOT / "results")


def page_of(one: Guideline, shelf: Shelf) -> str:
    page = f"guidelines/{one.slug}"
    source = (PAGES / f"{one.slug}.md").read_text(encoding="utf-8")
    return Binder(shelf, "", Tree(), new_environment()).bind(page, source)


def changed(shelf: Shelf, key: str, change: Callable[[Json], None]) -> Shelf:
    """The shelf with each record that a guideline rests on copied, changed, and sealed again."""
    used = {f.entry.record.id for one in evaluate(guideline(key), shelf) for f in one.findings}

    def copied(entry: Entry) -> Entry:
        document = json.loads(entry.record.model_dump_json())
        change(document)
        return Entry(seal(document), entry.published)

    return make_shelf([copied(e) if e.record.id in used else e for e in shelf.entries])


def test_there_are_enough_and_their_keys_count_up() -> None:
    assert len(GUIDELINES) >= FEWEST
    assert [one.key for one in GUIDELINES] == [f"g{k + 1:02d}" for k in range(len(GUIDELINES))]
    assert all(one.claims and one.rule.endswith(".") and one.falsified for one in GUIDELINES)


def test_every_guideline_has_its_page_and_no_page_is_without_one() -> None:
    pages = {path.stem for path in PAGES.glob("g*.md")}
    assert pages == {one.slug for one in GUIDELINES}


@pytest.mark.parametrize("one", GUIDELINES, ids=lambda one: one.key)
def test_a_page_has_every_part(one: Guideline) -> None:
    text = (PAGES / f"{one.slug}.md").read_text(encoding="utf-8")
    assert f"# {one.title}\n" in text
    for part in PARTS:
        assert f"\n## {part}\n" in text, part
    for bound in ("opening()", "figure(", "table()", "predicate()", "citation()"):
        assert f"guide.{bound}" in text, bound


@pytest.mark.parametrize("one", GUIDELINES, ids=lambda one: one.key)
def test_the_committed_records_carry_the_evidence(one: Guideline, shelf: Shelf) -> None:
    assert evaluate(one, shelf)
    page = page_of(one, shelf)
    assert in_words(evaluate(one, shelf)) in page
    assert "<figure" in page


def test_a_guideline_without_evidence_stops_the_build(shelf: Shelf) -> None:
    check_evidence(GUIDELINES, shelf)
    profiles = make_shelf([one for one in shelf.entries if one.record.passes])
    with pytest.raises(BookError, match=r"no record carries.*g01-read-only-what-you-use"):
        check_evidence(GUIDELINES, profiles)


def test_changing_one_figure_of_a_record_flips_the_predicate(shelf: Shelf) -> None:
    def no_gain(document: Json) -> None:
        for one in document["measures"]:
            if one["name"] == "follow.steps":
                one["value"] = 1000.0

    one = guideline("g08")
    other = changed(shelf, "g08", no_gain)
    (before, *_), (after, *_) = evaluate(one, shelf), evaluate(one, other)
    assert before.holds
    assert not after.holds
    old, new = page_of(one, shelf), page_of(one, other)
    assert "fails:" in new
    assert "fails:" not in old
    assert "off by 50" in new
    table = next(line for line in new.splitlines() if line.startswith("| exemplar-001"))
    assert "1.00" in table
    assert "**no**" in table
    assert table not in old


@pytest.mark.parametrize(("own", "plane", "holds"), [(3.0, 2.0, True), (2.0, 2.0, False)])
def test_cells_in_glass_count_beyond_those_of_the_plane(
    shelf: Shelf, own: float, plane: float, holds: bool
) -> None:
    def found(document: Json) -> None:
        for one in document["measures"]:
            if one["name"] == "limits.cells":
                one["value"] = own if one["subject"].endswith("own limits") else plane

    assert evaluate(guideline("g13"), changed(shelf, "g13", found))[0].holds == holds


def test_changing_a_time_changes_text_table_and_figure(shelf: Shelf) -> None:
    def slower(document: Json) -> None:
        for one in document["measures"]:
            if one["subject"].startswith("one pixel at a time, to the fixed point#"):
                one["value"] *= 100

    one = guideline("g08")
    other = changed(shelf, "g08", slower)
    old, new = page_of(one, shelf), page_of(one, other)
    sentence = "Stopping is "
    assert old.split(sentence)[1][:20] != new.split(sentence)[1][:20]
    drawings = [chart.draw(one, evaluate(one, s)[0].findings) for s in (shelf, other)]
    assert drawings[0].light_svg != drawings[1].light_svg
    assert drawings[0].csv != drawings[1].csv
    assert drawings[0].alt != drawings[1].alt


def test_a_machine_fails_where_one_of_its_records_fails(shelf: Shelf) -> None:
    strict = Guideline(
        "g99", "never", "Never.", (Claim("x", lambda record: Span(1, 1, 1), "at least", 2.0),), ""
    )
    verdicts = evaluate(strict, shelf)
    assert verdicts
    assert not any(one.holds for one in verdicts)
    assert in_words(verdicts).startswith(f"holds on 0 of {len(verdicts)} machine")
    (words,) = verdicts[0].findings[0].failures()
    assert "wanted at least 2.00" in words


def test_two_machines_are_counted_apart(shelf: Shelf) -> None:
    entry = shelf.of_experiment("guidelines")[0]
    document = json.loads(entry.record.model_dump_json())
    document["machine"]["cpu"]["model"] = "Imaginary CPU 9000"
    both = make_shelf([*shelf.entries, Entry(seal(document))])
    assert len(evaluate(guideline("g08"), both)) == 1 + len(evaluate(guideline("g08"), shelf))


def test_rounds_are_paired_and_missing_ones_are_said(shelf: Shelf) -> None:
    record = shelf.of_experiment("guidelines")[0].record
    rounds = rounds_of(record, "copies.time")
    assert {len(one) for one in rounds.values()} == {5}
    assert value("copies.time", "nothing of the kind")(record) is None
    assert ratio("copies.time", "in place", "nothing of the kind")(record) is None
    span = ratio("copies.time", "in place", "in place")(record)
    assert span == Span(1.0, 1.0, 1.0)


def test_a_rule_about_an_instruction_is_evaluated_only_where_the_cpu_has_it() -> None:
    record = experiment_record("network")
    spans = guideline("g22").read(record)
    assert spans is not None
    assert len(spans) == 3
    document = json.loads(record.model_dump_json())
    document["machine"]["cpu"]["flags"].remove("avx512_bf16")
    assert guideline("g22").read(seal(document)) is None
