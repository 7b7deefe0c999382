"""The bytes of a file, read at any place by any thread."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from tbscale.errors import ImageError
from tbscale.images.thread_room import ThreadRoom

_room = ThreadRoom(2**22)


class FileBytes:
    """A file, readable at any place from any thread; closed when no plane needs it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY)
        self._size = os.fstat(self._fd).st_size
        weakref.finalize(self, os.close, self._fd)

    def read_at(self, offset: int, count: int) -> memoryview:
        """Exactly `count` bytes from `offset`, in memory that the thread's next call overwrites.

        Raises
        ------
        ImageError : the file ends before
        """
        if offset + count > self._size:
            raise ImageError(
                f"{self.path} is truncated or damaged: it asks for {count} bytes at byte {offset} "
                f"and has {self._size}; copy the file again"
            )
        room = _room.take(count)
        done = 0
        while done < count:
            part = os.preadv(self._fd, [room[done:]], offset + done)  # at most 2 GiB on Linux
            if not part:
                raise ImageError(f"{self.path} shrank while it was read; copy the file again")
            done += part
        return room
