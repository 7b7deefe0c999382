"""Pages, tables, figures and citations: everything they say comes from a record."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from book_entry import Json, an_entry
from matplotlib.image import imread
from pybtex.database import parse_string

from tbscale.book import facts, formats, tables
from tbscale.book.bibtex import book_bibtex, record_bibtex
from tbscale.book.context import PageContext
from tbscale.book.figures import memory_drawing, steps_drawing
from tbscale.book.loading import make_shelf
from tbscale.book.pages import Binder, Tree, generated_template, new_environment
from tbscale.book.picture import draw_picture
from tbscale.book.shelf import Entry, Shelf
from tbscale.errors import BookError
from tbscale.steps import STEPS


def bound(shelf: Shelf, template: str, page: str = "page") -> str:
    return Binder(shelf, "", Tree(), new_environment()).bind(page, template)


def profile_page(entry: Entry) -> str:
    shelf = make_shelf([entry])
    (one,) = shelf.profile_sets
    binder = Binder(shelf, "", Tree(), new_environment())
    return binder.bind(f"profiles/{one.slug}", generated_template("profile"), set=one)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0001, "<0.001 s"),
        (0.25, "0.25 s"),
        (9.999, "10.0 s"),
        (99.97, "100 s"),
        (5400, "5,400 s"),
    ],
)
def test_seconds_have_three_digits(value: float, said: str) -> None:
    assert formats.seconds(value).replace(formats.NBSP, " ") == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1024, "1.00 KiB"), (1023 * 1024, "1.00 MiB"),
     (8.7e9, "8.10 GiB"), (63e9, "58.7 GiB")],
)  # fmt: skip
def test_memory_has_the_largest_unit_below_it(value: float, said: str) -> None:
    assert formats.memory(value).replace(formats.NBSP, " ") == said


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0 %"), (0.0001, "<0.1 %"), (0.0494, "4.9 %"), (0.0998, "10 %")]
)
def test_shares_are_per_cent(value: float, said: str) -> None:
    assert formats.share(value).replace(formats.NBSP, " ") == said


def test_changing_one_figure_of_a_record_changes_text_table_and_figure() -> None:
    def slower(document: Json) -> None:
        for repeat in document["passes"][0]["repeats"]:
            repeat["wall_s"] += 100
            repeat["steps"]["follow"] += 100
        for other in document["passes"][1:]:
            first = document["passes"][0]["repeats"][0]["wall_s"]
            other["overhead_ratio"] = other["repeats"][0]["wall_s"] / first

    before, after = an_entry(), an_entry(slower)
    assert f"{formats.seconds(1.0)} in all, most of it in network" in profile_page(before)
    assert f"{formats.seconds(101.0)} in all, most of it in follow" in profile_page(after)
    assert tables.steps_table(before) != tables.steps_table(after)
    assert steps_drawing(before).light_svg != steps_drawing(after).light_svg
    assert steps_drawing(before).alt != steps_drawing(after).alt


def test_the_steps_table_adds_up_to_the_whole_run() -> None:
    entry = an_entry()
    shares = sum(entry.step_share(step) for step in entry.steps)
    uncharged = entry.typical_repeat().uncharged_s / entry.wall.median
    assert shares + uncharged == pytest.approx(1.0, abs=0.03)
    table = tables.steps_table(entry)
    assert all(f"`{step}`" in table for step in entry.steps)
    assert "*no step*" in table


@pytest.mark.parametrize("draw", [steps_drawing, memory_drawing])
def test_a_figure_is_the_same_bytes_twice_and_says_what_it_shows(draw: Any) -> None:
    one, two = draw(an_entry()), draw(an_entry())
    assert one == two
    assert one.light_svg != one.dark_svg
    assert "exemplar-001" in one.alt
    assert "stand-in" in one.alt
    assert one.csv.count("\n") > 3
    for text in (one.light_svg, one.dark_svg):
        assert ET.fromstring(text).tag.endswith("svg")
        assert "http://" not in text.replace("http://www.w3.org", "").replace(
            "http://purl.org", ""
        ).replace("http://creativecommons.org", "")


def test_a_memory_figure_without_samples_is_drawn() -> None:
    def unsampled(document: Json) -> None:
        for repeat in document["passes"][0]["repeats"]:
            repeat.update(rss_time_s=[], rss_bytes=[], step_peak_rss_bytes={})

    assert "no single step" in memory_drawing(an_entry(unsampled)).alt


def test_every_step_has_a_colour() -> None:
    from tbscale.book.figures import STEP_KIND

    assert set(STEP_KIND) == set(STEPS)


def test_a_run_that_did_not_complete_has_its_page() -> None:
    def killed(document: Json) -> None:
        document["passes"] = document["passes"][:1]
        document["passes"][0].update(ended="out_of_memory", ended_detail="killed", repeats=[])
        document["result"] = None

    page = profile_page(an_entry(killed))
    assert "It ended: out of memory" in page
    assert "ended: out of memory" in page
    assert "Where the time goes" not in page


def test_a_page_with_an_unknown_name_is_refused() -> None:
    with pytest.raises(BookError, match=r"page page cannot be bound.*wal"):
        bound(make_shelf([]), "It took {{ wal }}.")
    with pytest.raises(BookError, match="line 2"):
        bound(make_shelf([]), "one\n{% if %}\n")


def test_a_page_may_say_that_there_is_no_record_yet() -> None:
    assert "No record" in bound(make_shelf([]), "{{ headline() }}")


def test_bibtex_is_read_by_a_parser_and_names_the_record() -> None:
    entry = an_entry(lambda document: document["dataset"].update(name="odd_name"))
    text = record_bibtex(entry, "https://example.org/book/")
    (parsed,) = parse_string(text, "bibtex").entries.values()
    assert entry.record.id in parsed.fields["note"]
    assert parsed.fields["url"] == f"https://example.org/book/records/{entry.address}.html"
    assert "odd\\_name" in parsed.fields["title"]
    assert parsed.fields["year"] == "2026"
    assert "url" not in record_bibtex(entry)
    assert "tbscale" in parse_string(book_bibtex(2026), "bibtex").entries


def test_words_from_a_record_cannot_become_markup() -> None:
    sly = an_entry(
        lambda document: document["machine"]["cpu"].update(model="A|B <script>x</script> `c`")
    )
    line = tables.records_table([sly], "").splitlines()[-1]
    assert line.replace("\\|", "").count("|") == 7
    assert "\\<script>" in line
    for pairs in (facts.machine_facts(sly.record.machine), facts.dataset_facts(sly.record)):
        assert all(isinstance(value, str) for _, value in pairs)


def test_badges_say_stand_in_stale_and_unpublished() -> None:
    def old(document: Json) -> None:
        document["software"]["tbscale"] = "0.0.1"
        document["code"]["dirty"] = True

    entry = an_entry(old, published=False)
    labels = PageContext(make_shelf([entry]), "page").badges(entry)
    for words in ("stand-in", "not published", "uncommitted changes", "tbscale 0.0.1"):
        assert words in labels


def test_links_lead_from_any_depth() -> None:
    entry = an_entry()
    shelf = make_shelf([entry])
    assert f"](records/{entry.address}.md)" in PageContext(shelf, "page").link(entry)
    assert f"](../../records/{entry.address}.md)" in PageContext(shelf, "a/b/c").link(entry)


def test_the_picture_shows_a_piece_twice_once_with_outlines(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 1000, (64, 80)).astype(np.uint16)
    labels = np.zeros((64, 80), np.uint32)
    labels[20:40, 30:50] = 7
    tifffile.imwrite(tmp_path / "image.tif", image)
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    out = tmp_path / "picture.png"
    draw_picture(tmp_path / "image.tif", tmp_path / "labels.tif", out, (10, 60, 20, 70))
    left, right = np.split(imread(out)[..., :3], [100], axis=1)
    assert left.shape == (100, 100, 3)
    assert right.shape == (100, 106, 3)
    differing = (left != right[:, 6:]).any(axis=2)[::2, ::2]
    expected = np.zeros((50, 50), bool)
    expected[10:30, 10:30] = True
    expected[11:29, 11:29] = False
    assert (differing == expected).all()
