"""The file of a table of cells: its columns, its name, and how it is written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbscale.errors import RunError
from tbscale.images.image import Channel
from tbscale.images.labels_out.disk import check_folder, told_if_full

# the names that MCMICRO's quantification gives, and after them what it has no name for
ID, CENTROID_X, CENTROID_Y, AREA = "CellID", "X_centroid", "Y_centroid", "Area"
BOX = ("Y_start", "Y_stop", "X_start", "X_stop")
FIXED = (ID, CENTROID_X, CENTROID_Y, AREA, *BOX)
ENDINGS = (".csv", ".parquet")
ROWS_AT_ONCE = 65_536

Rows = Callable[[int, int], Mapping[str, NDArray[Any]]]


def check_table_path(path: Path, out: Path, may_exist: bool) -> None:
    """Refuse a path that a table cannot be written to, before any work is done.

    Parameters
    ----------
    out : of the labels
    may_exist : an unfinished run to the same output has already written it

    Raises
    ------
    RunError : an unknown extension, no such directory or one that takes no file, a `path` that
        exists or is `out`
    """
    if path.suffix.lower() not in ENDINGS:
        raise RunError(f"{path} has no extension of a table; end it in .csv or .parquet")
    check_folder(path.parent)
    if path.resolve() == out.resolve():
        raise RunError(f"{path} is to hold both labels and cells; pass two names")
    if path.exists() and not may_exist:
        raise RunError(f"{path} exists; choose another name, or remove it")


def column_names(channels: Sequence[Channel]) -> list[str]:
    """A column for each channel: its name, with its index behind where that is not its own.

    >>> column_names([Channel(0, "DNA"), Channel(1, "CD45"), Channel(2, "DNA"), Channel(3, "Area")])
    ['DNA_0', 'CD45', 'DNA_2', 'Area_3']
    """
    names = [channel.name for channel in channels]
    taken = {*FIXED, *(name for name in names if names.count(name) == 1)}
    columns = []
    for channel in channels:
        name = channel.name
        if names.count(name) > 1 or name in FIXED:
            name = f"{name}_{channel.index}"
            while name in taken:
                name += "_"
        taken.add(name)
        columns.append(name)
    return columns


def write_rows(path: Path, rows: Rows, count: int, facts: Mapping[str, Any]) -> None:
    """Write a table, complete or not at all; memory is `ROWS_AT_ONCE` rows.

    Parameters
    ----------
    path : .csv or .parquet
    rows : gives the columns of the rows from `start` to `stop`
    count : rows
    facts : JSON values, kept in the metadata of a Parquet file
    """
    partial = path.with_name(f".{path.name}.partial")
    write = _write_parquet if path.suffix.lower() == ".parquet" else _write_csv
    with told_if_full(path):
        write(partial, rows, count, facts)
        partial.replace(path)


def _starts(count: int) -> range:
    """Where parts begin; an empty table has one, so that its columns are written."""
    return range(0, max(count, 1), ROWS_AT_ONCE)


def _write_csv(path: Path, rows: Rows, count: int, facts: Mapping[str, Any]) -> None:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    plain = arrow_csv.WriteOptions(include_header=False)
    with path.open("wb") as stream:
        for start in _starts(count):
            part = pa.table(dict(rows(start, min(start + ROWS_AT_ONCE, count))))
            if start == 0:  # pyarrow quotes every name, MCMICRO none
                stream.write(_csv_line(part.column_names))
            arrow_csv.write_csv(part, stream, plain)


def _csv_line(names: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(names)
    return line.getvalue().encode()


def _write_parquet(path: Path, rows: Rows, count: int, facts: Mapping[str, Any]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    first = pa.table(dict(rows(0, min(ROWS_AT_ONCE, count))))
    schema = first.schema.with_metadata({"tbscale": json.dumps(dict(facts))})
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in _starts(count):
            stop = min(start + ROWS_AT_ONCE, count)
            part = first if start == 0 else pa.table(dict(rows(start, stop)))
            writer.write_table(part.replace_schema_metadata(schema.metadata))


def as_ids(start: int, stop: int) -> NDArray[np.uint32]:
    """The ids of the rows from `start` to `stop`, uint32."""
    return np.arange(start + 1, stop + 1, dtype=np.uint32)
