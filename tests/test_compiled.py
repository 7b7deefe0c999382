"""Compiled kernels are cached apart for each state of their folder's sources."""

import subprocess
import sys
import textwrap
from pathlib import Path

from tbscale.images.compiled import sources_digest

CALLEE = """
from tbscale.images.compiled import compiled

@compiled
def step(x):
    return x + {step}
"""
CALLER = """
from callee import step
from tbscale.images.compiled import compiled

@compiled
def twice(x):
    return step(step(x))

print(twice(1))
"""


def run(folder: Path, step: int) -> int:
    (folder / "callee.py").write_text(textwrap.dedent(CALLEE.format(step=step)))
    (folder / "caller.py").write_text(textwrap.dedent(CALLER))
    command = [sys.executable, "-c", "import caller"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_change_in_a_callee_of_another_file_is_seen(tmp_path: Path) -> None:
    assert run(tmp_path, 1) == 3
    assert list(tmp_path.rglob("*.nbc"))
    assert run(tmp_path, 10) == 21


def test_digest_changes_with_any_source(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    sources_digest.cache_clear()
    before = sources_digest(tmp_path)
    (tmp_path / "b.py").write_text("y = 1\n")
    sources_digest.cache_clear()
    assert sources_digest(tmp_path) != before
