"""What a disk refuses, in one sentence: a folder without a place for a file, and a full disk."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tbscale.errors import RunError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def check_folder(folder: Path) -> None:
    """Refuse a folder in which no file can be made, before any work is done.

    One is made, and is gone again: permissions say nothing to the administrator, and nothing of
    places such as /proc.

    Raises
    ------
    RunError : there is no such folder, or it takes no file
    """
    if not folder.is_dir():
        raise RunError(f"there is no directory {folder}; make it first")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written to ({error.strerror}); choose another directory"
        ) from error


@contextmanager
def told_if_full(path: Path) -> Iterator[None]:
    """Turn a full disk into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise RunError(
            f"no room is left on the disk of {path.parent}; free some and run the same command "
            "again"
        ) from error
