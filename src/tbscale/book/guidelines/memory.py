"""Guidelines about memory: bounds, projections, copies, results that nobody asked for."""

from __future__ import annotations

from tbscale.bench.reference import CPU, device_of
from tbscale.bench.schema import Record
from tbscale.bench.statistics import peak_over_plan
from tbscale.book.guidelines.model import Chart, Claim, Guideline
from tbscale.book.guidelines.series import Span, ratio, span_of

BOUND = Guideline(
    "g03",
    "bound-memory-by-design",
    "Let the peak depend on the size of a strip or block, never on the size of the image.",
    (
        Claim(
            "growth of the peak, strip by strip, for a plane four times as high",
            ratio("bounded.streamed", "4", "1"),
            "at most",
            1.25,
        ),
        Claim(
            "growth of the peak, whole plane at once",
            ratio("bounded.whole", "4", "1"),
            "at least",
            2.5,
        ),
    ),
    "It would be wrong if the strips' peak grew with the plane, or if the whole plane's did not.",
    Chart("bounded.peak", "peak memory, MiB", 1 / 1024**2),
)


def measured_over_projected(record: Record) -> Span | None:
    """Peak of the plain pass over the peak that the plan stated; None without a plan.

    Nor on a GPU, whose driver and libraries take memory that no plan knows.
    """
    plain = record.find_pass("plain")
    if plain is None or plain.ended != "completed" or device_of(record.parameters) != CPU:
        return None
    ratio_ = peak_over_plan(record)
    return None if ratio_ is None else span_of([ratio_])


PROJECT = Guideline(
    "g04",
    "project-before-you-run",
    "Compute the peak from the shape and the settings before anything starts, refuse what does "
    "not fit, and check the projection against every run.",
    (
        Claim("measured peak over the projected one", measured_over_projected, "at most", 1.0),
        Claim("the same, so that it is of use", measured_over_projected, "at least", 0.5),
    ),
    "A projection below the measurement would be broken, and one of more than twice the "
    "measurement would refuse runs that fit.",
)

COPIES = Guideline(
    "g05",
    "keep-copies-out",
    "Do a chain of operations in one array; each whole-image expression in between is a copy.",
    (
        Claim(
            "peak with a copy for each operation over in place",
            ratio("copies.peak", "a copy for each operation", "in place"),
            "at least",
            2.0,
        ),
    ),
    "It would be wrong if the interpreter freed each intermediate array in time, so that both "
    "peaks were alike.",
    Chart("copies.peak", "peak memory, bytes a pixel"),
)

ASKED = Guideline(
    "g06",
    "compute-what-is-asked",
    "Compute a result when somebody asks for it, not because it could be of use.",
    (
        Claim(
            "peak of the display image over the labels' own size",
            ratio("asked.peak", "the flow drawn in colours", "the labels"),
            "at least",
            1.0,
        ),
        Claim(
            "time of a table with four more columns over the one asked for",
            ratio("asked.time", "and four more", "the columns asked for"),
            "at least",
            2.0,
        ),
    ),
    "It would be wrong if the extra results were small change beside those asked for.",
    Chart("asked.time", "time to measure the cells, s"),
)

ALL = (BOUND, PROJECT, COPIES, ASKED)
