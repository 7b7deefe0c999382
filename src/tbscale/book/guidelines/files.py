"""Guidelines about files: what to read, in which chunks, and how to notice damage."""

from __future__ import annotations

from tbscale.book import formats
from tbscale.book.guidelines.model import Chart, Claim, Guideline
from tbscale.book.guidelines.series import largest, ratio

READ_ONLY = Guideline(
    "g01",
    "read-only-what-you-use",
    "Open the file lazily and decode only the channel, level and region that the next step uses.",
    (
        Claim(
            "bytes of all eight channels over those of one",
            ratio("channels.bytes", "every channel, planes apart", "one channel, planes apart"),
            "at least",
            4.0,
        ),
        Claim(
            "time of all eight channels over that of one",
            ratio("channels.time", "every channel, planes apart", "one channel, planes apart"),
            "at least",
            4.0,
        ),
    ),
    "It would be wrong if reading everything cost less than half of what the number of channels "
    "says: a fixed cost of opening, or a layout that stores all channels of a pixel together.",
    Chart("channels.time", "time to get one channel, ms", 1e3),
)

CHUNKS = Guideline(
    "g02",
    "match-chunks-to-access",
    "Choose the chunks of a file for the shape of the reads to come, not for the shape of the "
    "image.",
    (
        Claim(
            "pixels decoded for columns over rows, out of strips",
            ratio("chunks.decoded", "columns out of strips", "rows out of strips"),
            "at least",
            4.0,
        ),
        Claim(
            "time for columns over rows, out of strips",
            ratio("chunks.time", "columns out of strips", "rows out of strips"),
            "at least",
            2.0,
        ),
    ),
    "It would be wrong if as many columns as rows took the same time out of strips: then the "
    "shape of the chunks would not matter.",
    Chart("chunks.time", "time to read the same number of pixels, ms", 1e3),
)

CHECK_READ = Guideline(
    "g12",
    "fail-loudly",
    "Check what you read against a checksum and stop; a decoder that says nothing has not checked.",
    (
        Claim(
            "flipped bits that one codec let through in silence",
            largest("damage.silent"),
            "at least",
            0.5,
            formats.share,
        ),
        Claim(
            "let through where a checksum of the chunk was kept",
            largest("damage.silent-with-crc"),
            "at most",
            0.0,
            formats.share,
        ),
    ),
    "It would be wrong if every codec raised on damaged data, or if the checksum missed some.",
    Chart("damage.silent", "share of flipped bits that changed pixels in silence"),
)

ALL = (READ_ONLY, CHUNKS, CHECK_READ)
