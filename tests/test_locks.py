"""pyproject.toml, requirements.lock and environment.yml say the same."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK_TEXT = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCK_LINES = [line for line in LOCK_TEXT.splitlines() if line and not line.startswith("#")]
LOCK = dict(line.split("==") for line in LOCK_LINES)
NOT_LOCKED = {"synapse", "runtimes"}  # for a few commands alone


def wanted() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"]]
    lines += [line for name, more in extras.items() if name not in NOT_LOCKED for line in more]
    return [Requirement(line) for line in lines]


def test_the_lock_is_plain_names_and_exact_versions() -> None:
    assert LOCK_LINES
    for line in LOCK_LINES:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), line
    assert sorted(LOCK) == list(LOCK)


@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_the_lock_satisfies_pyproject(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    assert name in LOCK, "run make lock"
    assert requirement.specifier.contains(LOCK[name]), "run make lock"


@pytest.mark.parametrize("name", sorted(LOCK))
def test_the_lock_satisfies_what_each_locked_package_asks_for(name: str) -> None:
    for line in distribution(name).requires or ():
        needed = Requirement(line)
        if name == "torch" and re.match(r"nvidia-|cuda-|triton", needed.name):
            continue  # pinned by the build with CUDA itself, absent from the one without
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            locked = LOCK.get(canonicalize_name(needed.name))
            assert locked is not None, f"{name} needs {needed}: run make lock"
            assert needed.specifier.contains(locked, prereleases=True)


def test_the_reference_is_pinned() -> None:
    assert LOCK["cellpose"] == "3.1.1.3"
    assert LOCK["torch"] == "2.13.0"
    pins = {one.name: str(one.specifier) for one in wanted()}
    assert pins["cellpose"] == "==3.1.1.3"
    assert pins["torch"] == "==2.13.0"
    assert pins["jupyter-book"] == "==1.0.4.post1"


def test_this_environment_is_the_locked_one() -> None:
    for name, version in LOCK.items():
        assert Version(distribution(name).version).public == version, f"{name}: run make env"


def test_conda_installs_this_package_and_the_lock() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [one for one in environment["dependencies"] if isinstance(one, str)]
    pip = next(one["pip"] for one in environment["dependencies"] if isinstance(one, dict))
    python = next(one.removeprefix("python=") for one in plain if one.startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{python}.0")
    assert set(plain) <= {f"python={python}", "pip", "make"}, "versions belong in the lock"
    assert pip[0] == "--requirement requirements.lock"
    extras = sorted(set(PROJECT["optional-dependencies"]) - NOT_LOCKED)
    assert pip[1] == f"--editable .[{','.join(extras)}]"
    assert len(pip) == 2
