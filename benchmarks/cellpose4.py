"""Cellpose 4 in its own environment, as a process that does one step at a time."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.workload.threads import thread_environment
from tbscale.errors import RunError

SCRIPT = Path(__file__).with_name("cellpose4_steps.py")


def check_interpreter(python: Path) -> None:
    """RunError where the interpreter of Cellpose 4's environment is not there."""
    if not python.is_file():
        raise RunError(f"there is no {python}; make it with tools/make_env_cp4.sh")


class Cellpose4:
    """The process; use it in a `with`. It waits, without spinning, between two steps.

    Parameters
    ----------
    python : the interpreter of its environment
    flows : .npz with `flow` and `cellprob`

    Raises
    ------
    RunError : the environment is not there, or the process ended early
    """

    def __init__(self, python: Path, flows: Path, threads: int) -> None:
        check_interpreter(python)
        environment = {**os.environ, **thread_environment(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        environment.pop("PYTHONPATH", None)
        self._process = subprocess.Popen(
            [str(python), "-W", "ignore", str(SCRIPT), str(flows), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.versions: dict[str, str] = self._answer()

    def __enter__(self) -> Cellpose4:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RunError(f"Cellpose 4 ended with status {self._process.wait()}; see its message")
        found: dict[str, Any] = json.loads(line)
        return found

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def time_s(self, step: str) -> float:
        """Do a step; seconds."""
        return float(self._ask(step)["wall_s"])

    def labels(self) -> NDArray[np.uint32]:
        """Labels (Y, X) of the last `together`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "labels.npy"
            self._ask(f"save {path}")
            found: NDArray[np.uint32] = np.load(path)
            return found
