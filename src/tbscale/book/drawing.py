"""How figures look and how they are saved: SVG in two colour schemes, the same bytes every time."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito: told apart by readers with any colour vision, and in grey
BLUE, SKY, ORANGE, GREEN, PINK = "#0072b2", "#56b4e9", "#e69f00", "#009e73", "#cc79a7"
INK, SOFT, LINE = "#1d252c", "#55606b", "#d8dee3"
DARK_SCHEME = {INK: "#e6ebef", SOFT: "#a9b4be", LINE: "#39434c"}
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws alike
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 1.0,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "svg.hashsalt": "tbscale",  # element ids that do not change between builds
    "svg.fonttype": "path",
}
WIDTH_IN = 5.4  # drawn small, so that letters stay readable when a phone shrinks the figure


@dataclass(frozen=True)
class Drawing:
    """One figure: light and dark SVG, the alternative text, and the data behind it as CSV."""

    name: str
    light_svg: str
    dark_svg: str
    alt: str
    csv: str


def new_axes(height_in: float) -> tuple[Figure, Axes]:
    """An empty figure of the book's width; call inside `styled()`."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.add_subplot()


def styled() -> AbstractContextManager[None]:
    """The context in which figures are made and saved."""
    context: AbstractContextManager[None] = mpl.rc_context(STYLE)
    return context


def finish(figure: Figure, name: str, alt: str, csv: str) -> Drawing:
    """Save a figure as text; call inside `styled()`."""
    buffer = io.StringIO()
    no_metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    light = buffer.getvalue()
    dark = light
    for ink, replacement in DARK_SCHEME.items():
        dark = dark.replace(ink, replacement)
    return Drawing(name, light, dark, alt, csv)


def csv_of(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Comma-separated text of plain values."""
    return "\n".join(",".join(str(value) for value in row) for row in [header, *rows]) + "\n"
