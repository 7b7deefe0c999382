"""Records on the shelf, the tree that jupyter-book reads, executed notebooks as pages."""

import json
from pathlib import Path
from typing import Any

import pytest
from book_entry import Json, an_entry

from tbscale.bench.records import save_record
from tbscale.bench.template import MAX_BYTES
from tbscale.book import tables
from tbscale.book.executed import executed_page
from tbscale.book.loading import load_shelf, make_shelf
from tbscale.book.pages import Binder, Tree, expand_toc, generated_template, new_environment
from tbscale.book.readme import BEGIN, END, headline_markdown, with_headline
from tbscale.book.shelf import Entry
from tbscale.errors import BookError, RecordError


def test_a_crop_is_not_pooled_with_its_plane() -> None:
    crop = an_entry(lambda document: document["dataset"].update(crop=[0, 256, 0, 256]))
    shelf = make_shelf([an_entry(), crop])
    assert [one.slug for one in shelf.profile_sets] == [
        "exemplar-001-stand-in-crop-0-256-0-256-stock",
        "exemplar-001-stand-in-stock",
    ]


def on_cuda(document: Json) -> None:
    document["parameters"]["device"] = "cuda"
    document["created"] = "2026-12-01"


def test_a_gpu_has_rows_and_pages_of_its_own() -> None:
    cpu, gpu = an_entry(), an_entry(on_cuda)
    shelf = make_shelf([cpu, gpu])
    assert [one.slug for one in shelf.profile_sets] == [
        "exemplar-001-stand-in-stock",
        "exemplar-001-stand-in-stock-cuda",
    ]
    assert shelf.profile("exemplar-001", "stock") is cpu
    assert shelf.headline() == (cpu, gpu)
    assert [one.ran for one in shelf.headline()] == ["stock", "stock on cuda"]
    assert tables.grade_of(cpu) == "reference"
    assert tables.grade_of(gpu) != "reference"
    assert shelf.on_accelerators() == (gpu,)


def with_labels(sha256: str, grade: str | None = None, reference: str | None = None) -> Any:
    def change(document: Json) -> None:
        document["engine"]["name"] = "tbscale-half"
        document["result"]["labels_sha256"] = sha256
        if grade:
            document["created"] = "2026-12-01"
            document["result"]["agreements"] = [
                {
                    "reference": "tbscale engine",
                    "reference_record": reference,
                    "grade": grade,
                    "cells": 3,
                    "reference_cells": 3,
                    "differing_share": 0.0,
                    "ap": {"0.5": 0.9, "0.75": 0.8, "0.9": 0.7},
                }
            ]

    return change


@pytest.mark.parametrize(
    ("grade", "sha256", "reference", "said"),
    [
        ("ap", "a" * 64, "b" * 64, "`ap`, 0.700 at IoU 0.9, beside `tbscale`"),
        ("bit", "a" * 64, "b" * 64, "not compared"),  # ids may differ where partitions are equal
        ("ap", "c" * 64, "b" * 64, "not compared"),  # of other labels
        ("ap", "a" * 64, None, "not compared"),  # with true labels
    ],
)
def test_labels_compared_once_are_compared_for_all_that_are_the_same(
    grade: str, sha256: str, reference: str | None, said: str
) -> None:
    alone, compared = (
        an_entry(with_labels("a" * 64)),
        an_entry(with_labels(sha256, grade, reference)),
    )
    shelf = make_shelf([compared, alone])
    found = next(one for one in shelf.entries if one.record.id == alone.record.id)
    assert tables.grade_of(found) == said
    assert tables.grade_of(alone) == "not compared"


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
    assert tables.headline_tables(shelf, "").count("measured here") == 1
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
