"""What one record says: one measurement, one JSON file.

Format history
--------------
1 (2026-11): first version.

Times are seconds, memory is bytes, lengths are pixels unless the name says otherwise. Statistics
are never stored: they are computed on reading (`tbscale.bench.statistics`). Which quantities
travel between machines is said in `tbscale.bench.quantities`.
"""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import model_validator

from tbscale.bench.schema_machine import (
    Bytes,
    Code,
    Count,
    Cpu,
    Gpu,
    Load,
    Machine,
    Memory,
    Part,
    Scalar,
    Seconds,
    Sha256,
    Share,
    Slug,
    Storage,
    Threads,
)
from tbscale.bench.schema_tables import ScaleneLine, ScaleneTable, TimedLine, TimedTable
from tbscale.steps import STEPS

__all__ = [
    "SCHEMA_VERSION",
    "Code",
    "Cpu",
    "Gpu",
    "Load",
    "Machine",
    "Memory",
    "Part",
    "Record",
    "ScaleneLine",
    "ScaleneTable",
    "Storage",
    "Threads",
    "TimedLine",
    "TimedTable",
]

SCHEMA_VERSION = 1
OVERHEAD_TOLERANCE = 1e-6  # an overhead ratio is checked against the walls it was made of


class Dataset(Part):
    """The plane that was measured.

    `shape` is the whole plane (Y, X); `crop` is (y0, y1, x0, x1) of the region read, or null for
    all of it. `sha256` is of the pixels of that region, C order, little-endian, in `dtype`.
    """

    name: Slug
    origin: Literal["real", "stand-in"]
    shape: tuple[Count, Count]
    level: Count
    channel: Count
    channel_name: str | None
    channels: Count
    crop: tuple[Count, Count, Count, Count] | None
    dtype: str
    pixel_size_um: float | None
    sha256: Sha256

    @property
    def pixels(self) -> int:
        """Pixels of the region that was read."""
        if self.crop is None:
            return self.shape[0] * self.shape[1]
        y0, y1, x0, x1 = self.crop
        return (y1 - y0) * (x1 - x0)


class Engine(Part):
    """What segmented: `stock` is Cellpose untouched, `tbscale` is this package."""

    name: Slug
    versions: dict[str, str]


class Weights(Part):
    """The weights of the network, by content."""

    name: str
    sha256: Sha256


class Span(Part):
    """One interval of one step on the repeat's own clock (0 = its start)."""

    step: str
    start_s: Seconds
    stop_s: Seconds


class Repeat(Part):
    """One run of the whole segmentation inside a process.

    `steps` holds the wall seconds charged to each step and `step_peak_rss_bytes` the largest
    sample while it ran (absent where a step was shorter than the sampling interval).
    `uncharged_s` is what no step claims. `rss_time_s` and `rss_bytes` are the samples, thinned
    to the largest of each bucket; `spans` are merged where they are too short to draw.
    """

    warm_up: bool
    wall_s: Seconds
    cpu_s: Seconds
    steps: dict[str, Seconds]
    uncharged_s: float
    step_peak_rss_bytes: dict[str, Bytes]
    peak_rss_bytes: Bytes
    spans: tuple[Span, ...]
    rss_time_s: tuple[Seconds, ...]
    rss_bytes: tuple[Bytes, ...]
    counts: dict[str, Count]

    @model_validator(mode="after")
    def _consistent(self) -> Repeat:
        unknown = set(self.steps) | set(self.step_peak_rss_bytes) | {s.step for s in self.spans}
        unknown -= set(STEPS)
        if unknown:
            raise ValueError(f"unknown steps {sorted(unknown)}")
        if len(self.rss_time_s) != len(self.rss_bytes):
            raise ValueError("rss_time_s and rss_bytes differ in length")
        return self


