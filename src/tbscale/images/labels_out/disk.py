"""Files that are whole or not there, and what a disk refuses, in one sentence."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tbscale.errors import RunError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
LITTER = ".partial"  # of a file that was being written when its process was killed


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


def write_whole(path: str, content: bytes | memoryview) -> None:
    """Write a file, complete or not at all; its folder is there."""
    partial = f"{path}.{os.getpid()}-{threading.get_ident()}{LITTER}"  # two may write at once
    try:
        write_new(partial, content)
        os.replace(partial, path)  # noqa: PTH105 - paths would take as long as the calls
    except BaseException:
        remove(partial)
        raise


def write_new(path: str, content: bytes | memoryview) -> None:
    """Write a file that an error or a kill may leave in part.

    Without a buffer between, which takes longer than the file system does on a chunk.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    try:
        os.unlink(path)  # noqa: PTH108
    except FileNotFoundError:
        return
