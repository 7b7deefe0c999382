"""All guidelines, in the order of their keys."""

from __future__ import annotations

from tbscale.book.guidelines import arithmetic, exact, files, memory, pixels, running
from tbscale.book.guidelines.model import Guideline
from tbscale.errors import BookError

GUIDELINES: tuple[Guideline, ...] = tuple(
    sorted(
        (*files.ALL, *memory.ALL, *pixels.ALL, *exact.ALL, *running.ALL, *arithmetic.ALL),
        key=lambda one: one.key,
    )
)


def guideline(key: str) -> Guideline:
    """The guideline of a key such as `g01`.

    Raises
    ------
    BookError : there is none
    """
    for one in GUIDELINES:
        if one.key == key:
            return one
    raise BookError(
        f"there is no guideline {key}; known are {GUIDELINES[0].key} to {GUIDELINES[-1].key}"
    )
