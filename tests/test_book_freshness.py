"""A record says whether the code that made it is still the code that is here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from book_entry import an_entry
from tiny import write_tiny

from tbscale.bench import software
from tbscale.bench.software import changed_since
from tbscale.book import freshness
from tbscale.book.context import PageContext
from tbscale.book.loading import make_shelf
from tbscale.book.shelf import Entry

ROOT = Path(__file__).resolve().parents[1]


def git(root: Path, *words: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    done = subprocess.run(
        ["git", "-C", str(root), *who, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(root: Path, path: str, text: str) -> str:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-qm", path)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    git(tmp_path, "init", "-q")
    monkeypatch.setattr(freshness, "repository_root", lambda: tmp_path)
    freshness._changed.cache_clear()
    yield tmp_path
    freshness._changed.cache_clear()


def made_by(engine: str, made: str | None) -> Entry:
    def change(document):
        document["engine"].update(name=engine)
        document["code"].update(commit=made)

    return an_entry(change)


@pytest.mark.parametrize(
    ("engine", "path"),
    [
        ("stock", "src/tbscale/images/labels_out/chunks.py"),
        ("stock", "src/tbscale/images/standin/tissue.py"),
        ("stock", "src/tbscale/engine/run.py"),
        ("stock", "src/tbscale/images/describe.py"),
        ("tbscale", "src/tbscale/engine/request.py"),
        ("tbscale", "src/tbscale/engine/workdir.py"),
        ("tbscale", "src/tbscale/engine/table/measure.py"),
        ("tbscale", "src/tbscale/engine/training/loop.py"),
        ("tbscale", "src/tbscale/engine/workload/network_candidates.py"),
    ],
)
def test_code_that_a_profile_does_not_run_ages_no_profile(
    root: Path, engine: str, path: str
) -> None:
    first = commit(root, "src/tbscale/images/plane.py", "1")
    commit(root, path, "2")
    assert freshness.age_in_words(made_by(engine, first)) == ""
    commit(root, "src/tbscale/images/plane.py", "3")
    freshness._changed.cache_clear()
    assert freshness.age_in_words(made_by(engine, first)) == freshness.OLDER


@pytest.mark.parametrize(
    ("experiment", "path", "ages"),
    [
        ("growth", "src/tbscale/images/standin/tissue.py", True),
        ("growth", "src/tbscale/engine/table/measure.py", False),
        ("files", "src/tbscale/engine/table/measure.py", True),
        ("growth", "src/tbscale/engine/workload/file_speeds.py", False),
        ("files", "src/tbscale/engine/workload/file_speeds.py", True),
        ("steps", "src/tbscale/engine/training/data.py", False),
        ("model-card", "src/tbscale/engine/training/data.py", True),
        ("model-card", "src/tbscale/engine/training/evaluate.py", True),
        ("model-card", "src/tbscale/engine/training/loop.py", False),
    ],
)
def test_code_that_an_experiment_runs_ages_it(
    root: Path, experiment: str, path: str, ages: bool
) -> None:
    def without_passes(document):
        document["experiment"] = experiment
        document["code"].update(commit=first)
        document["engine"].update(name="stock" if experiment == "model-card" else "tbscale")
        document["passes"] = []
        document["measures"] = [
            {"name": "x", "subject": "y", "value": 1.0, "unit": "1", "scope": "portable"}
        ]

    first = commit(root, "src/tbscale/images/plane.py", "1")
    commit(root, path, "2")
    assert freshness.age_in_words(an_entry(without_passes)) == (freshness.OLDER if ages else "")


# runs a profile's job and prints the files of which a function ran; bodies of classes are none
TRACED = """
import inspect, json, sys, threading
ran = set()
def note(frame, event, arg):
    if event == "call" and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        ran.add(frame.f_code.co_filename)
threading.setprofile(note)
sys.setprofile(note)
from tbscale.engine.workload.job import Job
from tbscale.engine.workload.run import run_job
for engine in ("stock", "tbscale", "tbscale-fast"):
    run_job(Job(engine, sys.argv[1], channel=0, model="embedded", warm_ups=0, repeats=1))
sys.setprofile(None)
print(json.dumps(sorted(ran)))
"""


def test_a_profile_runs_no_function_of_what_does_not_age_it(tmp_path: Path) -> None:
    image = write_tiny(tmp_path / "tissue.ome.tif", 96)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRACED, str(image)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    ran = json.loads(done.stdout.splitlines()[-1])
    for path in ("engine/measured.py", "engine/stock.py", "engine/segmentation.py"):
        assert any(file.endswith(f"src/tbscale/{path}") for file in ran), "it would see one"
    for one in (*freshness.APART, *freshness.FOR_FILES, *freshness.NOT_OF_WEIGHTS):
        path = one.removeprefix(":(exclude)")
        assert (ROOT / path).exists()
        assert [file for file in ran if f"/{path}" in file] == []


def test_a_change_of_the_engine_ages_its_records_and_not_the_references(root: Path) -> None:
    first = commit(root, "src/tbscale/engine/run.py", "1")
    assert freshness.age_in_words(made_by("tbscale", first)) == ""
    commit(root, "results/x.json", "{}")
    commit(root, "src/tbscale/book/x.py", "1")
    freshness._changed.cache_clear()
    assert freshness.age_in_words(made_by("tbscale-fast", first)) == ""
    commit(root, "src/tbscale/engine/run.py", "2")
    freshness._changed.cache_clear()
    assert freshness.age_in_words(made_by("tbscale-fast", first)) == freshness.OLDER
    assert freshness.age_in_words(made_by("stock", first)) == ""
    commit(root, "src/tbscale/engine/workload/run.py", "2")
    freshness._changed.cache_clear()
    assert freshness.age_in_words(made_by("stock", first)) == freshness.OLDER


def test_a_commit_that_git_does_not_know_is_of_unknown_age(root: Path) -> None:
    commit(root, "a", "1")
    assert changed_since(root, "0" * 40, ["src"]) is None
    assert freshness.age_in_words(made_by("stock", "0" * 40)) == freshness.UNKNOWN
    assert freshness.age_in_words(made_by("stock", None)) == freshness.UNKNOWN


def test_pages_that_show_a_record_carry_the_badge(root: Path) -> None:
    first = commit(root, "src/tbscale/engine/stock.py", "1")
    entry = made_by("stock", first)
    page = PageContext(make_shelf([entry]), "profiles/x")
    assert freshness.OLDER not in page.badges(entry) + page.headline()
    commit(root, "src/tbscale/engine/stock.py", "2")
    freshness._changed.cache_clear()
    assert freshness.OLDER in page.badges(entry)
    assert freshness.OLDER in page.headline()
    assert freshness.OLDER in page.figure("steps", entry, "Steps.")


def test_of_one_day_the_record_of_newer_code_is_the_newer_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(software, "repository_root", lambda: root)
    software.commits_before.cache_clear()
    commits = [commit(root, "a", str(k)) for k in range(4)]
    records = [made_by("stock", one) for one in commits]
    (one,) = make_shelf(records[::-1]).profile_sets
    assert one.leading.record.code.commit == commits[-1]
    assert one.current == (one.leading,)
    assert software.commits_before("0" * 40) == software.commits_before(None) == 0
    software.commits_before.cache_clear()
