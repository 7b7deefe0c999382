"""What the C library does with freed memory: keep it while a network works, give it back after.

A network allocates an array for every layer of every batch. glibc gives blocks above 32 MiB back to
the system as soon as they are freed, so the system must clear the same pages again for the next
layer. Keeping them changes no number, only the time.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from functools import cache

# `mallopt` of glibc: numbers of its parameters, from malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_NEVER_BYTES = 2**31 - 1
_SLACK_BYTES = 2**20  # of a block beyond the array in it
# where glibc's own rule ends up at most, and its own count
_USUAL_MMAP_BYTES, _USUAL_TRIM_BYTES, _USUAL_MMAPS = 32 * 2**20, 48 * 2**20, 65536
_OTHER_RULES = (  # the user's, or another allocator's
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_MMAP_MAX_",
    "MALLOC_TRIM_THRESHOLD_",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
)

_lock = threading.Lock()
_depth = 0  # of `keep_freed`, over all threads


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is glibc; musl and macOS have neither call."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    known = all(hasattr(library, name) for name in ("mallopt", "malloc_trim"))
    return library if known else None


def can_keep_freed() -> bool:
    """Whether `keep_freed` does anything here: with glibc, unless other rules were set."""
    return _glibc() is not None and not any(name in os.environ for name in _OTHER_RULES)


@contextlib.contextmanager
def keep_freed(array_bytes: int) -> Iterator[None]:
    """Let the process keep what it frees inside the `with`, and give it back at its end.

    Rules of the allocator are the process's: what other threads free is kept too. Arrays that
    another thread than the first allocates come from heaps of 64 MiB that are never kept, so the
    gain is that of work in the main thread. May be nested; the outermost ends it. Elsewhere than
    on Linux with glibc nothing changes.

    Parameters
    ----------
    array_bytes : of the arrays that come and go; larger ones may be given back as ever. 0 keeps
        nothing, and gives back at the end
    """
    if array_bytes == 0 or not can_keep_freed():
        try:
            yield
        finally:
            give_back_freed()
        return
    _enter(array_bytes)
    try:
        yield
    finally:
        _leave()


def _enter(array_bytes: int) -> None:
    global _depth
    library = _glibc()
    assert library is not None
    with _lock:
        _depth += 1
        if _depth > 1:
            return
        # glibc before 2.35 takes no threshold above 32 MiB; it can still be told to map nothing
        if not library.mallopt(_MMAP_THRESHOLD, min(array_bytes + _SLACK_BYTES, _NEVER_BYTES)):
            library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, _NEVER_BYTES)


def _leave() -> None:
    global _depth
    library = _glibc()
    assert library is not None
    with _lock:
        _depth -= 1
        if _depth > 0:
            return
        library.mallopt(_MMAP_MAX, _USUAL_MMAPS)
        library.mallopt(_MMAP_THRESHOLD, _USUAL_MMAP_BYTES)
        library.mallopt(_TRIM_THRESHOLD, _USUAL_TRIM_BYTES)
        give_back_freed()


def give_back_freed() -> None:
    """Give freed memory back to the system, where the C library can: glibc keeps it otherwise."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)
