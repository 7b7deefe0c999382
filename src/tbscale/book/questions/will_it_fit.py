"""Size of a plane against memory: stock Cellpose by its line, `tbscale` by its own plan."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tbscale.bench.schema import Record
from tbscale.book import formats
from tbscale.book.markdown import cell, number, table, text
from tbscale.book.questions.lines import Line
from tbscale.engine.grid import plan_tiles
from tbscale.engine.memory import DEFAULT_SHARE as DEFAULT_SHARE
from tbscale.engine.network_memory import EXACT_MEMORY, NetworkMemory, network_memory
from tbscale.engine.plan import DEFAULT_CORE_PX, SMALLEST_CORE_PX, plan_segmentation
from tbscale.engine.projection import BYTES_PER_CELL as BYTES_PER_CELL
from tbscale.engine.projection import (
    LARGEST_CELLS_PER_MEGAPIXEL as LARGEST_CELLS_PER_MEGAPIXEL,
)
from tbscale.engine.projection import Workload, project
from tbscale.errors import BookError, BudgetError
from tbscale.images.datasets import DATASETS

GIB = 2**30
TILE_PX, OVERLAP, BATCH_SIZE = 224, 0.1, 8  # as `tbscale segment` takes them
CHUNK_PX = 1024  # rows of chunks that are kept decoded while a plane is read
PIXEL_BYTES = 2
SIDES_PX = (5_000, 10_000, 20_000, 30_000, 50_000, 100_000)
# sides that the form looks up: those of the table, so that both say the same, and others between
GRID_PX = tuple(sorted({*SIDES_PX, *(round(1024 * 2 ** (k / 2)) for k in range(16))}))
# engines whose memory is bounded by a plan instead of growing along a line, and their networks
BOUNDED = {"tbscale": "exact", "tbscale-fast": "fast", "tbscale-half": "half"}
MATRIX_UNITS = "amx_bf16"
DASH = "–"


@dataclass(frozen=True)
class Needs:
    """Bytes of memory that a plane needs; `stock` is None where no line was measured.

    `smallest` is what tbscale needs with its smallest blocks, and `usual` with its usual ones.
    """

    stock: float | None
    usual: int
    smallest: int


def projected_bytes(
    shape: tuple[int, int], core_px: int | None = None, network: NetworkMemory = EXACT_MEMORY
) -> int:
    """Peak that a plan projects for 16-bit pixels; `core_px` None is the usual block."""
    cache_bytes = CHUNK_PX * shape[1] * PIXEL_BYTES
    core = DEFAULT_CORE_PX if core_px is None else core_px
    grid = plan_tiles(shape, TILE_PX, OVERLAP)
    work = Workload(1, PIXEL_BYTES, cache_bytes, BATCH_SIZE, network)
    return project(shape, grid, core, work).peak_bytes


def planned_bytes(record: Record, engine: str, shape: tuple[int, int]) -> int:
    """Peak that the plan of an engine projects, with the CPU and the threads of a record.

    It depends on nothing of the machine that builds the book.
    """
    mode = BOUNDED[engine]
    if mode == "half":  # through torch where the CPU has matrix units, in the memory of exact
        mode = "exact" if MATRIX_UNITS in record.machine.cpu.flags else "fast"
    threads = int(str(record.parameters["threads"]))
    return projected_bytes(shape, network=network_memory(mode, threads))


def refusal(shape: tuple[int, int], budget_bytes: int) -> str:
    """What a plan says of a budget that is too small. BookError where it is not."""
    try:
        plan_segmentation(shape, budget_bytes)
    except BudgetError as error:
        return str(error)
    raise BookError(f"a plan of {shape} fits {budget_bytes} bytes; show a smaller budget")


def needs_of(shape: tuple[int, int], stock: Line | None) -> Needs:
    """What a plane needs."""
    predicted = None if stock is None else stock.at(shape[0] * shape[1])
    return Needs(predicted, projected_bytes(shape), projected_bytes(shape, SMALLEST_CORE_PX))


def fit_table(stock: Line | None, budget_gib: float = 16) -> str:
    """Datasets and round sizes: memory of both engines, and whether a machine holds them."""
    planes = [(cell(name), one.shape) for name, one in DATASETS.items()]
    planes += [("", (side, side)) for side in SIDES_PX]
    planes.sort(key=lambda one: one[1][0] * one[1][1])
    rows = []
    for name, shape in planes:
        needs = needs_of(shape, stock)
        rows.append(
            [
                formats.shape(shape) + (f"<br>{name}" if name else ""),
                DASH if needs.stock is None else formats.memory(needs.stock),
                formats.memory(needs.usual),
                answer(needs.stock, budget_gib),
                answer(needs.usual, budget_gib),
            ]
        )
    budget = f"fits in {budget_gib:g}{formats.NBSP}GiB"
    heads = ("stock Cellpose", "tbscale", f"stock {budget}", f"tbscale {budget}")
    return table([text("plane (Y, X)"), *(number(one) for one in heads)], rows)


def answer(needed: float | None, budget_gib: float) -> str:
    """Yes, no, or a dash where nothing was measured."""
    if needed is None:
        return DASH
    return "yes" if needed <= budget_gib * GIB else "**no**"


def sentence(shape: tuple[int, int], budget_gib: float, stock: Line | None) -> str:
    """Whether a plane fits, in words."""
    needs = needs_of(shape, stock)
    size = f"{formats.shape(shape)} in {budget_gib:g}{formats.NBSP}GiB"
    own = "fits" if needs.usual <= budget_gib * GIB else "does not fit"
    words = f"With `tbscale segment` it {own}: the plan projects {formats.memory(needs.usual)}."
    if needs.stock is None:
        return f"{size}: {words}"
    theirs = "fits" if needs.stock <= budget_gib * GIB else "does not fit"
    first = f"stock Cellpose {theirs}, it would take about {formats.memory(needs.stock)}."
    return f"{size}: {first} {words}"


def form_data(stock: Line | None) -> str:
    """What the form computes from, as JSON: the line, and projections for a grid of sides.

    A projection grows with height and with width, so the form looks up the next larger size and
    never promises too much.
    """
    usual = [[projected_bytes((y, x)) for x in GRID_PX] for y in GRID_PX]
    smallest = [[projected_bytes((y, x), SMALLEST_CORE_PX) for x in GRID_PX] for y in GRID_PX]
    line = None if stock is None else [stock.constant, stock.slope]
    return json.dumps({"sides": GRID_PX, "usual": usual, "smallest": smallest, "stock": line})


def form(stock: Line | None) -> str:
    """A form that answers for any size; it needs no server, and nothing without a script."""
    data = form_data(stock).replace("</", "<\\/")
    fields = "\n".join(
        f'<label>{words} <input type="number" min="1" step="any" name="{name}" value="{value}">'
        "</label>"
        for name, words, value in (
            ("height", "height, px", 30_000),
            ("width", "width, px", 30_000),
            ("memory", "memory, GiB", 16),
        )
    )
    return "\n".join(
        [
            '<form class="tb-fit" id="tb-fit" hidden>',
            fields,
            '<output class="tb-fit-answer" aria-live="polite"></output>',
            "</form>",
            f'<script type="application/json" id="tb-fit-data">{data}</script>',
        ]
    )
