"""Guidelines about machines and runs: limits, threads, kills, measurements."""

from __future__ import annotations

import statistics

from tbscale.bench.schema import Record
from tbscale.book import formats
from tbscale.book.guidelines.model import Chart, Claim, Guideline
from tbscale.book.guidelines.series import Span, ratio, rounds_of, span_of, value


def tile_over_limit(record: Record) -> Span | None:
    """Time of a batch over the time that its operations take at the rate of a matrix product."""
    times = rounds_of(record, "network.tile-time").get("float32")
    tiles = rounds_of(record, "network.tiles").get("in a batch")
    operations = rounds_of(record, "network.operations").get("one tile")
    rates = rounds_of(record, "network.rate").get("matrix product in float32")
    if not (times and tiles and operations and rates):
        return None
    least_s = tiles[0] * operations[0] / statistics.median(rates)
    return span_of([time_s / least_s for time_s in times])


LIMIT = Guideline(
    "g11",
    "know-the-arithmetic-limit",
    "Divide the operations by the rate of the machine before you tune: that quotient is what "
    "tuning can reach.",
    (
        Claim("network time over the arithmetic limit", tile_over_limit, "at most", 4.0),
        Claim("the same, so that it is a limit", tile_over_limit, "at least", 0.8),
    ),
    "It would be wrong if the network took many times its limit, so that something else than "
    "arithmetic decides, or less than its limit, so that the limit is none.",
)

RESUME = Guideline(
    "g17",
    "make-work-resumable",
    "Keep finished work on disk in pieces that are whole or absent, so that a kill costs one "
    "piece and not the run.",
    (
        Claim(
            "tiles seen when killed half way and continued, over one run",
            ratio("resume.tiles", "killed half way, continued", "one run, never killed"),
            "at most",
            1.25,
        ),
        Claim(
            "the same when started again",
            ratio("resume.tiles", "killed half way, started again", "one run, never killed"),
            "at least",
            1.4,
        ),
    ),
    "It would be wrong if continuing repeated a quarter of the run.",
    Chart("resume.tiles", "tiles that the network saw"),
)

OVERLAP = Guideline(
    "g18",
    "overlap-the-stages",
    "Read the next piece and write the last one while this one is computed.",
    (
        Claim(
            "time one stage after the other over side by side",
            ratio("overlap.time", "one stage after the other", "stages side by side"),
            "at least",
            1.15,
        ),
        Claim(
            "pieces that differ",
            value("overlap.differing", "stages side by side"),
            "at most",
            0.0,
            formats.compact,
        ),
    ),
    "It would be wrong if one stage took nearly all the time, or if the stages held a lock "
    "against each other.",
    Chart("overlap.time", "time for all pieces, s"),
)

THREADS = Guideline(
    "g19",
    "fit-threads-to-cores",
    "Processes times threads is at most the number of cores; set both, and trust no default.",
    (
        Claim(
            "time with a thread a core in every process over one thread",
            ratio("threads.time", "a thread a core a process", "one thread a process"),
            "at least",
            1.1,
        ),
    ),
    "It would be wrong if more threads than cores cost nothing.",
    Chart("threads.time", "time of the slowest process, s"),
)


def first_over_rest(record: Record) -> Span | None:
    """First run of the process over the median of the later ones; None without a warm-up."""
    plain = record.find_pass("plain")
    if plain is None or plain.ended != "completed" or not plain.repeats[0].warm_up:
        return None
    later = statistics.median(one.wall_s for one in plain.measured)
    return span_of([plain.repeats[0].wall_s / later])


MEASURE = Guideline(
    "g20",
    "measure-in-fresh-processes",
    "Measure in a fresh process: warm up, repeat, keep every repeat, and rank nothing closer "
    "than its spread.",
    (Claim("first run over the median of later ones", first_over_rest, "at least", 1.02),),
    "It would be wrong if the first run were like all others: then a warm-up would be a waste.",
)

ALL = (LIMIT, RESUME, OVERLAP, THREADS, MEASURE)
