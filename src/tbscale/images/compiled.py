"""Compile kernels with numba, cached on disk under a digest of all sources of their folder.

numba keys a cached kernel on its own file only, and the machine code of what it calls is linked
into it. So after a change in another file of the folder it would run the old callee. A digest in
the name of the cache folder makes every kernel of a folder start anew when any file of it changes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
from numba import njit

Kernel = Callable[..., Any]
_DIGEST_CHARACTERS = 12


@lru_cache(maxsize=8)
def sources_digest(folder: Path) -> str:
    """Digest of the names and contents of the Python files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:_DIGEST_CHARACTERS]


def cache_folder(folder: Path) -> Path:
    """Where the compiled kernels of a folder lie: beside them, or in the user's cache."""
    name = f"kernels-{sources_digest(folder)}"
    if numba.config.CACHE_DIR:
        return Path(numba.config.CACHE_DIR) / name
    if os.access(folder, os.W_OK):
        return folder / "__pycache__" / name
    return user_cache() / name


def user_cache() -> Path:
    """The folder of this package in the user's cache; where a user has no home, a temporary one."""
    if own := os.environ.get("XDG_CACHE_HOME"):
        return Path(own) / "tbscale"
    try:
        return Path.home() / ".cache" / "tbscale"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"tbscale-{os.getuid()}"


@contextmanager
def _cached_in(folder: Path) -> Iterator[None]:
    """Let numba choose a folder; it does so while it decorates."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder(folder))
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


def compiled_with(**options: Any) -> Callable[[Kernel], Kernel]:
    """As `compiled`, with options of numba such as `parallel`."""

    def decorate(function: Kernel) -> Kernel:
        kernel: Kernel
        try:
            with _cached_in(Path(function.__code__.co_filename).parent):
                kernel = njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # numba's word where no folder can be written to
            kernel = njit(nogil=True, **options)(function)
        return kernel

    return decorate


def compiled(function: Kernel) -> Kernel:
    """Compile a kernel at its first call; it runs without the interpreter's lock.

    It is kept on disk for the next process, if there is a place for it.
    """
    return compiled_with()(function)


def inlined(function: Kernel) -> Kernel:
    """As `compiled`, for a short kernel that is put into its callers before they are typed."""
    return compiled_with(inline="always")(function)


@compiled
def _nothing():  # type: ignore[no-untyped-def]
    pass


def import_for_kernels() -> None:
    """Import what numba leaves until a first kernel is called: half a second, once a process."""
    _nothing()
