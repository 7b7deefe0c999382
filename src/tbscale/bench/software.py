"""Versions of what ran, and the state of this package's clone."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tbscale.bench.schema import Code

# whatever changes the arithmetic, its speed or its memory
PACKAGES = (
    "tbscale",
    "cellpose",
    "torch",
    "nvidia-cudnn-cu13",
    "nvidia-cublas",
    "numpy",
    "numba",
    "llvmlite",
    "scipy",
    "tifffile",
    "imagecodecs",
    "zarr",
    "opencv-python-headless",
    "fastremap",
    "fill-voids",
    "scikit-image",
    "scalene",
    "line_profiler",
    "psutil",
)
# what a measurement depends on; records and pages may change beside it
MEASURING_PATHS = ("src", "pyproject.toml", "notebooks/profile.ipynb")


def read_software() -> dict[str, str]:
    """Version of Python and of every package that matters; absent ones are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def repository_root() -> Path | None:
    """The clone that this package runs from, or None where it was installed elsewhere."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / ".git").exists() and (root / "pyproject.toml").is_file() else None


def read_code() -> Code:
    """Commit of the clone and whether its code was changed since; null outside a clone."""
    root = repository_root()
    if root is None:
        return Code(commit=None, dirty=None)
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--", *MEASURING_PATHS)
    return Code(commit=commit or None, dirty=None if changes is None else bool(changes))


def changed_since(root: Path, commit: str, paths: Sequence[str]) -> bool | None:
    """Whether any of the paths differs between a commit and the clone; None where git cannot say.

    None, for instance, of a commit that a shallow clone does not hold.
    """
    changed = _git(root, "diff", "--name-only", commit, "--", *paths)
    return None if changed is None else bool(changed)


@cache
def commits_before(commit: str | None) -> int:
    """How many commits led to this one; 0 where git cannot say. Orders records of one day."""
    root = repository_root()
    count = None if root is None or commit is None else _git(root, "rev-list", "--count", commit)
    return int(count) if count else 0


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command, or None where git is missing or refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
