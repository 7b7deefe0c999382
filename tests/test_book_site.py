"""Build the whole book once, from made-up records, and look at it as a reader would."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from browser import DESKTOP, PHONE, Browser, find_chromium
from made_up import made_up_document
from made_up_experiments import ROWS, experiment_record

from tbscale.bench.records import load_record, record_files, save_record, seal
from tbscale.book.build import build_book, run_jupyter_book
from tbscale.book.checks import check_site
from tbscale.book.guidelines.registry import GUIDELINES
from tbscale.errors import BookError

ROOT = Path(__file__).resolve().parents[1]
PROFILE = "profiles/exemplar-001-stand-in-stock.html"
AUDITED = (
    "index.html",
    PROFILE,
    "data.html",
    "rerun.html",
    "glossary.html",
    "guidelines/index.html",
    "guidelines/g08-stop-at-the-fixed-point.html",
    "questions/q2-growth.html",
    "questions/q4-settings.html",
    "will-it-fit.html",
    "segment.html",
    "method.html",
    "cli.html",
    "api.html",
    "status.html",
)
PAGE_LIMIT_BYTES = 1_000_000  # of a page without its figures


def guideline_records() -> list[Path]:
    """The committed records that the pages of the guidelines rest on."""
    paths = record_files(ROOT / "results")
    return [path for path in paths if load_record(path).experiment == "guidelines"]


def made_up_results(folder: Path) -> None:
    """Two machines on a stand-in, one real image, one executed notebook, and all experiments."""
    for path in guideline_records():
        save_record(load_record(path), folder)
    for experiment in ROWS:
        save_record(experiment_record(experiment), folder)
    for name, origin, cpu in (
        ("exemplar-001", "stand-in", "Imaginary CPU 9000"),
        ("exemplar-001", "stand-in", "Other CPU with a rather long name @ 2.90GHz"),
        ("cycif-tonsil", "real", "Imaginary CPU 9000"),
    ):
        document = made_up_document()
        document["dataset"].update(name=name, origin=origin, shape=[3138, 2509], channels=12)
        document["machine"]["cpu"]["model"] = cpu
        document["parameters"]["projected_peak_bytes"] = 1_200_000_000
        path = save_record(seal(document), folder)
    image = {"output_type": "display_data", "metadata": {}, "data": {"text/html": TABLE}}
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Profile\n"},
        {"cell_type": "code", "id": "b", "metadata": {}, "source": "steps", "outputs": [image],
         "execution_count": 1},
    ]  # fmt: skip
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.with_suffix(".ipynb").write_text(json.dumps(notebook))


TABLE = "<table><tr>" + "".join(f"<td>column_{i}</td>" for i in range(40)) + "</tr></table>"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    made_up_results(folder / "results")
    build_book(ROOT, folder / "results", [], folder)
    return folder


@pytest.fixture(scope="module")
def site(out: Path) -> Path:
    return out / "_build" / "html"


def pages_of(site: Path) -> list[str]:
    found = [path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html"))]
    return [page for page in found if not page.startswith("_static/")]


def test_the_book_has_its_pages(site: Path) -> None:
    pages = pages_of(site)
    hand_written = [path.stem for path in (ROOT / "notebooks").glob("*.md")]
    assert {f"{name}.html" for name in hand_written} <= set(pages)
    assert {f"guidelines/{one.slug}.html" for one in GUIDELINES} <= set(pages)
    assert PROFILE in pages
    assert "profiles/cycif-tonsil-real-stock.html" in pages
    assert len([page for page in pages if page.startswith("runs/")]) == 1
    others = len(ROWS) + len(guideline_records())
    assert len([page for page in pages if page.startswith("records/")]) == 4 + others
    for source in files("tbscale.book").joinpath("static").iterdir():
        assert (site / "_static" / source.name).is_file()


def test_links_hosts_and_alternative_texts(site: Path) -> None:
    assert check_site(site) == []


def test_the_raw_data_of_a_record_is_the_record(out: Path, site: Path) -> None:
    originals = {path.read_bytes() for path in (out / "results").rglob("*.json")}
    served = {
        path.read_bytes() for path in (site / "records").glob("*.json") if path.stem != "schema"
    }
    assert served == originals
    for path in (site / "records").glob("*.json"):
        if path.stem != "schema":
            assert load_record(path).id.startswith(path.stem)


def test_pages_are_light(site: Path) -> None:
    for page in pages_of(site):
        assert (site / page).stat().st_size < PAGE_LIMIT_BYTES, page


def test_a_warning_stops_the_build(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for name in ("_config.yml",):
        shutil.copy(ROOT / name, source)
    shutil.copytree(str(files("tbscale.book").joinpath("static")), source / "_static")
    (source / "_extra").mkdir()
    (source / "references.bib").write_text("")
    (source / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (source / "index.md").write_text("# Home\n\n{doc}`nowhere`\n")
    with pytest.raises(BookError, match="warnings shown above"):
        run_jupyter_book(source, tmp_path, afresh=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium (apt-get install chromium)")
    with Browser(executable) as opened:
        yield opened


@pytest.mark.parametrize(
    ("size", "dark"), [(PHONE, False), (DESKTOP, False), (DESKTOP, True)], ids=str
)
def test_every_page_opens_from_disk(
    browser: Browser, site: Path, size: tuple[int, int], dark: bool
) -> None:
    browser.resize(size, dark)
    for page in pages_of(site):
        browser.open(f"file://{site}/{page}")
        assert browser.logged == [], page
        assert [one for one in browser.asked if not one.startswith(("file:", "data:"))] == [], page
        wide = browser.evaluate(
            "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
        )
        assert wide <= size[0], f"{page} scrolls sideways: {wide} px"
        assert browser.evaluate(
            "[...document.images].every(i => i.alt.trim() && "
            "(i.complete ? i.naturalWidth > 0 : i.loading === 'lazy'))"
        ), page


def test_the_theme_follows_the_reader(browser: Browser, site: Path) -> None:
    shown = {}
    for dark in (False, True):
        browser.resize(DESKTOP, dark)
        browser.open(f"file://{site}/{PROFILE}")
        shown[dark] = browser.evaluate(
            "[...document.querySelectorAll('.tb-figure')].map(f => [...f.querySelectorAll('img')]"
            ".filter(i => getComputedStyle(i).display !== 'none').map(i => i.src.slice(-9)))"
        )
    assert len(shown[False]) == 2
    assert all(len(images) == 1 for images in shown[False] + shown[True])
    assert all(images == ["-dark.svg"] for images in shown[True])
    assert not any(images == ["-dark.svg"] for images in shown[False])


def test_the_form_answers_without_a_server(browser: Browser, site: Path) -> None:
    browser.resize(DESKTOP)
    browser.open(f"file://{site}/will-it-fit.html")
    answer = "document.querySelector('#tb-fit output').textContent"
    shown = browser.evaluate(answer)
    assert "Stock Cellpose: does not fit" in shown
    said = re.search(r"the plan projects ([\d.]+)", (site / "will-it-fit.html").read_text())
    assert said is not None
    assert f"tbscale: fits, at most {said[1]} GiB" in shown  # as the sentence above the form
    browser.evaluate(
        "(() => { const f = document.getElementById('tb-fit'); f.memory.value = 1000;"
        "f.dispatchEvent(new Event('input')); })()"
    )
    assert "Stock Cellpose: fits" in browser.evaluate(answer)


def test_a_size_and_a_bottleneck_are_two_clicks_from_home(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    article = home[home.index("<article") : home.index("</article>")]
    assert 'href="will-it-fit.html"' in article
    assert 'href="questions/q1-bottleneck.html"' in article
    fits = (site / "will-it-fit.html").read_text(encoding="utf-8")
    assert "30,000" in fits
    assert "exemplar-001" in (site / "questions" / "q1-bottleneck.html").read_text("utf-8")


def linked(site: Path, page: str) -> set[str]:
    """The pages that the article of a page links to."""
    text = (site / page).read_text(encoding="utf-8")
    article = text[text.index("<article") : text.index("</article>")]
    targets = (link.partition("#")[0] for link in re.findall(r'href="([^"]+)"', article))
    folder = Path(page).parent
    found = (os.path.normpath(folder / target) for target in targets if target.endswith(".html"))
    return {one for one in found if (site / one).is_file()}


def words_of(page: Path) -> str:
    """A page without its markup."""
    return re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


WANTED = {
    "where the time goes": ("exemplar-001", "flow_qc", "share"),
    "does it fit": ("30,000", "GiB", "tbscale"),
    "how to cite the flow check": ("flow_qc", "@misc{tbscale-", "note = {Record "),
    "how to add a machine": ("Put the record and its notebook into", "results/", "make pages"),
}


@pytest.mark.parametrize("question", WANTED)
def test_an_answer_is_two_clicks_from_home(site: Path, question: str) -> None:
    first = linked(site, "index.html")
    near = first | {page for one in first for page in linked(site, one)}
    texts = {page: words_of(site / page) for page in near}
    words = WANTED[question]
    assert [page for page, text in texts.items() if all(word in text for word in words)]


def test_search_finds_a_word_from_disk(browser: Browser, site: Path) -> None:
    browser.resize(PHONE)
    browser.open(f"file://{site}/search.html?q=immunofluorescence")
    browser.wait_for("document.querySelectorAll('#search-results li a').length > 0")
    found = browser.evaluate(
        "[...document.querySelectorAll('#search-results li a')].map(a => a.textContent)"
    )
    assert "The data" in found
    assert browser.logged == []


def test_no_serious_finding_of_axe(browser: Browser, site: Path) -> None:
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    for size in (PHONE, DESKTOP):
        browser.resize(size)
        for page in AUDITED:
            browser.open(f"file://{site}/{page}")
            browser.evaluate(f"{axe}; 0")
            found = browser.evaluate(
                "axe.run({resultTypes: ['violations']}).then(r => r.violations"
                ".filter(v => ['serious', 'critical'].includes(v.impact))"
                ".map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' ').slice(0, 300)))"
            )
            assert found == [], f"{page} at {size}"
