"""Real images beside stand-ins of the same size, and how far each quantity is off."""

from __future__ import annotations

from collections.abc import Callable

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
from tbscale.book.questions.measures import median_of, subjects_of
from tbscale.book.questions.properties import kinds_of
from tbscale.book.shelf import Entry

MEGA = 1_000_000
REAL = "real"
ITERATIONS = (25, 50, 100, 150, 200)
Read = Callable[[Record, str], float]


def _measure(name: str) -> Read:
    return lambda record, subject: median_of(record, name, subject)


def _share(kind: str) -> Read:
    def read(record: Record, subject: str) -> float:
        kinds = kinds_of(record, subject)
        return kinds[kind] / sum(kinds.values())

    return read


def _density(record: Record, subject: str) -> float:
    return median_of(record, "cells", subject) * MEGA / median_of(record, "pixels", subject)


def _foreground(record: Record, subject: str) -> float:
    return median_of(record, "foreground", subject) / median_of(record, "pixels", subject)


def _plain(value: float) -> str:
    return formats.three_digits(value)


def _px(value: float) -> str:
    return f"{value:.0f}{formats.NBSP}px"


# what is compared: words, how it is read, how it is written
QUANTITIES: tuple[tuple[str, Read, Callable[[float], str]], ...] = (
    ("network, share of the run", _share("network"), formats.share),
    ("from flows to cells, share", _share("from flows to cells"), formats.share),
    ("cells a megapixel", _density, _plain),
    ("pixels in cells, share", _foreground, formats.share),
    ("typical excursion", _measure("excursion-0.5"), _px),
    ("excursion of all but one in a hundred", _measure("excursion-0.99"), _px),
    ("largest excursion", _measure("excursion-1"), _px),
    ("settled after 50 iterations", _measure("settled-50"), formats.share),
    ("settled after 100 iterations", _measure("settled-100"), formats.share),
    ("pixels compress", _measure("pixel-compression"), formats.ratio),
    ("flows compress", _measure("flow-compression"), formats.ratio),
    ("labels compress", _measure("label-compression"), formats.ratio),
)


def images_of(record: Record) -> list[str]:
    """The real images, in the order of the record."""
    found = (one.subject for one in record.measures if one.name == "wall")
    return list(dict.fromkeys(one.split("/")[0] for one in found))


def stand_ins_of(record: Record, image: str) -> list[str]:
    """Datasets whose stand-ins were set beside a real image."""
    subjects = subjects_of(record, image)
    return [name for name in (one.split("/")[1] for one in subjects) if name != REAL]


def after_network(record: Record) -> list[str]:
    """What turns flows into cells on each real image: its share of the run, and the density."""
    found = []
    for image in images_of(record):
        subject = f"{image}/{REAL}"
        share = formats.share(_share("from flows to cells")(record, subject))
        density = formats.compact(_density(record, subject))
        found.append(f"{share} of it on the {image} with {density} cells a megapixel")
    return found


def densest(record: Record) -> tuple[str, float]:
    """The real image with most cells a megapixel, and how many."""
    found = {image: _density(record, f"{image}/{REAL}") for image in images_of(record)}
    image = max(found, key=lambda one: found[one])
    return image, found[image]


def trust_table(record: Record, image: str) -> str:
    """Each quantity on the real image and on its stand-ins, with the ratio to the real one."""
    names = stand_ins_of(record, image)
    rows = []
    for words, read, write in QUANTITIES:
        real = read(record, f"{image}/{REAL}")
        row = [words, write(real)]
        for name in names:
            value = read(record, f"{image}/{name}")
            row.append(f"{write(value)}{_ratio(value, real)}")
        rows.append(row)
    columns = [text("quantity"), number(f"{cell(image)}, real")]
    return table([*columns, *(number(f"stand-in of {cell(name)}") for name in names)], rows)


def _ratio(value: float, real: float) -> str:
    return f" ({formats.three_digits(value / real)} of it)" if real else ""


def furthest(record: Record) -> list[str]:
    """Quantities by which a stand-in is off most, worst first: words with the ratio."""
    found = []
    for words, read, _ in QUANTITIES:
        for image in images_of(record):
            real = read(record, f"{image}/{REAL}")
            for name in stand_ins_of(record, image):
                value = read(record, f"{image}/{name}")
                if real and value:
                    off = max(value / real, real / value)
                    found.append((off, f"{words} ({formats.three_digits(value / real)} of the "
                                       f"real, {image} beside {name})"))  # fmt: skip
    return [words for _, words in sorted(found, reverse=True)]


def settled_drawing(entry: Entry) -> Drawing:
    """Share of the pixels that are at their sink, against iterations, real and stand-in."""
    record = entry.record
    colours = (BLUE, ORANGE, GREEN, PINK)
    rows: list[tuple[object, ...]] = []
    with styled():
        figure, axes = new_axes(3.1)
        for k, image in enumerate(images_of(record)):
            for name in (REAL, *stand_ins_of(record, image)):
                subject = f"{image}/{name}"
                shares = [median_of(record, f"settled-{n}", subject) for n in ITERATIONS]
                words = f"{image}, real" if name == REAL else f"stand-in of {name}, that size"
                style = "-" if name == REAL else "--"
                axes.plot(
                    ITERATIONS, [100 * one for one in shares], style,
                    color=colours[k % len(colours)], label=words, linewidth=1.8,
                )  # fmt: skip
                rows += [(image, name, n, s) for n, s in zip(ITERATIONS, shares, strict=True)]
        axes.set_xlabel("iterations")
        axes.set_ylabel("pixels at their sink, %")
        axes.tick_params(labelcolor=SOFT)
        axes.legend(fontsize=9, labelcolor=INK)
        csv = csv_of(("image", "what", "iterations", "settled_share"), rows)
        return finish(figure, f"{entry.address}-settled", _alt(record), csv)


def _alt(record: Record) -> str:
    parts = []
    for image in images_of(record):
        for name in (REAL, *stand_ins_of(record, image)):
            share = median_of(record, "settled-50", f"{image}/{name}")
            parts.append(f"{image} {name}: {formats.share(share)} after 50 iterations")
    return f"Share of the followed pixels that are at their sink. {'; '.join(parts)}."
