"""How time and memory grow with a plane: lines through crops, and what they predict."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes

from tbscale.bench.machine_slug import machine_slug
from tbscale.bench.schema import Record
from tbscale.book import formats
from tbscale.book.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PINK,
    SOFT,
    Drawing,
    csv_of,
    finish,
    new_axes,
    styled,
)
from tbscale.book.markdown import cell, number, table, text
from tbscale.book.questions.lines import Line, fit_line
from tbscale.book.questions.measures import median_of, seconds_cell, steps_of, summary_of
from tbscale.book.questions.measures import subjects_of as named
from tbscale.book.questions.will_it_fit import BOUNDED, planned_bytes
from tbscale.book.shelf import Entry, Shelf
from tbscale.book.tables import machine_text
from tbscale.images.datasets import DATASETS

GIB = 2**30
MEGA = 1_000_000
PREDICTED = "WD-76845-097"
COLOURS = {"stock": BLUE, "tbscale": ORANGE, "tbscale-fast": GREEN, "tbscale-half": PINK}
NAMES = {"peak": "peak memory", "wall": "wall time"}
NOTABLE_S = 0.02  # steps shorter than this say nothing of threads


@dataclass(frozen=True)
class Point:
    """One size: pixels, seconds, bytes, and whether it is a profile of a whole plane."""

    pixels: int
    wall_s: float
    peak_bytes: float
    profile: str | None = None


def engines_of(record: Record) -> list[str]:
    """Engines that the record has crops of."""
    return [one for one in COLOURS if named(record, one)]


def crops(record: Record, engine: str) -> list[Point]:
    """The crops of an engine, smallest first; medians of their rounds."""
    found = [
        Point(
            int(median_of(record, "pixels", subject)),
            median_of(record, "wall", subject),
            median_of(record, "peak", subject),
        )
        for subject in named(record, engine)
    ]
    return sorted(found, key=lambda one: one.pixels)


def profiles(shelf: Shelf, record: Record, engine: str) -> list[Point]:
    """Completed profiles of whole planes by the same machine, smallest first."""
    found = []
    for name in DATASETS:
        entry = shelf.profile(name, engine)
        if entry is None or not entry.completed:
            continue
        if machine_slug(entry.record.machine) == machine_slug(record.machine):
            pixels = entry.record.dataset.pixels
            found.append(Point(pixels, entry.wall.median, entry.peak_rss_bytes, name))
    return sorted(found, key=lambda one: one.pixels)


def line_of(shelf: Shelf, record: Record, engine: str, name: str) -> Line:
    """The line through crops and profiles, the predicted dataset left out; `peak` or `wall`."""
    points = crops(record, engine)
    points += [one for one in profiles(shelf, record, engine) if one.profile != PREDICTED]
    return fit_line([(one.pixels, _value(one, name)) for one in points])


def _value(point: Point, name: str) -> float:
    return point.peak_bytes if name == "peak" else point.wall_s


def stock_memory(shelf: Shelf) -> tuple[Entry, Line] | None:
    """The newest growth record with stock crops, and its line of memory; None where there is none.

    The will-it-fit table and the question of growth both stand on it.
    """
    for entry in reversed(shelf.of_experiment("growth")):
        if "stock" in engines_of(entry.record):
            return entry, line_of(shelf, entry.record, "stock", "peak")
    return None


def sizes_table(shelf: Shelf, record: Record) -> str:
    """Every crop and profile, with its time and memory for each pixel."""
    rows = []
    for engine in engines_of(record):
        for subject in sorted(named(record, engine), key=lambda one: int(one.split("/")[1])):
            pixels = median_of(record, "pixels", subject)
            wall = seconds_cell(summary_of(record, "wall", subject))
            rows.append(_size_row("crop", engine, pixels, wall, median_of(record, "peak", subject)))
        rows += [
            _size_row(
                cell(one.profile), engine, one.pixels, formats.seconds(one.wall_s), one.peak_bytes
            )
            for one in profiles(shelf, record, engine)
        ]
    heads = ("megapixels", "wall time (range)", "peak memory", "bytes a pixel")
    return table([text("plane"), text("engine"), *(number(one) for one in heads)], rows)


def _size_row(plane: str, engine: str, pixels: float, wall: str, peak: float) -> list[str]:
    return [plane, engine, _mpx(pixels), wall, formats.memory(peak), f"{peak / pixels:,.0f}"]


def _mpx(pixels: float) -> str:
    return formats.three_digits(pixels / MEGA)


def lines_table(shelf: Shelf) -> str:
    """The lines of every machine's newest growth record."""
    newest = {machine_slug(one.record.machine): one for one in shelf.of_experiment("growth")}
    rows = []
    for entry in newest.values():
        for engine in engines_of(entry.record):
            peak = line_of(shelf, entry.record, engine, "peak")
            wall = line_of(shelf, entry.record, engine, "wall")
            rows.append(
                [
                    cell(machine_text(entry.record.machine)),
                    engine,
                    *_memory_cells(engine, peak),
                    f"{formats.seconds(wall.constant)} + {_per_mpx(wall)}",
                    formats.share(wall.largest_error),
                ]
            )
    columns = [text("machine"), text("engine"), text("peak memory"), number("off by at most")]
    return table([*columns, text("wall time"), number("off by at most")], rows)