class Pass(Part):
    """One fresh process.

    `peak_rss_bytes` is the process's lifetime maximum as the operating system counts it, imports
    and weights included; `start_rss_bytes` is before the first repeat. `tree_peak_rss_bytes` is
    the largest sampled sum over the process and its children. `prepare_s` is imports and loading
    of weights, outside every repeat. `overhead_ratio` is the first
    repeat's wall over that of the plain pass's first repeat: both start cold.
    """

    instrument: Literal["plain", "scalene", "line_profiler"]
    instrument_version: str
    command: str
    ended: Literal["completed", "out_of_memory", "time_limit", "error"]
    ended_detail: str | None
    overhead_ratio: float | None
    prepare_s: Seconds
    start_rss_bytes: Bytes
    peak_rss_bytes: Bytes
    tree_peak_rss_bytes: Bytes
    threads: Threads
    repeats: tuple[Repeat, ...]
    scalene: ScaleneTable | None = None
    line_profiler: TimedTable | None = None

    @model_validator(mode="after")
    def _yielded(self) -> Pass:
        if self.ended != "completed":
            return self
        if not any(not repeat.warm_up for repeat in self.repeats):
            raise ValueError(f"the {self.instrument} pass holds no repeat")
        if self.instrument == "scalene" and self.scalene is None:
            raise ValueError("the scalene pass holds no lines")
        if self.instrument == "line_profiler" and self.line_profiler is None:
            raise ValueError("the line_profiler pass holds no lines")
        return self

    @property
    def measured(self) -> tuple[Repeat, ...]:
        """Repeats without the warm-ups."""
        return tuple(repeat for repeat in self.repeats if not repeat.warm_up)


class Agreement(Part):
    """Labels set beside a reference. `ap` is keyed by the IoU threshold ("0.5")."""

    reference: str
    reference_record: Sha256 | None
    grade: Literal["bit", "partition", "near", "ap"]
    cells: Count
    reference_cells: Count
    differing_share: Share
    ap: dict[str, Share]


class Result(Part):
    """What came out. `labels_sha256` identifies the partition: ids renumbered in raster order."""

    cells: Count
    foreground_pixels: Count
    labels_sha256: Sha256
    agreements: tuple[Agreement, ...]


class Measure(Part):
    """One further number, for experiments that are not a profile."""

    name: Slug
    subject: str
    value: float
    unit: str
    scope: Literal["portable", "local"]


class Record(Part):
    """One measurement: what made it, every repeat, and what came out."""

    schema_version: Literal[1]
    id: Sha256
    created: datetime.date
    experiment: Slug
    dataset: Dataset
    engine: Engine
    parameters: dict[str, Scalar | tuple[Scalar, ...]]
    weights: Weights | None
    machine: Machine
    software: dict[str, str]
    code: Code
    command: str
    passes: tuple[Pass, ...]
    result: Result | None
    measures: tuple[Measure, ...] = ()

    @model_validator(mode="after")
    def _holds_something(self) -> Record:
        if not self.passes and not self.measures:
            raise ValueError("a record needs a pass or a measure")
        kinds = [one.instrument for one in self.passes]
        if len(set(kinds)) != len(kinds):
            raise ValueError("each instrument may have one pass")
        if any(one.ended == "completed" for one in self.passes) and self.result is None:
            raise ValueError("a completed pass needs a result")
        return self

    @model_validator(mode="after")
    def _overheads_follow(self) -> Record:
        plain = self.find_pass("plain")
        for one in self.passes:
            if one.overhead_ratio is None or one is plain:
                continue
            if plain is None or not plain.repeats or not one.repeats:
                raise ValueError(f"the overhead of {one.instrument} has nothing to stand on")
            expected = one.repeats[0].wall_s / plain.repeats[0].wall_s
            if abs(one.overhead_ratio / expected - 1) > OVERHEAD_TOLERANCE:
                raise ValueError(f"the overhead of {one.instrument} does not follow from its walls")
        return self

    def find_pass(self, instrument: str) -> Pass | None:
        """The pass of one instrument, or None."""
        return next((one for one in self.passes if one.instrument == instrument), None)

    @property
    def plain(self) -> Pass:
        """The plain pass: the headline. KeyError where the record has none."""
        found = self.find_pass("plain")
        if found is None:
            raise KeyError("plain")
        return found
