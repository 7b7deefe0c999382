"""What the C library does with freed memory: keep it while the network works, give it back after.

A network allocates the same tens of megabytes for every layer of every batch. glibc gives blocks
of that size back to the system as soon as they are freed, so the system must clear the same pages
again for the next layer. Keeping them changes no number, only the time.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from functools import cache

# `mallopt` of glibc: numbers of its parameters, from malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# an array of most layers for a batch of eight tiles is 49 MiB; keeping the few larger ones too
# saved no time and held more
_KEPT_BYTES = 64 * 2**20
_NEVER_BYTES = 2**31 - 1
# where glibc's own rule ends up once blocks of this size were freed
_USUAL_MMAP_BYTES, _USUAL_TRIM_BYTES = 32 * 2**20, 64 * 2**20
_USER_SETTINGS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is glibc; musl and macOS have neither call."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    known = all(hasattr(library, name) for name in ("mallopt", "malloc_trim"))
    return library if known else None


def can_keep_freed() -> bool:
    """Whether `keep_freed` does anything here: with glibc, unless the user has set its rules."""
    return _glibc() is not None and not any(name in os.environ for name in _USER_SETTINGS)


@contextlib.contextmanager
def keep_freed() -> Iterator[None]:
    """Let the process keep what it frees inside the `with`, and give it all back at its end.

    Rules of the allocator are the process's: what other threads free is kept too. Elsewhere than
    on Linux with glibc nothing changes.
    """
    library = _glibc()
    if library is None or not can_keep_freed():
        try:
            yield
        finally:
            give_back_freed()
        return
    library.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
    library.mallopt(_TRIM_THRESHOLD, _NEVER_BYTES)
    try:
        yield
    finally:
        library.mallopt(_MMAP_THRESHOLD, _USUAL_MMAP_BYTES)
        library.mallopt(_TRIM_THRESHOLD, _USUAL_TRIM_BYTES)
        give_back_freed()


def give_back_freed() -> None:
    """Give freed memory back to the system, where the C library can: glibc keeps it otherwise."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)
