"""Words for what a library raised on a file that it could not read."""

from __future__ import annotations


def one_line(error: Exception) -> str:
    """Kind and message of an error on one line.

    >>> one_line(ValueError("no\\n  good"))
    'ValueError: no good'
    """
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
