"""Guidelines about results that must not depend on how the work was cut."""

from __future__ import annotations

from tbscale.bench.schema import Record
from tbscale.book import formats
from tbscale.book.guidelines.model import Chart, Claim, Guideline
from tbscale.book.guidelines.series import Span, ratio, rounds_of, span_of, value


def cells_invented(record: Record) -> Span | None:
    """Cells in pieces without any, with their own limits less those with the plane's."""
    rounds = rounds_of(record, "limits.cells")
    own = rounds.get("pieces without cells, own limits", [])
    plane = rounds.get("pieces without cells, limits of the plane", [])
    return span_of([here - there for here, there in zip(own, plane, strict=True)])


NORMALISE = Guideline(
    "g13",
    "normalise-once",
    "Find the intensity limits once, over the whole image, and hand the same ones to every piece.",
    (
        Claim(
            "foreground that changes where pieces without cells set their own limits",
            value("limits.changed", "pieces without cells"),
            "at least",
            0.01,
            formats.share,
        ),
        Claim(
            "cells found in them beyond those found with the limits of the plane",
            cells_invented,
            "at least",
            1.0,
            formats.compact,
        ),
    ),
    "It would be wrong if pieces with their own limits gave what the whole image gives, even "
    "where they hold nothing but background.",
    Chart("limits.cells", "cells found"),
)

GRID = Guideline(
    "g14",
    "keep-one-grid",
    "Lay one grid of tiles over the whole image, and let every piece compute its part of it.",
    (
        Claim(
            "foreground that changes on a grid of the piece's own",
            value("grid.changed", "a grid of its own"),
            "at least",
            1e-4,
            formats.share_fine,
        ),
        Claim(
            "foreground that changes on the grid of the plane",
            value("grid.changed", "the grid of the plane"),
            "at most",
            0.0,
            formats.share,
        ),
    ),
    "It would be wrong if the network answered alike wherever a tile begins.",
    Chart("grid.changed", "share of the foreground that changes"),
)

OWN = Guideline(
    "g15",
    "own-objects-by-a-point",
    "Give each object one point, and let the block that holds the point make the whole object.",
    (
        Claim(
            "cells that change when blocks are cropped and pasted",
            value("own.changed", "cropped and pasted"),
            "at least",
            0.01,
            formats.share,
        ),
        Claim(
            "cells that change when a block owns what its seeds own",
            value("own.changed", "owned by the seed"),
            "at most",
            0.0,
            formats.share,
        ),
    ),
    "It would be wrong if few cells met a border, or if owning by a point lost or doubled one.",
    Chart("own.changed", "share of the cells that change"),
)

NUMBER = Guideline(
    "g16",
    "number-by-prefix-sum",
    "Let each block count its objects, add the counts up, and number from there: no gaps, no "
    "order, no limit.",
    (
        Claim(
            "cells whose id depends on the order of blocks, shared counter",
            value("number.changed", "a shared counter"),
            "at least",
            0.5,
            formats.share,
        ),
        Claim(
            "the same, prefix sum",
            value("number.changed", "a prefix sum"),
            "at most",
            0.0,
            formats.share,
        ),
        Claim(
            "largest id, blocks spaced by 100,000 over prefix sum",
            ratio("number.largest-id", "blocks spaced by 100,000", "a prefix sum"),
            "at least",
            10.0,
        ),
    ),
    "It would be wrong if blocks always finished in one order, or if the prefix sum depended on "
    "that order.",
    Chart("number.largest-id", "largest id", log=True),
)

ALL = (NORMALISE, GRID, OWN, NUMBER)
