"""One made-up record as the book sees it."""

from collections.abc import Callable
from typing import Any

from made_up import made_up_document

from tbscale.bench.records import seal
from tbscale.book.shelf import Entry

Json = dict[str, Any]


def an_entry(
    change: Callable[[Json], None] = lambda document: None, published: bool = True
) -> Entry:
    document = made_up_document()
    document["dataset"].update(name="exemplar-001", shape=[3138, 2509], channels=12)
    change(document)
    return Entry(seal(document), published)
