"""What a run keeps on disk between its steps: flows, sinks, seeds.

Everything is compressed, written under a temporary name and renamed, so that a run killed at any
moment finds only complete pieces when it continues.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Region
from tbscale.engine.kernels.follow import NO_SINK
from tbscale.engine.packed import PackedStore, write_whole
from tbscale.engine.strips import Rows
from tbscale.images.compiled import compiled

ROW_CHUNK_PX = 128
COLUMN_CHUNK_PX = 1024
LARGEST_SINK_CHUNK_PX = 512
ROWS_DONE = "flow-rows.json"


def sink_chunk_px(core_px: int) -> int:
    """Chunk of the sinks: divides the core, so that no two blocks share a chunk.

    >>> sink_chunk_px(2048), sink_chunk_px(1000), sink_chunk_px(333)
    (512, 500, 333)
    """
    parts = -(-core_px // LARGEST_SINK_CHUNK_PX)
    while core_px % parts:
        parts += 1
    size = core_px // parts
    return size if size >= 64 else core_px


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON, complete or not at all."""
    write_whole(path, json.dumps(value).encode())


def has_flow(folder: Path) -> bool:
    """Whether a run has stored rows of flow in its scratch: what another can go on from."""
    return (folder / ROWS_DONE).is_file()


class Flows(Protocol):
    """Flow of a plane, read by region."""

    def read(self, region: Region) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Flow float32 (H, W, 2), pixels an iteration, and foreground bool (H, W)."""
        ...


@dataclass(frozen=True)
class ArrayFlows:
    """Flow held in memory: float32 (Y, X, 2), pixels an iteration, and foreground bool (Y, X)."""

    flow: NDArray[np.float32]
    foreground: NDArray[np.bool_]

    def read(self, region: Region) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """See `Flows`."""
        return self.flow[region], self.foreground[region]


def mask_flow(
    dy: NDArray[np.float32], dx: NDArray[np.float32], foreground: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Zero the network's flow outside the foreground and divide by 5, as the reference does.

    Returns float32 (H, W, 2), pixels an iteration.
    """
    return np.stack([dy * foreground / 5.0, dx * foreground / 5.0], axis=-1)


