"""The lower levels of labels, made while the first one is written.

A chunk that was just encoded is still in the cache, so its half is taken then and put into its
quarter of the chunk below. The last quarter completes that chunk, which goes the same way. What is
not written chunk by chunk, or twice, is left to `LabelSpool.build_pyramid`.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, wait
from dataclasses import dataclass

import numpy as np

from tbscale.images.labels_out.chunks import (
    Corner,
    LabelChunks,
    clear_beyond,
    doubled,
    halved,
    span_from,
)
from tbscale.images.labels_out.codes import Labels
from tbscale.images.labels_out.every_second import SPARE_PX, in_lines, put_half
from tbscale.images.workers import begin

Place = tuple[int, Corner]  # a level, and a chunk of it
MOST_KEPT, LARGEST_KEPT_BYTES = 4, 4 * 2**20  # chunks that are kept in memory to use it again
MOST_HELD = 12  # chunks; in the order of `by_quarters` few a level are begun at once

_spare: deque[Labels] = deque()  # flat


@dataclass
class _Half:
    """A chunk that is being collected.

    Attributes
    ----------
    pixels : of full size, 0 beyond the level
    missing : chunks of the level above that are not in it yet
    """

    pixels: Labels
    missing: int


class Halves:
    """Collects and stores the chunks of all levels but the first.

    Any thread may call it. It holds at most `MOST_HELD` chunks; where more are begun at once, those
    that find no room are not made here.

    Parameters
    ----------
    levels : the first is written by others
    """

    def __init__(self, levels: list[LabelChunks]) -> None:
        self._levels = levels
        self._lock = threading.Lock()  # of all below
        self._seen: set[Corner] = set()
        self._begun: dict[Place, _Half] = {}
        self._spoiled: set[Place] = set()
        self._stored: set[Place] = set()
        self._complete: deque[tuple[Place, Labels]] = deque()
        self._held = 0  # chunks begun, complete or being stored
        self._storing: list[Future[None]] = []

    def add(self, corner: Corner, labels: Labels) -> None:
        """Take the half of a chunk of the first level, whose pixels are on disk.

        Parameters
        ----------
        labels : its pixels inside the level
        """
        with self._lock:
            again = corner in self._seen
            self._seen.add(corner)
        if again:
            self.spoil(corner)
        else:
            self._take(0, corner, labels)

    def spoil(self, corner: Corner) -> None:
        """Forget what was made of a chunk of the first level, which changed or was in part written.

        All that lies below it is left to be made from the disk.
        """
        with self._lock:
            self._seen.add(corner)
            self._spoil_below((0, corner))

    def _spoil_below(self, place: Place) -> None:
        k, corner = place
        for deeper in range(k, len(self._levels) - 1):
            corner = self._below(deeper, corner)
            below = deeper + 1, corner
            self._spoiled.add(below)
            self._stored.discard(below)
            if self._begun.pop(below, None) is not None:
                self._held -= 1  # no spare memory: another thread may be writing into it

    def store_complete(self) -> None:
        """Store the chunks that have all their quarters, those that no other thread stores."""
        while self._complete:
            self._store_one()

    def settle(self) -> set[Place]:
        """Wait until all that is complete is stored, and say which chunks that is.

        Raises the first error of a thread that stored some, when no thread stores any more; those
        chunks do not count as stored.
        """
        try:
            self.store_complete()
        finally:  # none runs on, by an error or not
            with self._lock:
                storing, self._storing = self._storing, []
            begun = [one for one in storing if not one.cancel()]  # the others have nothing to do
            wait(begun)
        for one in begun:
            one.result()
        return set(self._stored)

    def _below(self, k: int, corner: Corner) -> Corner:
        """The chunk of the next level that has the half of a chunk of level `k`."""
        y, x = self._levels[k].chunk_at(corner)
        return self._levels[k + 1].corner_of((halved(y), halved(x)))

    def _take(self, k: int, corner: Corner, labels: Labels) -> None:
        """Put the half of a chunk of level `k` where it belongs, and go on below."""
        if k + 1 == len(self._levels):
            return
        place = k + 1, self._below(k, corner)
        with self._lock:
            half = self._half_at(place)
        if half is None:
            return
        below = self._levels[k + 1].chunk_at(place[1])
        y, x = self._levels[k].chunk_at(corner)
        quarter = halved(y, below[0].start), halved(x, below[1].start)
        put_half(labels, half.pixels[quarter])
        with self._lock:
            half.missing -= 1
            if half.missing or self._begun.get(place) is not half:
                return
            del self._begun[place]
        inside = span_from(below[0], below[0].start), span_from(below[1], below[1].start)
        self._take(*place, half.pixels[inside])
        self._complete.append((place, half.pixels))
        if len(self._complete) == 1:  # this thread stores it next
            return
        storing = begin(self._store_one, "write")  # the others
        with self._lock:
            self._storing.append(storing)

    def _half_at(self, place: Place) -> _Half | None:
        """The chunk as far as it is collected; None where it is not collected here."""
        found = self._begun.get(place)
        if found is not None or place in self._spoiled:
            return found
        if self._held >= MOST_HELD:
            self._spoiled.add(place)
            self._spoil_below(place)
            return None
        level, above = self._levels[place[0]], self._levels[place[0] - 1]
        y, x = level.chunk_at(place[1])
        pixels = _room(level.chunks)
        clear_beyond(pixels, (y.stop - y.start, x.stop - x.start))
        size = above.shape
        missing = sum(1 for _ in above.pieces(doubled(y, size[0]), doubled(x, size[1])))
        self._begun[place] = found = _Half(pixels, missing)
        self._held += 1
        return found

    def _store_one(self) -> None:
        try:
            place, pixels = self._complete.popleft()
        except IndexError:  # another thread took it
            return
        try:
            self._levels[place[0]].store(place[1], pixels)
        finally:
            with self._lock:
                self._held -= 1
            _keep(pixels)
        with self._lock:
            if place not in self._spoiled:
                self._stored.add(place)


def _room(chunks: tuple[int, int]) -> Labels:
    """Memory of any content for a chunk."""
    count = chunks[0] * chunks[1]
    try:
        room = _spare.pop()
    except IndexError:  # no room is large enough
        room = np.empty(0, np.uint32)
    if room.size < count + SPARE_PX:
        room = np.empty(count + SPARE_PX, np.uint32)
    return in_lines(room, count).reshape(chunks)


def _keep(pixels: Labels) -> None:
    """Keep what `_room` gave for its next call, unless enough is kept."""
    room = pixels.base
    assert isinstance(room, np.ndarray)
    if pixels.nbytes <= LARGEST_KEPT_BYTES and len(_spare) < MOST_KEPT:
        _spare.append(room)


def by_quarters(corner: Corner) -> tuple[int, int, int]:
    """Where a chunk is in an order that completes the chunks of all lower levels soon.

    Two chunks of the second level take turns: who reads the labels has often the same to do for
    the four quarters of one, and two threads would wait for each other.

    >>> sorted([(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3)], key=by_quarters)
    [(0, 0), (0, 2), (0, 1), (0, 3), (1, 0), (1, 1)]
    """
    row, column = corner
    bits = range(max(row, column).bit_length())
    place = sum((row >> k & 1) << 2 * k + 1 | (column >> k & 1) << 2 * k for k in bits)
    return place >> 3, place & 3, place >> 2 & 1
