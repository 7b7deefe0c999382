"""Pages, tables, figures and citations: everything they say comes from a record."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from made_up import made_up_document
from matplotlib.image import imread
from pybtex.database import parse_string

from tbscale.bench.records import save_record, seal
from tbscale.bench.template import MAX_BYTES
from tbscale.book import facts, formats, tables
from tbscale.book.bibtex import book_bibtex, record_bibtex
from tbscale.book.context import PageContext
from tbscale.book.executed import executed_page
from tbscale.book.figures import memory_drawing, steps_drawing
from tbscale.book.pages import Binder, Tree, expand_toc, generated_template, new_environment
from tbscale.book.picture import draw_picture
from tbscale.book.readme import BEGIN, END, headline_markdown, with_headline
from tbscale.book.shelf import Entry, Shelf, load_shelf, make_shelf
from tbscale.errors import BookError, RecordError
from tbscale.steps import STEPS

Json = dict[str, Any]


def an_entry(
    change: Callable[[Json], None] = lambda document: None, published: bool = True
) -> Entry:
    document = made_up_document()
    document["dataset"].update(name="exemplar-001", shape=[3138, 2509], channels=12)
    change(document)
    return Entry(seal(document), published)


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


def test_a_crop_is_not_pooled_with_its_plane() -> None:
    crop = an_entry(lambda document: document["dataset"].update(crop=[0, 256, 0, 256]))
    shelf = make_shelf([an_entry(), crop])
    assert [one.slug for one in shelf.profile_sets] == [
        "exemplar-001-stand-in-crop-0-256-0-256-stock",
        "exemplar-001-stand-in-stock",
    ]


def test_a_newer_record_replaces_the_older_of_the_same_machine() -> None:
    older = an_entry()
    newer = an_entry(lambda document: document.update(created="2026-12-01"))
    other = an_entry(lambda document: document["machine"]["cpu"].update(model="Other"))
    (one,) = make_shelf([newer, older, other]).profile_sets
    assert one.leading is newer
    assert {entry.record.id for entry in one.current} == {newer.record.id, other.record.id}


def test_what_was_measured_here_is_shown_beside_and_said() -> None:
    here = an_entry(lambda document: document.update(created="2026-12-01"), published=False)
    shelf = make_shelf([an_entry(), here])
    (one,) = shelf.profile_sets
    assert one.leading.published
    assert one.shown == (one.leading, here)
    assert tables.headline_table([one], "").count("measured here") == 1
    binder = Binder(shelf, "", Tree(), new_environment())
    page = binder.bind("profiles/x", generated_template("profile"), set=one)
    assert "## The same, measured here" in page


def test_records_on_disk_keep_their_bytes_and_their_notebook(tmp_path: Path) -> None:
    published, mine = tmp_path / "results", tmp_path / "mine"
    path = save_record(an_entry().record, published)
    save_record(an_entry().record, mine)  # the same record twice is one
    path.with_suffix(".ipynb").write_text("{}")
    shelf = load_shelf(published, [mine])
    (entry,) = shelf.entries
    assert entry.published
    assert entry.raw_json() == path.read_bytes()
    assert entry.notebook == path.with_suffix(".ipynb")


def test_an_edited_record_stops_the_build(tmp_path: Path) -> None:
    path = save_record(an_entry().record, tmp_path)
    path.write_text(path.read_text().replace('"cells": 40', '"cells": 41'))
    with pytest.raises(RecordError, match="changed after it was sealed"):
        load_shelf(tmp_path)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no folder of records"):
        load_shelf(tmp_path / "none")


def test_a_page_with_an_unknown_name_is_refused() -> None:
    with pytest.raises(BookError, match=r"page page cannot be bound.*wal"):
        bound(make_shelf([]), "It took {{ wal }}.")
    with pytest.raises(BookError, match="line 2"):
        bound(make_shelf([]), "one\n{% if %}\n")


def test_a_page_may_say_that_there_is_no_record_yet() -> None:
    assert "No record" in bound(make_shelf([]), "{{ headline() }}")


def test_two_pages_cannot_want_one_path() -> None:
    tree = Tree()
    tree.add("a.md", "one")
    tree.add("a.md", "one")
    with pytest.raises(BookError, match=r"a\.md"):
        tree.add("a.md", "two")


def test_a_tree_writes_what_changed_and_removes_the_rest(tmp_path: Path) -> None:
    first, second = Tree(), Tree()
    first.content = {"a.md": b"a", "b/c.md": b"c", "b/d.md": b"d"}
    second.content = {"a.md": b"a", "b/c.md": b"new"}
    assert first.write(tmp_path) == {"a.md", "b/c.md", "b/d.md"}
    assert second.write(tmp_path) == {"b/c.md", "b/d.md"}
    assert second.write(tmp_path) == set()
    assert not (tmp_path / "b/d.md").exists()


def test_a_glob_without_pages_leaves_no_empty_section() -> None:
    toc = {"chapters": [{"file": "p/index", "sections": [{"glob": "p/*"}, {"glob": "q/*"}]}]}
    assert expand_toc(toc, ["p/index"]) == {"chapters": [{"file": "p/index"}]}


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


def test_the_readme_table_lies_between_its_markers() -> None:
    table = headline_markdown(make_shelf([an_entry()]), Path())
    text = with_headline(f"top\n{BEGIN}\nold\n{END}\nbottom", table)
    assert text == f"top\n{BEGIN}\n\n{table}\n\n{END}\nbottom"
    assert "exemplar-001 (stand-in)" in table
    with pytest.raises(BookError, match="markers"):
        with_headline("nothing", table)


def a_notebook(**changes: Any) -> Json:
    image = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "aGk="}}
    log = {"output_type": "stream", "name": "stderr", "text": "50%"}
    return {
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": ["# Profile\n", "words"]},
            {"cell_type": "markdown", "metadata": {}, "source": "## Time by step"},
            {"cell_type": "code", "metadata": {"papermill": {"duration": 3}}, "source": "draw()",
             "outputs": [log, image], "execution_count": 1},
        ],
        "metadata": {"papermill": {"input_path": "/home/someone/x"}},
        "nbformat": 4, "nbformat_minor": 5, **changes,
    }  # fmt: skip


def kept(tmp_path: Path, text: str) -> Entry:
    path = save_record(an_entry().record, tmp_path)
    path.with_suffix(".ipynb").write_text(text)
    return load_shelf(tmp_path).entries[0]


def test_an_executed_notebook_keeps_results_and_loses_what_is_private(tmp_path: Path) -> None:
    page = json.loads(executed_page(kept(tmp_path, json.dumps(a_notebook()))))
    text = json.dumps(page)
    assert "someone" not in text
    assert "papermill" not in text
    assert page["cells"][0]["source"].startswith("# The run as executed: ")
    assert page["cells"][0]["source"].endswith("words")
    code = page["cells"][2]
    assert [output["output_type"] for output in code["outputs"]] == ["display_data"]
    assert "Time by step" in code["metadata"]["mystnb"]["image"]["alt"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("no", "not a notebook"), (" " * (MAX_BYTES + 1), "limit of a kept notebook")],
)
def test_a_file_that_cannot_be_a_page_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BookError, match=said):
        executed_page(kept(tmp_path, text))


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
