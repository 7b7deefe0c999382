"""Show how far a run is: a bar where someone watches, a log line a minute where nobody does."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

logger = logging.getLogger(__name__)

LOG_EVERY_S = 60.0
Item = TypeVar("Item")


def one(_: object) -> int:
    """An item counts as one."""
    return 1


def is_watched() -> bool:
    """Whether a bar would be seen: in a terminal, or in a notebook."""
    return sys.stderr.isatty() or _in_notebook()


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell is not None else None
    return type(running).__name__ == "ZMQInteractiveShell"


def progress(
    items: Iterable[Item],
    title: str,
    unit: str,
    total: int,
    done: int = 0,
    amount: Callable[[Item], int] = one,
    now_s: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Pass items on and show the step, the rate and the time left.

    Parameters
    ----------
    total, done : units of the whole step, and those that an earlier run has done
    amount : units of an item
    now_s : a clock, seconds
    """
    if is_watched():
        with tqdm(total=total, initial=done, desc=title, unit=unit) as bar:
            for item in items:
                yield item
                bar.update(amount(item))
        return
    started = told = now_s()
    here = 0
    for item in items:
        yield item
        here += amount(item)
        if now_s() - told >= LOG_EVERY_S:
            told = now_s()
            logger.info("%s", progress_line(title, unit, total, done, here, told - started))


def progress_line(title: str, unit: str, total: int, done: int, here: int, passed_s: float) -> str:
    """One line on how far a step is.

    Parameters
    ----------
    done, here : units done by earlier runs, and by this one in `passed_s` seconds

    >>> progress_line("network", "row", 1000, 100, 150, 60)
    'network: 250 of 1,000 rows (25 %), 150 rows a minute, 5 min left'
    """
    per_s = here / passed_s if passed_s > 0 else 0.0
    at = done + here
    left = format_time((total - at) / per_s) if per_s else "unknown time"
    return (
        f"{title}: {at:,} of {total:,} {unit}s ({100 * at // max(total, 1)} %), "
        f"{60 * per_s:,.3g} {unit}s a minute, {left} left"
    )


def format_time(seconds: float) -> str:
    """Seconds in words of two units at most.

    >>> format_time(45), format_time(300), format_time(5000)
    ('45 s', '5 min', '1 h 23 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
