"""The lines that profilers saw, as a record holds them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tbscale.bench.schema_machine import Bytes, Count, Part, Seconds, Share


class ScaleneLine(Part):
    """One line as scalene saw it. `source` is kept for this package's own code only."""

    file: str
    line: Count
    function: str
    python_share: Share
    native_share: Share
    system_share: Share
    core_share: Share
    peak_bytes: Bytes
    allocated_bytes: Bytes
    copied_bytes_per_s: float
    source: str | None = None


class ScaleneTable(Part):
    """What scalene measured. `max_footprint_bytes` is its own count, which is not RSS."""

    elapsed_s: Seconds
    max_footprint_bytes: Bytes
    lines: Annotated[tuple[ScaleneLine, ...], Field(min_length=1)]


class TimedLine(Part):
    """One line as line_profiler saw it. `share` is of the function's own total."""

    file: str
    line: Count
    function: str
    hits: Count
    time_s: Seconds
    share: Share
    source: str | None = None


class TimedTable(Part):
    """What line_profiler measured in the named functions."""

    functions: tuple[str, ...]
    lines: Annotated[tuple[TimedLine, ...], Field(min_length=1)]
