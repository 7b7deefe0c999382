"""Run the network strip by strip and emit rows of flow that no later strip can touch.

The reference multiplies each tile's output by a taper, adds it up in float32 in the order of the
tiles, adds up the tapers in float64, and divides at the end. The same sums in the same order run
here over a window of rows that moves down the plane; only sums are kept at the plane's width.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.grid import TileGrid
from tbscale.engine.network import Network
from tbscale.images.compiled import compiled
from tbscale.steps import StepClock

TAPER_SIGMA_PX = 7.5
TAPER_EDGE_PX = 20
TAPER_MIN_PX = 224
INPUTS, OUTPUTS = 2, 3
ROWS_AT_ONCE = 32  # of finished flow: a few megabytes, however wide the plane

# reads padded, normalised rows [start, stop): float32 (1 or 2, rows, padded width)
ReadRows = Callable[[int, int], NDArray[np.float32]]


@dataclass(frozen=True)
class Rows:
    """Finished rows of the network's output, without padding.

    Attributes
    ----------
    start : first row in the plane
    values : float32 (3, rows, X): dy, dx (times 5), cell logit
    """

    start: int
    values: NDArray[np.float32]


def taper(height: int, width: int) -> NDArray[np.float64]:
    """Weight of a tile's pixels, falling towards its edges; float64 (height, width).

    The formula of Cellpose 3.1.1.3, `transforms._taper_mask`.
    """
    size = max(TAPER_MIN_PX, height, width)
    distance = np.abs(np.arange(size) - np.arange(size).mean())
    line = 1 / (1 + np.exp((distance - (size / 2 - TAPER_EDGE_PX)) / TAPER_SIGMA_PX))
    whole = line * line[:, np.newaxis]
    top, left = size // 2 - height // 2, size // 2 - width // 2
    return np.ascontiguousarray(whole[top : top + height, left : left + width])


@compiled
def _add(tile, weight, total, top, left):  # type: ignore[no-untyped-def]
    """Add one tile: products and sums in float64, the sum rounded to float32 each time."""
    for c in range(tile.shape[0]):
        for y in range(tile.shape[1]):
            for x in range(tile.shape[2]):
                total[c, top + y, left + x] = np.float32(
                    np.float64(total[c, top + y, left + x])
                    + np.float64(tile[c, y, x]) * weight[y, x]
                )


@compiled
def _mean(total, weight, starts_y, starts_x, top, left, out):  # type: ignore[no-untyped-def]
    """Divide rows of sums by their tapers, in float64, and round to float32 into `out`.

    The tapers are added up here, tile after tile as the sums were, so that no array of them has
    to be kept. `total` starts at the padded row `top`, `out` at the padded column `left`.
    """
    height, width = weight.shape
    tapers = np.empty(starts_x[-1] + width, np.float64)
    for y in range(out.shape[1]):
        tapers[:] = 0
        for start in starts_y:
            row = top + y - start
            if row < 0 or row >= height:
                continue
            for at in starts_x:
                for x in range(width):
                    tapers[at + x] += weight[row, x]
        for c in range(out.shape[0]):
            for x in range(out.shape[2]):
                out[c, y, x] = np.float32(np.float64(total[c, y, left + x]) / tapers[left + x])


@compiled
def _move_up(total, count):  # type: ignore[no-untyped-def]
    """Drop the first `count` rows, move the others up and zero what they leave; in place."""
    kept = total.shape[1] - count
    for c in range(total.shape[0]):
        for y in range(kept):
            total[c, y] = total[c, y + count]
        total[c, kept:] = 0


class Blender:
    """Sums of tiles over a window of rows as high as one strip: float32 (3, tile_px, padded X)."""

    def __init__(self, grid: TileGrid, first_row: int) -> None:
        height, width = grid.y.tile_px, grid.x.padded_px
        self._grid = grid
        self._taper = taper(height, grid.x.tile_px)
        self._starts_y = np.array(grid.y.starts)
        self._starts_x = np.array(grid.x.starts)
        self._total = np.zeros((OUTPUTS, height, width), np.float32)
        self._top = first_row

    def add(self, tile: NDArray[np.float32], strip: int, column: int) -> None:
        """Add the network's output for one tile, float32 (3, tile_px, tile_px)."""
        top = self._grid.y.starts[strip] - self._top
        _add(tile, self._taper, self._total, top, self._grid.x.starts[column])

    def finished(self, strip: int, first_row: int) -> Iterator[tuple[int, int]]:
        """Spans of rows of the plane, from `first_row` on, that no strip after `strip` touches."""
        axis = self._grid.y
        start = max(self._top - axis.pad_before_px, first_row)
        stop = min(self._grid.finished_rows(strip) - axis.pad_before_px, axis.size_px)
        for row in range(start, stop, ROWS_AT_ONCE):
            yield row, min(row + ROWS_AT_ONCE, stop)

    def mean(self, start: int, stop: int) -> Rows:
        """The finished rows [start, stop) of the plane."""
        y, x = self._grid.y, self._grid.x
        top = start + y.pad_before_px
        sums = self._total[:, top - self._top :]
        out = np.empty((OUTPUTS, stop - start, x.size_px), np.float32)
        _mean(sums, self._taper, self._starts_y, self._starts_x, top, x.pad_before_px, out)
        return Rows(start, out)

    def move_below(self, strip: int) -> None:
        """Move the window below the rows that only strips up to `strip` touch."""
        until = self._grid.finished_rows(strip)
        _move_up(self._total, until - self._top)
        self._top = until


