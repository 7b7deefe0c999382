"""The step that makes the table of cells of a run: column by column, each complete or absent."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tbscale.engine.packed import write_whole
from tbscale.engine.scratch import write_json
from tbscale.engine.table.file import (
    AREA,
    BOX,
    CENTROID_X,
    CENTROID_Y,
    ID,
    as_ids,
    column_names,
    write_rows,
)
from tbscale.engine.table.measure import (
    LabelReader,
    Shapes,
    measure_cells,
    measure_means,
    measure_shapes,
)
from tbscale.errors import RunError
from tbscale.images.image import Channel
from tbscale.images.labels_out.disk import told_if_full
from tbscale.images.plane import Plane
from tbscale.steps import StepClock

FOLDER = "table"
TAKEN = "path.json"


@dataclass(frozen=True)
class Measured:
    """A channel whose mean goes into the table."""

    channel: Channel
    plane: Plane


def was_written_to(workdir: Path, path: Path) -> bool:
    """Whether the unfinished run in `workdir` has given its table the name `path`."""
    taken = workdir / FOLDER / TAKEN
    return taken.is_file() and json.loads(taken.read_text())["path"] == str(path.resolve())


def stamp_of(path: Path) -> dict[str, int]:
    """What tells a file from another of the same name."""
    facts = path.stat()
    return {"inode": facts.st_ino, "bytes": facts.st_size, "changed_ns": facts.st_mtime_ns}


def drop_table(workdir: Path) -> None:
    """Remove the table that the unfinished run in `workdir` wrote, unless it was replaced since.

    Raises
    ------
    RunError : it cannot be removed
    """
    taken = workdir / FOLDER / TAKEN
    if not taken.is_file():
        return
    stamp = json.loads(taken.read_text())
    table = Path(stamp.pop("path"))
    try:
        if table.is_file() and stamp_of(table) == stamp:
            table.unlink()
    except OSError as error:
        raise RunError(
            f"{table}, which the unfinished run wrote, cannot be removed ({error.strerror}); "
            "remove it and run the same command again"
        ) from error


class ColumnStore:
    """Columns on disk, one file each, written complete or not at all and read by row."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.npy"

    def has(self, name: str) -> bool:
        """Whether the column is there."""
        return self._path(name).is_file()

    def write(self, name: str, values: NDArray[Any]) -> None:
        """Store a column (n,)."""
        stream = io.BytesIO()  # np.save to a file hides that the disk is full
        np.save(stream, values)
        with told_if_full(self._folder):
            write_whole(self._path(name), stream.getvalue())

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """A part of a column; the rest is not read."""
        return np.array(np.load(self._path(name), mmap_mode="r")[start:stop])

    def whole(self, name: str) -> NDArray[Any]:
        """A column (n,)."""
        return np.asarray(np.load(self._path(name)))


def write_table(
    path: Path,
    workdir: Path,
    labels: LabelReader,
    count: int,
    measured: Sequence[Measured],
    facts: Mapping[str, Any],
    clock: StepClock,
) -> None:
    """Measure all cells and write their table; columns of an earlier try are not measured again.

    Memory: `TABLE_BYTES_PER_CELL` for each cell (see `tbscale.engine.plan`), and a few windows.

    Parameters
    ----------
    path : .csv or .parquet
    workdir : scratch of this run
    labels : final
    count : the largest id; an id without pixels gets no row
    measured : channels, read one after the other
    facts : what made the labels, JSON values
    """
    store = ColumnStore(workdir / FOLDER)
    with clock.step("table"):
        for one in tqdm(measured, desc="table", unit="channel", disable=None):
            name = channel_file(one.channel)
            if not store.has(AREA):  # with the first channel, so that labels are read once
                store_first(store, name, labels, one.plane, count)
            elif not store.has(name):
                store.write(name, measure_means(labels, one.plane, store.whole(AREA)))
        if not store.has(AREA):
            store_shapes(store, measure_shapes(labels, count))
        channels = [one.channel for one in measured]
        taken = {"path": str(path.resolve())}
        write_json(workdir / FOLDER / TAKEN, taken)
        write_rows(path, lambda a, b: table_part(store, channels, a, b), count, facts)
        write_json(workdir / FOLDER / TAKEN, taken | stamp_of(path))


def channel_file(channel: Channel) -> str:
    """The column of a channel in the store."""
    return f"channel-{channel.index}"


def store_first(
    store: ColumnStore, name: str, labels: LabelReader, plane: Plane, count: int
) -> None:
    """Measure where the cells are and one channel, and store both."""
    shapes, means = measure_cells(labels, plane, count)
    store.write(name, means)
    store_shapes(store, shapes)


def store_shapes(store: ColumnStore, shapes: Shapes) -> None:
    """Store where the cells are; the area comes last and says that all is there."""
    store.write(CENTROID_X, shapes.centroid_x)
    store.write(CENTROID_Y, shapes.centroid_y)
    for k, name in enumerate(BOX):
        store.write(name, shapes.box[:, k])
    store.write(AREA, shapes.area)


def table_part(
    store: ColumnStore, channels: Sequence[Channel], start: int, stop: int
) -> dict[str, NDArray[Any]]:
    """The rows from `start` to `stop`, by column, in MCMICRO's order."""
    columns: dict[str, NDArray[Any]] = {ID: as_ids(start, stop)}
    for name, channel in zip(column_names(channels), channels, strict=True):
        columns[name] = store.rows(channel_file(channel), start, stop)
    for name in (CENTROID_X, CENTROID_Y, AREA, *BOX):
        columns[name] = store.rows(name, start, stop)
    there = columns[AREA] > 0
    return columns if there.all() else {name: one[there] for name, one in columns.items()}
