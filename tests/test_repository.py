"""What a fresh clone must hold: the two commands, what they run, and nothing of one machine."""

import json
import os
import re
import shutil
import stat
import subprocess
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from tbscale.bench.template import MAX_BYTES
from tbscale.book.loading import load_shelf
from tbscale.book.readme import update_readme

ROOT = Path(__file__).resolve().parents[1]
TOP = (
    "_config.yml",
    "_toc.yml",
    "README.md",
    "environment.yml",
    "pyproject.toml",
    "requirements.lock",
    "Makefile",
    "CITATION.cff",
    "CHANGELOG.md",
    "LICENSE",
    ".pre-commit-config.yaml",
    ".ci/run",
)
# addresses of package registries have no place here: where packages come from is the user's choice
FORBIDDEN = re.compile(
    r"index-url[\s=]|://\S*/simple/|://\S*/packages/[0-9a-f]{2}/|\"resolved\":|://\S*/whl/"
)
TEXT = (".py", ".md", ".toml", ".yml", ".yaml", ".cff", ".lock", ".sh", ".ipynb", ".css", ".json")


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("name", TOP)
def test_the_top_level_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


def test_the_two_commands_are_said_and_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in ("book", "test"):
        assert re.search(rf"^make {command}\b", readme, re.M)
        assert re.search(rf"^{command}:", makefile, re.M)


def test_help_names_every_target_and_the_readme_the_environment() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert phony is not None
    said = re.findall(r"make ([a-z0-9-]+)", "".join(re.findall(r"^\t@echo '.*'$", makefile, re.M)))
    assert sorted(said) == sorted(set(phony[1].split()) - {"help"})
    assert "`make env`" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_runs_the_readme_test_command_and_every_check() -> None:
    run = ROOT / ".ci" / "run"
    assert run.stat().st_mode & stat.S_IXUSR
    text = run.read_text(encoding="utf-8")
    for command in ("make test", "make lint", "make pages"):
        assert command in text


def test_the_headline_table_of_the_readme_is_current() -> None:
    assert not update_readme(ROOT, ROOT / "results", write=False), "run make readme"


def test_every_committed_record_is_valid() -> None:
    load_shelf(ROOT / "results")


def test_versions_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {version}" in changes
    assert "### Methodology" in changes


def test_every_locked_version_takes_the_pythons_of_the_distributions() -> None:
    """Debian 12 has Python 3.11.2; a lock written with a later one may hold what refuses it."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    names = [line.partition("==")[0] for line in lines if "==" in line]
    assert len(names) > 100
    refusing = [
        f"{name} wants {wanted}"
        for name in names
        for wanted in (metadata(name)["Requires-Python"],)
        if wanted and not all(python in SpecifierSet(wanted) for python in ("3.11.2", "3.12.3"))
    ]
    assert refusing == []


def test_pre_commit_asks_no_host() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {repo["repo"] for repo in hooks["repos"]} == {"local"}


def test_notebooks_carry_no_outputs() -> None:
    for path in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        carrying = [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
        assert not carrying, f"{path.name}: clear its outputs"


def test_kept_runs_are_small() -> None:
    for path in sorted((ROOT / "results").rglob("*.ipynb")):
        assert path.stat().st_size <= MAX_BYTES, path.name


def test_nothing_names_a_registry_or_one_machine() -> None:
    own = Path(__file__)
    for path in tracked():
        if path == own or not (path.suffix in TEXT or path.name in ("Makefile", "run")):
            continue
        found = FORBIDDEN.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.relative_to(ROOT)}: {found and found.group()}"


def a_python(folder: Path, name: str, version: str) -> Path:
    """A program that calls itself a Python of some version and can do nothing else."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def make_env(tmp_path: Path, path: str, **environ: str) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "tools" / "make_env.sh")
    shell = shutil.which("sh") or "/bin/sh"
    return subprocess.run(
        [shell, script, str(tmp_path / "venv")],
        cwd=ROOT,
        env={"PATH": path, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("version", ["3.10", "3.13", "2.7"])
def test_a_python_too_old_or_new_is_one_sentence(tmp_path: Path, version: str) -> None:
    a_python(tmp_path, "python3", version)
    ended = make_env(tmp_path, str(tmp_path))
    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1
    assert f"python3 is {version}" in ended.stderr
    assert "PYTHON=" in ended.stderr


def test_a_chosen_python_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    chosen = a_python(tmp_path, "mine", "3.13")
    a_python(tmp_path, "python3.11", "3.11")
    ended = make_env(tmp_path, str(tmp_path), PYTHON=str(chosen))
    assert ended.returncode == 2
    assert "is Python 3.13" in ended.stderr


def test_a_shim_that_fails_is_passed_over(tmp_path: Path) -> None:
    shim = tmp_path / "python3.11"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    a_python(tmp_path, "python3.12", "3.12")
    tools = os.pathsep.join([str(tmp_path), "/usr/bin", "/bin"])
    ended = make_env(tmp_path, tools)
    assert "with python3.12 (Python 3.12)" in ended.stdout
    assert ended.returncode != 0  # it cannot go on: that Python is not one
