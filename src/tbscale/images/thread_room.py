"""Memory that each thread is given again: new memory for every chunk costs page faults."""

from __future__ import annotations

import threading
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class ThreadRoom(threading.local):
    """Room for what a thread reads, decodes or encodes next; each thread has its own.

    Parameters
    ----------
    largest_kept_bytes : what takes more is made for one call and not kept
    """

    def __init__(self, largest_kept_bytes: int) -> None:
        self._largest_kept_bytes = largest_kept_bytes
        self._kept = bytearray()

    def take(self, count: int) -> memoryview:
        """`count` bytes of any content, which the thread's next call takes again."""
        found = self._kept
        if len(found) < count:
            found = bytearray(count)
            if count <= self._largest_kept_bytes:
                self._kept = found
        return memoryview(found)[:count]

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """The same as an array."""
        kind = np.dtype(dtype)
        return np.frombuffer(self.take(prod(shape) * kind.itemsize), kind).reshape(shape)
