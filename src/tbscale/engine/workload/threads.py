"""Fix the number of threads of every library, and say what each one then uses."""

from __future__ import annotations

import os
import sys

# read when a library is first imported, so the parent sets them for the child
VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def thread_environment(threads: int) -> dict[str, str]:
    """Environment variables that hold every library to `threads`."""
    return dict.fromkeys(VARIABLES, str(threads))


def fix_threads(threads: int) -> None:
    """Tell the libraries that are loaded already; OpenCV and torch do not obey OMP alone."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)
    if "numba" in sys.modules:
        sys.modules["numba"].set_num_threads(threads)


def thread_facts(requested: int) -> dict[str, object]:
    """What each loaded library says that it uses; None where it is not loaded."""
    modules = sys.modules
    return {
        "requested": requested,
        "torch": modules["torch"].get_num_threads() if "torch" in modules else None,
        "numba": modules["numba"].get_num_threads() if "numba" in modules else None,
        "opencv": modules["cv2"].getNumThreads() if "cv2" in modules else None,
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }
