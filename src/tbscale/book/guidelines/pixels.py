"""Guidelines about loops: over objects, over iterations, over what is empty."""

from __future__ import annotations

from tbscale.bench.schema import Record
from tbscale.book import formats
from tbscale.book.guidelines.model import Chart, Claim, Guideline
from tbscale.book.guidelines.series import Span, ratio, rounds_of, span_of, value

LOOP = Guideline(
    "g07",
    "never-loop-over-objects",
    "Never loop over objects in the interpreter; pass over the pixels once, or compile the loop.",
    (
        Claim(
            "means by a loop over cells, over one pass",
            ratio("objects.time", "a loop over the cells", "one pass over the pixels"),
            "at least",
            10.0,
        ),
        Claim(
            "flow check by a Python loop, over compiled",
            ratio(
                "objects.check-time",
                "a Python loop over the cells",
                "a compiled loop over the cells",
            ),
            "at least",
            2.0,
        ),
    ),
    "It would be wrong if the cost of one turn of the loop were small beside the work in it.",
    Chart("objects.time", "time for the mean of every cell, ms", 1e3, log=True),
)

STOP = Guideline(
    "g08",
    "stop-at-the-fixed-point",
    "Stop each element when it no longer moves; the remaining iterations change nothing.",
    (
        Claim(
            "all iterations over those needed",
            ratio("follow.steps", "all iterations", "to the fixed point"),
            "at least",
            2.0,
        ),
        Claim(
            "time one iteration at a time over to the fixed point",
            ratio(
                "follow.time",
                "one iteration at a time",
                "one pixel at a time, to the fixed point",
            ),
            "at least",
            1.5,
        ),
        Claim(
            "coordinates that differ",
            value("follow.differing", "to the fixed point"),
            "at most",
            0.0,
            formats.compact,
        ),
    ),
    "It would be wrong if elements kept moving until the last iteration, or if stopping early "
    "changed one of them.",
    Chart("follow.time", "time to follow every pixel, one thread, ms", 1e3),
)


def saved_of_the_empty(record: Record) -> Span | None:
    """Time saved by skipping the background, over the share of the background."""
    times, pixels = rounds_of(record, "skip.time"), rounds_of(record, "skip.pixels")
    every, only = pixels.get("every pixel"), pixels.get("only the foreground")
    if not every or not only or every[0] == only[0]:
        return None
    empty = 1 - only[0] / every[0]
    rounds = zip(times["every pixel"], times["only the foreground"], strict=True)
    return span_of([(1 - some / whole) / empty for whole, some in rounds])


SKIP = Guideline(
    "g09",
    "skip-the-empty",
    "Find out what is empty by a cheap test, and keep the costly step away from it.",
    (
        Claim(
            "time saved over the share that is empty",
            saved_of_the_empty,
            "at least",
            0.5,
            formats.compact,
        ),
        Claim(
            "coordinates that differ",
            value("skip.differing", "only the foreground"),
            "at most",
            0.0,
            formats.compact,
        ),
    ),
    "It would be wrong if the test and the scattered access cost half of what they save.",
    Chart("skip.time", "time to follow, ms", 1e3),
)

FAR = Guideline(
    "g10",
    "mind-far-coordinates",
    "A float32 coordinate is coarser far from the origin: choose one frame, keep it in every "
    "block, and know its resolution.",
    (
        Claim(
            "pixels that end elsewhere at the far side of the largest plane",
            value("far.moved-share", "27,120 px from the origin"),
            "at least",
            1e-4,
            formats.share_fine,
        ),
    ),
    "It would be wrong if the same flows led to the same places wherever they lie.",
    Chart("far.moved-share", "share of pixels that end elsewhere", log=True),
)

ALL = (LOOP, STOP, SKIP, FAR)
