"""Run the network strip by strip and emit rows of flow that no later strip can touch.

The reference multiplies each tile's output by a taper, adds it up in float32 in the order of the
tiles, adds up the tapers in float64, and divides at the end. The same sums in the same order run
here over a window of rows that moves down the plane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tbscale.engine.grid import TileGrid
from tbscale.engine.network import Network
from tbscale.steps import StepClock

TAPER_SIGMA_PX = 7.5
TAPER_EDGE_PX = 20
TAPER_MIN_PX = 224
OUTPUTS = 3

# reads padded, normalised rows [start, stop): float32 (2, rows, padded width)
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


@njit(nogil=True, cache=True)
def _add(tile, weight, total, weights, top, left):  # type: ignore[no-untyped-def]
    """Add one tile: products and sums in float64, the sum rounded to float32 each time."""
    for c in range(tile.shape[0]):
        for y in range(tile.shape[1]):
            for x in range(tile.shape[2]):
                total[c, top + y, left + x] = np.float32(
                    np.float64(total[c, top + y, left + x])
                    + np.float64(tile[c, y, x]) * weight[y, x]
                )
    for y in range(tile.shape[1]):
        for x in range(tile.shape[2]):
            weights[top + y, left + x] += weight[y, x]


@njit(nogil=True, cache=True)
def _mean(total, weights):  # type: ignore[no-untyped-def]
    """Divide in float64, round to float32; new array like `total`."""
    out = np.empty_like(total)
    for c in range(total.shape[0]):
        for y in range(total.shape[1]):
            for x in range(total.shape[2]):
                out[c, y, x] = np.float32(np.float64(total[c, y, x]) / weights[y, x])
    return out


class Blender:
    """Sums of tiles over a window of rows as high as one strip."""

    def __init__(self, grid: TileGrid, first_row: int) -> None:
        height, width = grid.y.tile_px, grid.x.padded_px
        self._grid = grid
        self._taper = taper(height, grid.x.tile_px)
        self._total = np.zeros((OUTPUTS, height, width), np.float32)
        self._weights = np.zeros((height, width), np.float64)
        self._top = first_row

    def add(self, tile: NDArray[np.float32], strip: int, column: int) -> None:
        """Add the network's output for one tile, float32 (3, tile_px, tile_px)."""
        top = self._grid.y.starts[strip] - self._top
        _add(tile, self._taper, self._total, self._weights, top, self._grid.x.starts[column])

    def finish(self, strip: int) -> Rows:
        """Emit the rows that only strips up to `strip` touch, and move the window below them."""
        axis = self._grid.y
        until = self._grid.finished_rows(strip)
        count = until - self._top
        values = _mean(self._total[:, :count], self._weights[:count])
        first, last = axis.pad_before_px, axis.pad_before_px + axis.size_px
        keep = slice(max(first - self._top, 0), max(min(last, until) - self._top, 0))
        start = max(self._top, first) - first
        columns = slice(
            self._grid.x.pad_before_px, self._grid.x.pad_before_px + self._grid.x.size_px
        )
        self._move(count)
        self._top = until
        return Rows(start, np.ascontiguousarray(values[:, keep, columns]))

    def _move(self, count: int) -> None:
        for sums in (self._total, self._weights):
            left = sums.shape[-2] - count
            sums[..., :left, :] = sums[..., count:, :].copy()
            sums[..., left:, :] = 0


def batches(grid: TileGrid, batch_size: int, first: int) -> Iterator[range]:
    """Flat tile numbers batch by batch, with the boundaries of the reference, from tile `first`."""
    for start in range(first - first % batch_size, grid.tile_count, batch_size):
        yield range(start, min(start + batch_size, grid.tile_count))


class TileCutter:
    """Cuts tiles out of the one or two strips that a batch touches."""

    def __init__(self, grid: TileGrid, read_rows: ReadRows) -> None:
        self._grid = grid
        self._read = read_rows
        self._strip = -1
        self._rows = np.zeros((0, 0, 0), np.float32)

    def cut(self, number: int) -> NDArray[np.float32]:
        """One tile, float32 (2, tile_px, tile_px)."""
        strip, column = divmod(number, self._grid.tiles_per_strip)
        if strip != self._strip:
            start = self._grid.y.starts[strip]
            self._rows = self._read(start, start + self._grid.y.tile_px)
            self._strip = strip
        left = self._grid.x.starts[column]
        return self._rows[:, :, left : left + self._grid.x.tile_px]


def stream_flows(
    grid: TileGrid,
    network: Network,
    read_rows: ReadRows,
    batch_size: int,
    clock: StepClock,
    first_row: int = 0,
) -> Iterator[Rows]:
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
            tiles = np.stack([cutter.cut(number) for number in batch])
        with clock.step("network"):
            out = network(tiles)
        for k, number in enumerate(batch):
            strip, column = divmod(number, wide)
            if strip < strip0:
                continue
            with clock.step("blend"):
                blender.add(out[k], strip, column)
                rows = blender.finish(strip) if column == wide - 1 else None
            if rows is not None and rows.start + rows.values.shape[1] > first_row:
                cut = max(first_row - rows.start, 0)
                yield Rows(rows.start + cut, rows.values[:, cut:])
