"""The tables of the book, each made from records alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tbscale.bench.machine_slug import widest_vectors
from tbscale.bench.quantities import scope_of
from tbscale.bench.reference import REFERENCE_ENGINE, is_reference
from tbscale.bench.schema import Machine, Pass, Record, ScaleneLine
from tbscale.book import formats
from tbscale.book.freshness import age_badge
from tbscale.book.markdown import badge, cell, code, number, table, text
from tbscale.book.same_labels import own_agreements
from tbscale.book.shelf import Entry, ProfileSet, Shelf

DASH = "–"
HOT_LINES = 10
NOTABLE_SHARE = 0.01
GIB = 1024**3


def scoped(heading: str, field: str) -> str:
    """A heading with what `field` of the schema is: portable or local to the machine."""
    return f"{heading} <small>{scope_of(field)}</small>"


def machine_text(machine: Machine) -> str:
    """CPU, vectors, cores and memory in a few words, with the first accelerator."""
    gpus = [gpu.name for gpu in machine.gpus[:1]]
    cores = f"{machine.cpu.logical_cores} cores"
    memory = f"{round(machine.memory.total_bytes / GIB)}{formats.NBSP}GiB"
    return ", ".join([machine.cpu.model, *widest_vectors(machine.cpu), cores, memory, *gpus])


def origin_badge(record: Record) -> str:
    """A label that says stand-in or real."""
    origin = record.dataset.origin
    return badge(origin, origin)


def largest_steps(entry: Entry, how_many: int = 2) -> str:
    """The steps that take most, with their share of the run; small change is left out."""
    ranked = sorted(entry.steps, key=entry.step_share, reverse=True)[:how_many]
    ranked = [step for step in ranked if entry.step_share(step) >= NOTABLE_SHARE] or ranked[:1]
    return ", ".join(f"{step} {formats.share(entry.step_share(step))}" for step in ranked)


def outcome_cells(entry: Entry) -> list[str]:
    """Wall, peak, cells and largest steps of a record, or how it ended."""
    if not entry.completed:
        ended = entry.record.plain.ended.replace("_", " ")
        return [ended, formats.memory(entry.peak_rss_bytes), DASH, DASH, DASH]
    result = entry.record.result
    return [
        wall_cell(entry),
        formats.memory(entry.peak_rss_bytes),
        formats.count(result.cells) if result else DASH,
        grade_of(entry),
        largest_steps(entry),
    ]


def wall_cell(entry: Entry) -> str:
    """Median of the repeats, marked where there is one run, which is cold."""
    seconds = formats.seconds(entry.wall.median)
    return f"{seconds}, once" if entry.wall.n == 1 else seconds


def grade_of(entry: Entry) -> str:
    """How the labels stand to those of the stock engine on a CPU, which is the reference.

    Where that gave none, to those of another engine, which is then named.
    """
    if is_reference(entry.record.engine.name, entry.record.parameters):
        return "reference"
    agreements = own_agreements(entry.record) or entry.shared
    if not agreements:
        return "not compared"
    first = agreements[0]
    grade, ap = first.grade, first.ap
    other = first.reference.split()[0]
    beside = "" if other == REFERENCE_ENGINE else f", beside {code(other)}"
    if grade != "ap" or not ap:
        return code(grade) + beside
    strictest = max(ap, key=float)
    return f"{code(grade)}, {ap[strictest]:.3f} at IoU {strictest}{beside}"


OUTCOME = (
    number("wall time"),
    number("peak memory"),
    number("cells"),
    text("grade"),
    text("largest steps"),
)


def headline_tables(shelf: Shelf, root: str) -> str:
    """A table for each machine, under its name: of an image and engine outcome and profile.

    Without the largest steps, so that it fits the width of a page.
    """
    machines: dict[str, list[list[str]]] = {}
    for entry in shelf.headline():
        name = f"[{cell(entry.record.dataset.name)}]({_profile_of(shelf, entry, root)})"
        row = [f"{name} {_labels(entry)}", entry.ran, *outcome_cells(entry)[:-1]]
        machines.setdefault(machine_text(entry.record.machine), []).append(row)
    columns = [text("image"), text("engine"), *OUTCOME[:-1]]
    return "\n\n".join(
        f"**{cell(machine)}**\n\n{table(columns, rows)}" for machine, rows in machines.items()
    )


def _profile_of(shelf: Shelf, entry: Entry, root: str) -> str:
    found = shelf.set_of(entry)
    return f"{root}profiles/{found.slug}.md" if found else f"{root}records/{entry.address}.md"


def _labels(entry: Entry) -> str:
    return " ".join(filter(None, (origin_badge(entry.record), age_badge(entry)))) + _here(entry)


def _here(entry: Entry) -> str:
    return "" if entry.published else " " + badge("measured here", "local")


def machines_table(one: ProfileSet, root: str) -> str:
    """The current records of a set beside each other, one line for each machine and model."""
    rows = [
        [
            cell(machine_text(entry.record.machine)) + _here(entry),
            cell(entry.model),
            *outcome_cells(entry),
            f"[{entry.address}]({root}records/{entry.address}.md)",
        ]
        for entry in one.current
    ]
    return table([text("machine"), text("model"), *OUTCOME, text("record")], rows)


def steps_table(entry: Entry) -> str:
    """Median, range, share and peak memory of each step, then what no step claims, then all."""
    peaks = entry.typical_repeat().step_peak_rss_bytes
    rows = [
        [
            code(step),
            formats.seconds(one.median),
            formats.seconds_range(one),
            formats.share(entry.step_share(step)),
            formats.memory(peaks[step]) if step in peaks else DASH,
        ]
        for step, one in entry.steps.items()
    ]
    uncharged = entry.typical_repeat().uncharged_s
    left = formats.share(uncharged / entry.wall.median)
    rows.append(["*no step*", formats.seconds(uncharged), DASH, left, DASH])
    peak = formats.memory(entry.peak_rss_bytes)
    whole = [formats.seconds(entry.wall.median), formats.seconds_range(entry.wall)]
    rows.append(["**whole run**", *whole, formats.share(1.0), peak])
    columns = [
        text("step"),
        number(scoped("median", "Repeat.steps")),
        number("smallest to largest"),
        number("share"),
        number(scoped("peak memory", "Repeat.step_peak_rss_bytes")),
    ]
    return table(columns, rows)


def instruments_table(record: Record) -> str:
    """What each pass took, and how much its instrument slows a run down."""
    rows = [
        [
            one.instrument,
            cell(one.instrument_version),
            str(len(one.measured)),
            formats.seconds(one.repeats[0].wall_s) if one.repeats else DASH,
            DASH if one.overhead_ratio is None else formats.ratio(one.overhead_ratio),
            one.ended.replace("_", " "),
        ]
        for one in record.passes
    ]
    columns = [
        text("pass"),
        text("version"),
        number("repeats"),
        number(scoped("first run", "Repeat.wall_s")),
        number(scoped("against plain", "Pass.overhead_ratio")),
        text("ended"),
    ]
    return table(columns, rows)


def scalene_table(one: Pass) -> str:
    """The lines on which scalene saw most time."""
    if one.scalene is None:
        return "This pass holds no lines."
    lines = sorted(one.scalene.lines, key=_scalene_share, reverse=True)[:HOT_LINES]
    rows = [
        [
            _place(line.file, line.line, line.function),
            formats.share(_scalene_share(line)),
            formats.share(line.python_share),
            formats.share(line.native_share),
            formats.share(line.system_share),
            formats.memory(line.peak_bytes),
            formats.memory(line.copied_bytes_per_s) + "/s",
        ]
        for line in lines
    ]
    headings = ("time", "Python", "native", "system", "peak", "copied")
    return table([text("line"), *(number(one) for one in headings)], rows)


def _scalene_share(line: ScaleneLine) -> float:
    return line.python_share + line.native_share + line.system_share


def line_profiler_table(one: Pass) -> str:
    """The lines on which line_profiler saw most time, in the functions it was told to watch."""
    if one.line_profiler is None:
        return "This pass holds no lines."
    lines = sorted(one.line_profiler.lines, key=lambda line: -line.time_s)[:HOT_LINES]
    rows = [
        [
            _place(line.file, line.line, line.function),
            formats.seconds(line.time_s),
            formats.share(line.share),
            formats.count(line.hits),
        ]
        for line in lines
    ]
    headings = ("time", "of its function", "hits")
    return table([text("line"), *(number(one) for one in headings)], rows)


def _place(file: str, line: int, function: str) -> str:
    return f"{code(f'{file}:{line}')} {cell(function)}"


def repeats_table(record: Record) -> str:
    """Every repeat of every pass, warm-ups included."""
    rows = [
        [
            one.instrument,
            f"{position}{' (warm-up)' if repeat.warm_up else ''}",
            formats.seconds(repeat.wall_s),
            formats.seconds(repeat.cpu_s),
            formats.memory(repeat.peak_rss_bytes),
        ]
        for one in record.passes
        for position, repeat in enumerate(one.repeats, 1)
    ]
    columns = [
        text("pass"),
        text("repeat"),
        number(scoped("wall", "Repeat.wall_s")),
        number(scoped("CPU", "Repeat.cpu_s")),
        number(scoped("peak memory", "Repeat.peak_rss_bytes")),
    ]
    return table(columns, rows)


def key_table(pairs: Sequence[tuple[str, str]]) -> str:
    """Two columns, names and values; values are Markdown already."""
    body = table([text("what"), text("value")], [[name, value] for name, value in pairs])
    return f":::{{div}} tb-key\n{body}\n:::"


def records_table(entries: Iterable[Entry], root: str) -> str:
    """Every record: address, day, experiment, image, engine, machine."""
    rows = [
        [
            f"[{entry.address}]({root}records/{entry.address}.md)",
            entry.record.created.isoformat(),
            cell(entry.record.experiment),
            f"{cell(entry.record.dataset.name)} {origin_badge(entry.record)}",
            cell(entry.ran),
            cell(machine_text(entry.record.machine)),
        ]
        for entry in entries
    ]
    names = ("record", "made", "experiment", "image", "engine", "machine")
    return table([text(name) for name in names], rows)


def measures_table(record: Record) -> str:
    """The further numbers of an experiment that is not a profile, in their own units."""
    rows = [
        [cell(one.subject), cell(one.name), f"{one.value:.6g}", cell(one.unit), one.scope]
        for one in record.measures
    ]
    columns = [text("of"), text("measure"), number("value"), text("unit"), text("scope")]
    return table(columns, rows)
