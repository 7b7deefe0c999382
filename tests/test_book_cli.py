"""`tbscale book ...` as a user types it."""

import shutil
from pathlib import Path

import pytest
from made_up import made_up_record
from typer.testing import CliRunner

from tbscale.bench.records import save_record
from tbscale.book.readme import BEGIN, END
from tbscale.cli import app
from tbscale.cli.reference import BEGIN as COMMANDS
from tbscale.cli.reference import END as COMMANDS_END
from tbscale.cli.reference import PAGE
from tbscale.errors import BookError

ROOT = Path(__file__).resolve().parents[1]
run = CliRunner().invoke


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with just enough of a clone, as the present folder."""
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / PAGE).write_text(f"top\n{COMMANDS}\n{COMMANDS_END}\n")
    (tmp_path / "README.md").write_text(f"top\n{BEGIN}\n{END}\n")
    save_record(made_up_record(), tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_readme_is_written_once_and_then_current(clone: Path) -> None:
    assert run(app, ["book", "readme", "--check"]).exit_code == 1
    assert END in (clone / "README.md").read_text()
    assert "made-up" not in (clone / "README.md").read_text()
    assert run(app, ["book", "readme"]).exit_code == 0
    assert "made-up (stand-in)" in (clone / "README.md").read_text()
    assert "## `tbscale segment`" in (clone / PAGE).read_text()
    assert run(app, ["book", "readme", "--check"]).exit_code == 0


def test_numbers_are_checked_from_any_folder_of_the_clone(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clone / "notebooks")
    assert "every number" in run(app, ["book", "numbers"]).output
    (clone / "notebooks" / "page.md").write_text("It took 3 s.")
    assert isinstance(run(app, ["book", "numbers"]).exception, BookError)


def test_check_says_that_there_is_no_site(tmp_path: Path) -> None:
    ended = run(app, ["book", "check", str(tmp_path)])
    assert isinstance(ended.exception, BookError)
    assert "build the book first" in str(ended.exception)