def _memory_cells(engine: str, peak: Line) -> tuple[str, str]:
    """The line of memory and its error; the out-of-core engine's memory follows its plan."""
    if engine in BOUNDED:
        return "at most what its plan projects", "–"
    words = f"{formats.memory(peak.constant)} + {_bytes(peak)}"
    return words, formats.share(peak.largest_error)


def predicted(shelf: Shelf, record: Record, engine: str, name: str) -> float:
    """Bytes or seconds for the largest dataset: the line's, or the plan's where there is one."""
    shape = DATASETS[PREDICTED].shape
    if name == "peak" and engine in BOUNDED:
        return planned_bytes(record, engine, shape)
    return line_of(shelf, record, engine, name).at(shape[0] * shape[1])


def _bytes(line: Line) -> str:
    return f"{formats.three_digits(line.slope)} bytes a pixel"


def _per_mpx(line: Line) -> str:
    return f"{formats.seconds(line.slope * MEGA)} a megapixel"


def prediction_table(shelf: Shelf, record: Record) -> str:
    """What the lines say of WD-76845-097, beside its record where there is one."""
    rows = []
    for engine in engines_of(record):
        entry = shelf.profile(PREDICTED, engine)
        for name, words in NAMES.items():
            said = predicted(shelf, record, engine, name)
            write = formats.memory if name == "peak" else formats.seconds
            measured, error = _measured(entry, record, name, said)
            rows.append([engine, words, write(said), measured, error])
    columns = [text("engine"), text("of"), number("predicted"), text("measured")]
    return table([*columns, text("predicted over measured")], rows)


def _measured(entry: Entry | None, record: Record, name: str, said: float) -> tuple[str, str]:
    """What a profile measured, and the prediction's error."""
    if entry is None:
        return "no record yet", "–"
    if not entry.completed:
        ended = entry.record.plain.ended.replace("_", " ")
        return f"ended: {ended}, at {formats.memory(entry.peak_rss_bytes)}", "–"
    if name == "wall" and machine_slug(entry.record.machine) != machine_slug(record.machine):
        return "on another machine", "–"
    true = entry.peak_rss_bytes if name == "peak" else entry.wall.median
    words = formats.memory(true) if name == "peak" else formats.seconds(true)
    return words, f"{100 * (said / true - 1):+.1f}{formats.NBSP}%"


