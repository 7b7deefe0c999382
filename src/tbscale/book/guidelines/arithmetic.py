"""Guidelines about the network's arithmetic: its operations, its numbers, and their memory."""

from __future__ import annotations

from tbscale.book import formats
from tbscale.book.guidelines.model import Chart, Claim, Guideline
from tbscale.book.guidelines.series import ratio, value

SPEEDUP = Chart("speedup", "times as fast as Cellpose runs the network")


def small(number: float) -> str:
    """A rounding error."""
    return f"{number:.1e}"


FEWER = Guideline(
    "g21",
    "count-operations-before-seconds",
    "Look for a formula with fewer operations before you make the operations faster.",
    (
        Claim("time as it is over time by Winograd's formula", value("speedup", "winograd"),
              "at least", 1.5),
        Claim("time of the compiled network over that by Winograd's formula",
              ratio("tile", "compiled", "winograd"), "at least", 1.2),
        Claim("rounding error over that of the network as it is",
              ratio("largest-error", "winograd", "reference"), "at most", 2.0),
    ),
    "It would be wrong if a compiler gained as much from the same operations, or if the formula "
    "with fewer of them lost digits that the answer needs.",
    SPEEDUP,
)  # fmt: skip


HALF = Guideline(
    "g22",
    "halve-the-precision-where-it-survives",
    "Use narrower numbers where the machine has instructions for them and the answer survives; "
    "measure both.",
    (
        Claim("time in float32 over time in bfloat16, same code",
              ratio("tile", "channels-last", "channels-last-bfloat16"), "at least", 1.3),
        Claim("the same where fewer products are left, by Winograd's formula",
              ratio("tile", "winograd", "winograd-bfloat16"), "at least", 1.2),
        Claim("largest error in bfloat16, of the largest output",
              value("largest-error", "channels-last-bfloat16"), "at most", 0.02, small),
    ),
    "It would be wrong if half the bits were not faster on a machine with the instructions, or if "
    "the error were as large as what the answer rests on.",
    SPEEDUP,
    only_with=("avx512_bf16", "amx_bf16"),
)  # fmt: skip


def count(number: float) -> str:
    """A number of pages."""
    return formats.count(round(number))


REUSE = Guideline(
    "g23",
    "keep-memory-you-will-need-again",
    "Reuse the memory of large temporary arrays instead of giving it back and asking for it again.",
    (
        Claim("time as it is over time with freed memory kept",
              value("speedup", "reference-memory-kept"), "at least", 1.1),
        Claim("page faults of a batch as it is", value("page-faults", "reference"),
              "at least", 100_000, count),
        Claim("the same with freed memory kept", value("page-faults", "reference-memory-kept"),
              "at most", 10_000, count),
    ),
    "It would be wrong if handing out cleared pages cost the system no time worth a mention, or if "
    "the allocator kept them by itself.",
    Chart("page-faults", "page faults of a batch"),
)  # fmt: skip

ALL = (FEWER, HALF, REUSE)
