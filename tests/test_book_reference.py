"""Pages made from the package itself: functions, commands, status, instruments."""

from dataclasses import replace
from pathlib import Path

import pytest
import typer
from book_entry import an_entry

from tbscale.book import formats, instruments, status, tables
from tbscale.book.api_reference import arguments, entries, find, reference
from tbscale.book.guidelines.registry import GUIDELINES
from tbscale.book.loading import make_shelf
from tbscale.book.shelf import Entry
from tbscale.cli import app
from tbscale.cli.reference import BEGIN, END, PAGE, commands_markdown, update_page, with_commands
from tbscale.errors import BookError

ROOT = Path(__file__).parents[1]


def test_a_function_is_shown_with_what_it_takes_and_gives():
    text = reference("tbscale.segment", "api:segment")
    assert "segment(\n    image: str | Path,\n    out: str | Path,\n    *,\n" in text
    assert "    flow_threshold: float = 0.4,\n" in text
    assert "`flow_threshold`\n: largest flow error" in text
    assert "**Raises**\n\n`TbscaleError`\n: one sentence" in text
    assert "```pycon\n>>> import tempfile" in text


def test_a_class_is_shown_with_its_fields_and_methods():
    text = reference("tbscale.images.image.Image", "images.image:Image", ("plane",))
    assert "class Image:\n    path: Path\n" in text
    assert "### `Image.plane`\n\n```python\nplane(" in text
    assert "self" not in text.partition("### ")[2]


@pytest.mark.parametrize("home", ["api:gone", "errors:sentence"])
def test_a_name_that_is_gone_fails_the_build(home):
    with pytest.raises(BookError, match="is not defined; correct the page"):
        reference("x", home)


def test_defaults_that_hold_commas_stay_whole():
    node = find("engine.blocks", "widen")
    assert arguments(node) == ["region: Region", "halo_px: int", "plane_shape: tuple[int, int]"]


def test_a_continued_line_belongs_to_its_entry():
    assert entries("a : one\n    two\nb, c : x") == "`a`\n: one two\n\n`b`, `c`\n: x"


def test_the_page_of_commands_is_current():
    assert not update_page(ROOT, app, write=False), "run make readme"


def test_every_command_is_on_the_page():
    text = commands_markdown(app)
    for command in ("segment", "profile", "info", "report", "data stand-in", "record check"):
        assert f"## `tbscale {command}`" in text
    assert "| `--network NETWORK` | exact: the reference's arithmetic" in text
    assert "| `--restart/--resume` |" in text
    assert "| `IMAGE` | TIFF, OME-TIFF or OME-Zarr. | required |" in text


def test_a_new_option_makes_the_page_stale(tmp_path):
    other = typer.Typer()
    other.command(name="only")(lambda: None)
    (tmp_path / PAGE.parent).mkdir()
    (tmp_path / PAGE).write_text((ROOT / PAGE).read_text())
    assert update_page(tmp_path, other, write=True)
    assert not update_page(tmp_path, other, write=False)
    assert "tbscale segment" not in (tmp_path / PAGE).read_text().partition(BEGIN)[2]
    with pytest.raises(BookError, match="holds no markers"):
        with_commands(END, app)


def on(cpu, engine="stock", **changes):
    def change(document):
        document["machine"]["cpu"].update(model=cpu)
        document["engine"].update(name=engine)
        document.update(changes)

    return an_entry(change)


def test_an_image_is_spoken_for_by_one_machine():
    """A newer record of a machine that measured fewer engines does not come between."""
    both = [on("Both", engine) for engine in ("stock", "tbscale")]
    newer = on("Newer", created="2026-12-01")
    shelf = make_shelf([*both, newer])
    assert {entry.record.machine.cpu.model for entry in shelf.headline()} == {"Both"}
    assert len(shelf.headline()) == 2
    equal = make_shelf([both[0], newer])
    assert [entry.record.machine.cpu.model for entry in equal.headline()] == ["Newer"]
    elsewhere = make_shelf([both[0], on("Other", "tbscale", created="2026-12-01")])
    assert [entry.record.machine.cpu.model for entry in elsewhere.headline()] == ["Other"]
    here = on("Here", created="2026-12-01")
    shown = make_shelf([*both, Entry(here.record, published=False)]).headline()
    assert [entry.published for entry in shown] == [True, False, True]


def test_the_status_counts_records_of_each_machine():
    shelf = make_shelf([on("One"), on("One", "tbscale"), on("Two")])
    lines = status.machines_table(shelf, GUIDELINES).splitlines()
    assert len(lines) == 4
    assert [line.split(" | ")[2] for line in lines[2:]] == ["2", "1"]
    versions = status.versions_table(shelf)
    assert "| 3 |" in versions
    assert status.commits_table(shelf, "../").count("](../records/") == 3


def test_spread_and_overhead_follow_the_record():
    entry = an_entry()
    shelf = make_shelf([entry])
    assert instruments.spread_table(shelf, "").count("\n") == 2
    watched = [one for one in entry.record.passes if one.overhead_ratio is not None]
    assert {one.instrument for one in watched} == {"scalene", "line_profiler"}
    for one in watched:
        assert f"| {one.instrument} | {formats.ratio(one.overhead_ratio)} |" in (
            instruments.overhead_table(shelf, "")
        )

    def doubled(document):
        for repeat in document["passes"][0]["repeats"][-1:]:
            repeat["wall_s"] = 3 * repeat["wall_s"]
            repeat["uncharged_s"] += 2 * repeat["wall_s"] / 3

    assert instruments.spread_table(make_shelf([an_entry(doubled)]), "") != (
        instruments.spread_table(shelf, "")
    )


@pytest.mark.parametrize(
    "of_network",
    ["cellpose/resnet_torch.py", "tbscale/engine/network.py", "tbscale/engine/fastnet/network.py"],
)
def test_scalene_is_asked_about_the_lines_of_the_network_alone(of_network):
    scalene = an_entry().record.find_pass("scalene")
    assert scalene is not None
    assert scalene.scalene is not None
    line = scalene.scalene.lines[0]
    shares = {"python_share": 0.1, "native_share": 0.5, "system_share": 0.1}
    lines = [
        line.model_copy(update={"file": name, **shares})
        for name in (of_network, "cellpose/dynamics.py")
    ]
    table = scalene.scalene.model_copy(update={"lines": lines})
    assert instruments.network_share(scalene.model_copy(update={"scalene": table})) == (
        pytest.approx(0.7)
    )
    assert instruments.network_share(scalene.model_copy(update={"scalene": None})) is None


def test_a_headline_links_to_the_profile():
    shelf = make_shelf([an_entry()])
    assert "](profiles/exemplar-001-stand-in-stock.md)" in tables.headline_tables(shelf, "")
    assert replace(shelf, entries=()).headline() == ()


def test_the_headline_has_a_table_for_each_machine():
    def elsewhere(document):
        document["machine"]["cpu"].update(model="Other")
        document["dataset"].update(name="z")

    two = make_shelf([on("Both"), on("Both", "tbscale"), an_entry(elsewhere)])
    text = tables.headline_tables(two, "")
    parts = text.split("**")[1:]
    assert [part.partition(",")[0] for part in parts[::2]] == ["Both", "Other"]
    assert [part.count("](profiles/") for part in parts[1::2]] == [2, 1]