def threads_table(record: Record) -> str:
    """How much faster each step is with all threads than with one."""
    rows = []
    for engine in engines_of(record):
        subjects = sorted(
            named(record, f"threads/{engine}"), key=lambda one: int(one.split("/")[2])
        )
        if len(subjects) < 2:
            continue
        alone, together = subjects[0], subjects[-1]
        threads = together.rsplit("/", 1)[1]
        one, many = steps_of(record, alone), steps_of(record, together)
        rows += [
            _threads_row(engine, f"`{step}`", one[step], many[step], threads)
            for step in one
            if one[step] >= NOTABLE_S and many.get(step)
        ]
        wall = [median_of(record, "wall", subject) for subject in (alone, together)]
        rows.append(_threads_row(engine, "**whole run**", wall[0], wall[1], threads))
    heads = ("with one thread", "with all", "speed-up", "threads")
    return table([text("engine"), text("step"), *(number(one) for one in heads)], rows)


def _threads_row(engine: str, step: str, alone: float, many: float, threads: str) -> list[str]:
    ratio = formats.ratio(alone / many)
    return [engine, step, formats.seconds(alone), formats.seconds(many), ratio, threads]


def growth_drawing(shelf: Shelf, entry: Entry, name: str) -> Drawing:
    """Time or peak memory against pixels on logarithmic axes, with the lines."""
    record = entry.record
    scale = GIB if name == "peak" else 1.0
    rows: list[tuple[object, ...]] = []
    with styled():
        figure, axes = new_axes(3.4)
        for engine in engines_of(record):
            points = [*crops(record, engine), *profiles(shelf, record, engine)]
            _draw_line(axes, shelf, record, engine, name)
            for one in points:
                mark = "o" if one.profile is None else "D"
                axes.plot(
                    one.pixels / MEGA, _value(one, name) / scale, mark,
                    color=COLOURS[engine], markeredgecolor=INK, markersize=5.5,
                )  # fmt: skip
                plane = one.profile or "crop"
                rows.append((engine, plane, one.pixels, _value(one, name)))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("plane, megapixels")
        axes.set_ylabel("peak memory, GiB" if name == "peak" else "wall time, s")
        axes.tick_params(labelcolor=SOFT)
        axes.grid(visible=True, which="major")
        axes.set_axisbelow(True)
        axes.legend(fontsize=9, labelcolor=INK)
        csv = csv_of(("engine", "plane", "pixels", "bytes" if name == "peak" else "wall_s"), rows)
        return finish(figure, f"{entry.address}-growth-{name}", _alt(shelf, record, name), csv)


def _draw_line(axes: Axes, shelf: Shelf, record: Record, engine: str, name: str) -> None:
    """The line of an engine, drawn on to the largest dataset; its plan where that bounds it."""
    line = line_of(shelf, record, engine, name)
    height, width = DATASETS[PREDICTED].shape
    first = min(x for x, _ in line.points)
    xs = [first * (height * width / first) ** (k / 60) for k in range(61)]
    planned = name == "peak" and engine in BOUNDED
    if planned:
        sides = [round(x**0.5) for x in xs]
        ys = [planned_bytes(record, engine, (side, side)) / GIB for side in sides]
    else:
        ys = [line.at(x) / (GIB if name == "peak" else 1.0) for x in xs]
    words = f"{engine}, at most by its plan" if planned else f"{engine}, line"
    style = "--" if planned else "-"
    mpx = [x / MEGA for x in xs]
    axes.plot(mpx, ys, style, color=COLOURS[engine], linewidth=1.6, label=words)


def _alt(shelf: Shelf, record: Record, name: str) -> str:
    parts = []
    for engine in engines_of(record):
        line = line_of(shelf, record, engine, name)
        if name == "peak" and engine in BOUNDED:
            planned = planned_bytes(record, engine, DATASETS[PREDICTED].shape)
            words = f"at most {formats.memory(planned)}"
        elif name == "peak":
            words = f"{formats.memory(line.constant)} and {_bytes(line)}"
        else:
            words = f"{formats.seconds(line.constant)} and {_per_mpx(line)}"
        parts.append(f"{engine} {words}")
    return f"{NAMES[name].capitalize()} against the size of the plane: {'; '.join(parts)}."