def batches(grid: TileGrid, batch_size: int, first: int) -> Iterator[range]:
    """Flat tile numbers batch by batch, with the boundaries of the reference, from tile `first`."""
    for start in range(first - first % batch_size, grid.tile_count, batch_size):
        yield range(start, min(start + batch_size, grid.tile_count))


class TileCutter:
    """Cuts tiles out of the one or two strips that a batch touches, holding one at a time."""

    def __init__(self, grid: TileGrid, read_rows: ReadRows) -> None:
        self._grid = grid
        self._read = read_rows
        self._strip = -1
        self._rows = np.zeros((0, 0, 0), np.float32)

    def cut(self, numbers: range) -> NDArray[np.float32]:
        """Tiles by their flat number, float32 (n, 2, tile_px, tile_px)."""
        height, width = self._grid.y.tile_px, self._grid.x.tile_px
        tiles = np.zeros((len(numbers), INPUTS, height, width), np.float32)
        for tile, number in zip(tiles, numbers, strict=True):
            strip, column = divmod(number, self._grid.tiles_per_strip)
            if strip != self._strip:
                self._move_to(strip)
            left = self._grid.x.starts[column]
            tile[: len(self._rows)] = self._rows[:, :, left : left + width]
        return tiles

    def _move_to(self, strip: int) -> None:
        self._rows = np.zeros((0, 0, 0), np.float32)  # let go of the old rows before reading
        start = self._grid.y.starts[strip]
        self._rows = self._read(start, start + self._grid.y.tile_px)
        self._strip = strip


def stream_flows(
    grid: TileGrid,
    network: Network,
    read_rows: ReadRows,
    batch_size: int,
    clock: StepClock,
    first_row: int = 0,
) -> Generator[Rows]:
    """Run the network over a plane and emit its blended output from top to bottom.

    Parameters
    ----------
    grid : the tile grid of the whole plane
    read_rows : gives padded, normalised rows
    batch_size : tiles in one call of the network, as in the reference
    first_row : row of the plane from which the output is wanted; what lies above is not computed,
        except for the strips that overlap it

    Yields
    ------
    Rows from `first_row` on, in order, without gap
    """
    padded = first_row + grid.y.pad_before_px if first_row else 0
    strip0 = grid.first_strip_touching(padded)
    blender = Blender(grid, grid.y.starts[strip0])
    cutter = TileCutter(grid, read_rows)
    wide = grid.tiles_per_strip
    for batch in batches(grid, batch_size, strip0 * wide):
        with clock.step("tile"):
            tiles = cutter.cut(batch)
        with clock.step("network"):
            out = network(tiles)
        for k, number in enumerate(batch):
            strip, column = divmod(number, wide)
            if strip < strip0:
                continue
            with clock.step("blend"):
                blender.add(out[k], strip, column)
            if column == wide - 1:
                yield from emit_rows(blender, strip, first_row, clock)


def emit_rows(blender: Blender, strip: int, first_row: int, clock: StepClock) -> Iterator[Rows]:
    """Emit what a strip finished, a few rows at a time, and move on."""
    for start, stop in blender.finished(strip, first_row):
        with clock.step("blend"):
            rows = blender.mean(start, stop)
        yield rows
    with clock.step("blend"):
        blender.move_below(strip)
