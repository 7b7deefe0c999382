"""Whether an image is still the one that it was: size and time of its files, not their content."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fingerprint:
    """What a file, or all files of a store, say without being read.

    Attributes
    ----------
    bytes : sum of their sizes
    changed_ns : when the newest was changed, nanoseconds
    files : how many
    """

    bytes: int
    changed_ns: int
    files: int


def fingerprint(path: Path) -> Fingerprint:
    """Of a file, or of a directory such as an OME-Zarr, chunks and all."""
    if not path.is_dir():
        stat = path.stat()
        return Fingerprint(stat.st_size, stat.st_mtime_ns, 1)
    total, newest, count = 0, 0, 0
    for entry in _files(path):
        stat = entry.stat()
        total, newest, count = total + stat.st_size, max(newest, stat.st_mtime_ns), count + 1
    return Fingerprint(total, newest, count)


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(Path(entry.path))
            else:
                yield entry
