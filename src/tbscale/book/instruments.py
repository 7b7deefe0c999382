"""How far measurements can be trusted: spread of repeats, cost of instruments, a second opinion."""

from __future__ import annotations

from collections.abc import Iterator

from tbscale.bench.schema import Pass
from tbscale.book import formats
from tbscale.book.markdown import cell, number, table, text
from tbscale.book.shelf import Entry, Shelf
from tbscale.book.tables import DASH, machine_text, scoped

# where the lines lie that run the network, in the reference and in this package
NETWORK_FILES = (
    "cellpose/resnet_torch.py",
    "tbscale/engine/network.py",
    "tbscale/engine/fastnet/",
)


def current_profiles(shelf: Shelf) -> Iterator[Entry]:
    """The newest completed profile of each whole plane, engine and machine."""
    for one in shelf.profile_sets:
        if one.crop is None:
            yield from (entry for entry in one.current if entry.completed)


def named(entry: Entry, root: str) -> list[str]:
    """The cells that say which measurement a row is of."""
    record = entry.record
    link = f"[{cell(record.dataset.name)}]({root}records/{entry.address}.md)"
    return [link, cell(entry.ran), cell(machine_text(record.machine))]


NAMES = (text("image"), text("engine"), text("machine"))


def spread_table(shelf: Shelf, root: str) -> str:
    """Repeats of every profile: how far apart the smallest and the largest lie."""
    rows = [
        [
            *named(entry, root),
            str(entry.wall.n),
            formats.seconds(entry.wall.median),
            formats.share(entry.wall.spread / entry.wall.median) if entry.wall.n > 1 else DASH,
            formats.share(_memory_spread(entry)) if entry.wall.n > 1 else DASH,
        ]
        for entry in current_profiles(shelf)
    ]
    columns = [
        *NAMES,
        number("repeats"),
        number(scoped("median", "Repeat.wall_s")),
        number("spread of time"),
        number("spread of peak memory"),
    ]
    return table(columns, rows)


def _memory_spread(entry: Entry) -> float:
    peaks = [repeat.peak_rss_bytes for repeat in entry.record.plain.measured]
    return (max(peaks) - min(peaks)) / max(peaks)


def overhead_table(shelf: Shelf, root: str) -> str:
    """What each instrument cost: first run under it against the first plain run, both cold."""
    rows = [
        [
            *named(entry, root),
            one.instrument,
            formats.ratio(one.overhead_ratio),
            formats.ratio(one.peak_rss_bytes / entry.record.plain.peak_rss_bytes),
        ]
        for entry in current_profiles(shelf)
        for one in entry.record.passes
        if one.overhead_ratio is not None
    ]
    columns = [
        *NAMES,
        text("instrument"),
        number(scoped("time against plain", "Pass.overhead_ratio")),
        number("peak memory against plain"),
    ]
    return table(columns, rows)


def network_share(one: Pass) -> float | None:
    """Share of the run that scalene saw on lines of the network; None where it saw no lines."""
    if one.scalene is None or not one.scalene.lines:
        return None
    lines = [line for line in one.scalene.lines if any(f in line.file for f in NETWORK_FILES)]
    return sum(line.python_share + line.native_share + line.system_share for line in lines)


def second_opinion_table(shelf: Shelf, root: str) -> str:
    """The network's share of the run by our clock, and by a profiler that knows nothing of it."""
    rows = []
    for entry in current_profiles(shelf):
        scalene = entry.record.find_pass("scalene")
        seen = None if scalene is None else network_share(scalene)
        if seen is None or "network" not in entry.steps:
            continue
        ours = entry.step_share("network")
        rows.append([*named(entry, root), *map(formats.share, (ours, seen, abs(ours - seen)))])
    columns = [*NAMES, number("by the clock"), number("by scalene"), number("apart")]
    return table(columns, rows)