class FlowStore:
    """Foreground and flow of the plane, written by rows from top to bottom, read by region.

    What waits for its row of chunks to fill is kept as it will be stored: 9 bytes a pixel.
    """

    def __init__(self, folder: Path, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._done_file = folder / ROWS_DONE
        chunks = (min(ROW_CHUNK_PX, shape[0]), min(COLUMN_CHUNK_PX, shape[1]))
        self._flow = PackedStore(folder / "flow", shape, chunks, "float32")
        self._chunk_px = chunks
        self._waiting = ArrayFlows(np.zeros((0, 0, 2), np.float32), np.zeros((0, 0), bool))

    @property
    def rows_done(self) -> int:
        """Rows from the top that are complete on disk."""
        if not self._done_file.is_file():
            return 0
        return int(json.loads(self._done_file.read_text())["rows"])

    def append(self, rows: Rows, threshold: float) -> None:
        """Add rows below the last ones; written when they fill a row of chunks or the plane."""
        stop = rows.start + rows.values.shape[1]
        row = rows.start
        while row < stop:
            chunk_start = row - row % self._chunk_px[0]
            chunk_stop = min(chunk_start + self._chunk_px[0], self._shape[0])
            until = min(stop, chunk_stop)
            part = rows.values[:, row - rows.start : until - rows.start]
            self._keep(row - chunk_start, part, threshold)
            if until == chunk_stop:
                self._write(chunk_start, chunk_stop)
            row = until

    def _keep(self, offset: int, values: NDArray[np.float32], threshold: float) -> None:
        """Mask some rows and put them at `offset` of the waiting row of chunks."""
        if self._waiting.foreground.size == 0:
            shape = (self._chunk_px[0], self._shape[1])
            self._waiting = ArrayFlows(np.zeros((*shape, 2), np.float32), np.zeros(shape, bool))
        here = slice(offset, offset + values.shape[1])
        foreground = values[2] > threshold
        self._waiting.foreground[here] = foreground
        self._waiting.flow[here] = mask_flow(values[0], values[1], foreground)

    def _write(self, start: int, stop: int) -> None:
        """Store the waiting row of chunks, then note that its rows are done."""
        region, waiting = (slice(start, stop), slice(0, self._shape[1])), self._waiting
        self._flow.write(region, waiting.flow[: stop - start], waiting.foreground[: stop - start])
        write_json(self._done_file, {"rows": stop})
        if stop == self._shape[0]:
            self._waiting = ArrayFlows(np.zeros((0, 0, 2), np.float32), np.zeros((0, 0), bool))

    def read(self, region: Region) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Flow float32 (H, W, 2), pixels an iteration, and foreground bool (H, W)."""
        return self._flow.read(region)


@compiled
def _add_places(offsets, mask, y0, x0, sinks):  # type: ignore[no-untyped-def]
    """Offsets int32 (H, W, 2) from the pixels to `sinks` int32 (2, H, W), in place."""
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if mask[y, x]:
                sinks[0, y, x] = y0 + y + offsets[y, x, 0]
                sinks[1, y, x] = x0 + x + offsets[y, x, 1]


@compiled
def _take_places(sinks, y0, x0, offsets, mask):  # type: ignore[no-untyped-def]
    """The reverse of `_add_places`."""
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if sinks[0, y, x] != NO_SINK:
                mask[y, x] = True
                offsets[y, x, 0] = sinks[0, y, x] - (y0 + y)
                offsets[y, x, 1] = sinks[1, y, x] - (x0 + x)


class SinkStore:
    """The sink of every pixel, written core by core, read by region.

    Stored is how far the sink lies from its pixel: small numbers, two bytes each.
    """

    def __init__(self, folder: Path, shape: tuple[int, int], core_px: int) -> None:
        self._folder = folder / "follow"
        self._folder.mkdir(exist_ok=True)
        chunk = sink_chunk_px(core_px)
        self._offsets = PackedStore(folder / "sinks", shape, (chunk, chunk), "int32")

    def reach_px(self, index: int) -> int | None:
        """Largest distance from a pixel of this block's core to its sink; None if not done."""
        path = self._folder / f"{index}.json"
        return int(json.loads(path.read_text())["reach_px"]) if path.is_file() else None

    def write(self, index: int, core: Region, sinks: NDArray[np.int32], reach_px: int) -> None:
        """Store the sinks of a core, then note that the block is done."""
        shape = sinks.shape[1:]
        offsets, mask = np.zeros((*shape, 2), np.int32), np.zeros(shape, np.bool_)
        _take_places(sinks, core[0].start, core[1].start, offsets, mask)
        self._offsets.write(core, offsets, mask)
        write_json(self._folder / f"{index}.json", {"reach_px": reach_px})

    def read(self, region: Region) -> NDArray[np.int32]:
        """Sinks int32 (2, H, W), plane coordinates."""
        offsets, mask = self._offsets.read(region)
        sinks = np.full((2, *mask.shape), NO_SINK, np.int32)
        _add_places(offsets, mask, region[0].start, region[1].start, sinks)
        return sinks


class SeedStore:
    """The seeds in each core, one file a block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "seeds"
        self._folder.mkdir(exist_ok=True)

    def _path(self, index: int) -> Path:
        return self._folder / f"{index}.npy"

    def has(self, index: int) -> bool:
        """Whether the block is done."""
        return self._path(index).is_file()

    def write(self, index: int, seeds: NDArray[np.int64]) -> None:
        """Store the seeds of a core, int64 (n, 3): count, y, x."""
        stream = io.BytesIO()  # np.save to a file hides that the disk is full
        np.save(stream, seeds)
        write_whole(self._path(index), stream.getvalue())

    def count(self, block_count: int) -> int:
        """Seeds of the plane."""
        return sum(len(np.load(self._path(k), mmap_mode="r")) for k in range(block_count))

    def read_all(self, block_count: int) -> NDArray[np.int64]:
        """The seeds of the plane in raster order, int64 (n, 3): count, y, x."""
        seeds = np.concatenate([np.load(self._path(k)) for k in range(block_count)])
        return np.asarray(seeds[np.lexsort((seeds[:, 2], seeds[:, 1]))], np.int64)
