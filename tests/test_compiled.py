"""Compiled kernels are cached apart for each state of their folder's sources."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from numba import config

from tbscale.engine.fastnet.instructions import lanes_of, target_features
from tbscale.images import compiled as compiling
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


def test_where_nothing_can_be_kept_kernels_compile_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def nowhere(folder: Path) -> Iterator[None]:
        raise RuntimeError("cannot cache function: no locator available")
        yield

    monkeypatch.setattr(compiling, "_cached_in", nowhere)
    assert compiling.compiled(lambda x: x + 1)(2) == 3


def test_instructions_are_those_that_numba_compiles_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "CPU_FEATURES", "+avx,+avx2,-avx512f")
    found = target_features()
    assert (found["avx2"], found["avx512f"]) == (True, False)
    assert lanes_of(found) == 8
    monkeypatch.setattr(config, "CPU_FEATURES", "")
    assert lanes_of(target_features()) == 4


LATE = """
import sys
import numpy as np
from tbscale.engine.kernels.flow_qc import pixels_by_label
from tbscale.images.compiled import import_for_kernels

def loaded():
    names = (name for name in sys.modules if name.startswith("numba."))
    return {name for name in names if not name.endswith("pool")}  # of the threads

pixels_by_label(np.ones((9, 9), np.uint32), 1) if sys.argv[1] == "kernel" else None
before = loaded()
import_for_kernels()
imported = loaded()
pixels_by_label(np.ones((9, 9), np.uint32), 1)
print(len(imported - before), len(loaded() - imported))
"""


def test_what_is_imported_late_is_imported_before_a_kernel_is_called() -> None:
    late = [sys.executable, "-c", LATE]
    subprocess.run([*late, "kernel"], capture_output=True, check=True)  # compiled by now
    done = subprocess.run([*late, "none"], capture_output=True, text=True, check=True)
    early, by_the_kernel = map(int, done.stdout.split())
    assert early > 10
    assert by_the_kernel == 0
