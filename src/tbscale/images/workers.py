"""Threads that decode and encode chunks: codecs let go of the interpreter while they work."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

MOST_WORKERS = 8  # each holds a chunk; beyond, memory grows and disks do not follow
Item = TypeVar("Item")
Result = TypeVar("Result")


def worker_count() -> int:
    """Threads for chunks: as many as OMP_NUM_THREADS says, else as this process has cores."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said) > 0:
        return min(int(said), MOST_WORKERS)
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


_here = threading.local()  # has `works` in the threads of a pool


def _mark() -> None:
    _here.works = True


@cache
def _pool(workers: int, kind: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix=kind, initializer=_mark)


def _forget() -> None:
    """In a forked child the threads of its parent's pools are gone."""
    _pool.cache_clear()
    vars(_here).clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _alone() -> bool:
    """Whether work is done where it is asked for: one worker, or one that asks itself."""
    return worker_count() == 1 or hasattr(_here, "works")  # workers do not wait for workers


@contextmanager
def alone() -> Iterator[None]:
    """What this thread asks for inside is done by itself, as in a worker.

    For work that other threads wait for: a pool full of those would never come to it.
    """
    marked = hasattr(_here, "works")
    _mark()
    try:
        yield
    finally:
        if not marked:
            del _here.works


def each(
    do: Callable[[Item], object],
    items: Sequence[Item],
    kind: str = "read",
    beyond: Sequence[Item] = (),
) -> None:
    """Do something with every item, several at a time; an error ends it and is raised.

    None of them runs any more when it returns, by an error or not.

    Parameters
    ----------
    kind : read or write; who writes may hold a lock that readers wait for, so they share no pool
    beyond : begun after the items by the workers that these leave idle, and not waited for: it may
        run on, fail unseen or never begin
    """
    if _alone() or (len(items) < 2 and not beyond):
        for item in items:
            do(item)
        return
    pool, left = _pool(worker_count(), kind), deque(items)
    # not a future an item: that takes the cores from the workers
    futures = [pool.submit(_work, do, left) for _ in range(min(worker_count(), len(items)))]
    later = [pool.submit(do, item) for item in beyond]
    try:
        for future in futures:
            future.result()
    except BaseException:
        left.clear()
        _end(later)
        raise
    finally:
        _end(futures)


def _work(do: Callable[[Item], object], left: deque[Item]) -> None:
    """Take one item after another; where one fails, none is left for anybody."""
    while True:
        try:
            item = left.popleft()
        except IndexError:
            return
        try:
            do(item)
        except BaseException:
            left.clear()
            raise


def begin(do: Callable[[], Result], kind: str = "read") -> Future[Result]:
    """Begin something that is waited for later, if at all; a single worker does it at once.

    Workers may begin what they do not wait for: it comes after what their pool has.
    """
    if worker_count() > 1:
        return _pool(worker_count(), kind).submit(do)
    done: Future[Result] = Future()
    try:
        done.set_result(do())
    except Exception as error:
        done.set_exception(error)
    return done


def _end(futures: Iterable[Future[Result]]) -> None:
    """Cancel what has not begun, and wait for what has."""
    running = [future for future in futures if not future.cancel()]
    wait(running)


def ahead(do: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results in order, while the next ones are being made.

    At most one a worker and one more: who uses a result would else keep a worker waiting.

    >>> list(ahead(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    if _alone():
        yield from map(do, items)
        return
    workers = worker_count()
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(_pool(workers, "read").submit(do, item))
            if len(waiting) > workers + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        _end(waiting)
