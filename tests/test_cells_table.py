"""One row for each cell: equal to scikit-image on the whole plane, whatever the windows."""

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from skimage.measure import regionprops_table

from tbscale.engine.table import measure as measuring
from tbscale.engine.table.file import check_table_path, column_names
from tbscale.engine.table.measure import (
    measure_cells,
    measure_means,
    measure_shapes,
    sum_type,
)
from tbscale.engine.table.task import (
    ColumnStore,
    Measured,
    drop_table,
    was_written_to,
    write_table,
)
from tbscale.errors import ImageError, RunError
from tbscale.images.image import Channel
from tbscale.images.plane import ArrayPlane
from tbscale.steps import StepClock

SHAPE = (150, 210)


def labels_and_pixels(dtype: str, seed: int = 3) -> tuple[NDArray[np.uint32], NDArray[Any]]:
    """Cells of every size over window borders, one of them in pieces, and noise below them."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.arange(1, 7 * 10 + 1)).reshape(7, 10).astype(np.uint32)
    labels = np.kron(ids, np.ones((22, 21), np.uint32))[: SHAPE[0], : SHAPE[1]]
    labels[rng.random(SHAPE) < 0.2] = 0
    labels[0, 0] = labels[-1, -1] = 5
    low, high = (-1000.0, 1000.0) if dtype.startswith("float") else (0, 2)
    if np.dtype(dtype).kind in "iu":
        low, high = max(np.iinfo(dtype).min, -(2**40)), min(np.iinfo(dtype).max, 2**40)
    return labels, rng.uniform(low, high, SHAPE).astype(dtype)


def expected(labels: NDArray[np.uint32], pixels: NDArray[Any]) -> dict[str, NDArray[Any]]:
    names = ("label", "area", "centroid", "bbox", "mean_intensity")
    found: dict[str, NDArray[Any]] = regionprops_table(labels, pixels, properties=names)
    return found


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int16", "uint16", "uint32", "int64", "uint64", "float16", "float32"]
)
@pytest.mark.parametrize("window_px", [17, 64, 1024])
def test_equals_scikit_image_on_the_whole_plane(
    dtype: str, window_px: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "WINDOW_PX", window_px)
    labels, pixels = labels_and_pixels(dtype)
    # scikit-image adds float32 in float32, so it is given float64
    whole = expected(labels, pixels.astype(np.float64) if dtype.startswith("float") else pixels)
    shapes = measure_shapes(ArrayPlane(labels), 70)
    np.testing.assert_array_equal(shapes.area, whole["area"])
    np.testing.assert_allclose(shapes.centroid_y, whole["centroid-0"], rtol=1e-14)
    np.testing.assert_allclose(shapes.centroid_x, whole["centroid-1"], rtol=1e-14)
    np.testing.assert_array_equal(
        shapes.box, np.stack([whole[f"bbox-{k}"] for k in (0, 2, 1, 3)], axis=1)
    )
    means = measure_means(ArrayPlane(labels), ArrayPlane(pixels), shapes.area)
    exact = sum_type(pixels.dtype) is np.int64
    np.testing.assert_allclose(means, whole["mean_intensity"], rtol=1e-15 if exact else 1e-11)
    both, means_too = measure_cells(ArrayPlane(labels), ArrayPlane(pixels), 70)
    np.testing.assert_array_equal(means_too, means)  # in one pass, to the last bit
    for name in ("area", "sum_y", "sum_x", "box"):
        np.testing.assert_array_equal(getattr(both, name), getattr(shapes, name))


def test_sums_of_integers_are_exact_where_float64_is_not() -> None:
    labels = np.ones((1, 4), np.uint32)
    pixels = np.array([[2**32 - 1, 2**32 - 1, 2**32 - 1, 1]], np.uint32)
    means = measure_means(ArrayPlane(labels), ArrayPlane(pixels), np.array([4]))
    assert means[0] == (3 * (2**32 - 1) + 1) / 4


def test_an_id_beyond_the_cells_is_refused() -> None:
    labels, _ = labels_and_pixels("uint8")
    with pytest.raises(ImageError, match="the id 70, and their metadata says 69 is the largest"):
        measure_shapes(ArrayPlane(labels), 69)
    for where in ((0, 0), (0, -1), (-1, -1)):  # alone, at the start and at the end of a row
        stray = np.zeros(SHAPE, np.uint32)
        stray[where] = 2**32 - 1
        pixels = ArrayPlane(np.ones(SHAPE, np.uint8))
        for measure in (
            lambda labels: measure_shapes(labels, 3),
            lambda labels: measure_cells(labels, pixels, 3),  # noqa: B023
            lambda labels: measure_means(labels, pixels, np.ones(3, np.int64)),  # noqa: B023
        ):
            with pytest.raises(ImageError, match="the id 4294967295, and their metadata says 3"):
                measure(ArrayPlane(stray))


def write(path: Path, workdir: Path, count: int = 70) -> None:
    labels, pixels = labels_and_pixels("uint16")
    if not count:
        labels[:] = 0
    channels = [Channel(0, "DNA"), Channel(2, "CD3, dim")]
    measured = [Measured(c, ArrayPlane(pixels + np.uint16(c.index))) for c in channels]
    workdir.mkdir(exist_ok=True)
    facts = {"grade": "bit"}
    write_table(path, workdir, ArrayPlane(labels), count, measured, facts, StepClock())


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_table_reads_back_with_the_columns_of_mcmicro(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tbscale.engine.table.file.ROWS_AT_ONCE", 32)
    path = tmp_path / f"cells.{ending}"
    write(path, tmp_path / "work")
    table = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert list(table) == [
        *("CellID", "DNA", "CD3, dim", "X_centroid", "Y_centroid", "Area"),
        *("Y_start", "Y_stop", "X_start", "X_stop"),
    ]
    labels, pixels = labels_and_pixels("uint16")
    whole = expected(labels, pixels)
    np.testing.assert_array_equal(table["CellID"], np.arange(1, 71))
    np.testing.assert_array_equal(table["Area"], whole["area"])
    np.testing.assert_array_equal(table["X_stop"], whole["bbox-3"])
    sums = np.bincount(labels.ravel(), pixels.ravel())[1:]
    np.testing.assert_array_equal(table["DNA"], sums / whole["area"])  # to the last bit, CSV too
    assert [p.name for p in tmp_path.iterdir() if p.name != "work"] == [path.name]
    if ending == "parquet":
        from pyarrow import parquet

        stored = parquet.ParquetFile(path)
        assert stored.num_row_groups == 3
        assert stored.schema_arrow.metadata[b"tbscale"] == b'{"grade": "bit"}'


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_no_cells_make_a_table_without_rows(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"cells.{ending}"
    write(path, tmp_path / "work", 0)
    table = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert len(table) == 0
    assert list(table)[:2] == ["CellID", "DNA"]


def test_a_killed_table_continues_at_the_next_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def stops_at_first(labels: Any, plane: Any, area: Any) -> NDArray[np.float64]:
        seen.append(len(seen))
        if len(seen) == 1:
            raise KeyboardInterrupt
        return measure_means(labels, plane, area)

    monkeypatch.setattr("tbscale.engine.table.task.measure_means", stops_at_first)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "cells.csv", tmp_path / "work")
    assert not list(tmp_path.glob("*.csv"))
    assert not was_written_to(tmp_path / "work", tmp_path / "cells.csv")
    with monkeypatch.context() as patch:  # the first channel and the shapes are there
        patch.setattr("tbscale.engine.table.task.measure_cells", None)
        write(tmp_path / "cells.csv", tmp_path / "work")
    assert len(seen) == 2
    write(tmp_path / "undisturbed.csv", tmp_path / "other")
    assert (tmp_path / "cells.csv").read_bytes() == (tmp_path / "undisturbed.csv").read_bytes()
    assert was_written_to(tmp_path / "work", tmp_path / "cells.csv")
    assert not was_written_to(tmp_path / "work", tmp_path / "undisturbed.csv")
    drop_table(tmp_path / "work")
    assert [path.name for path in tmp_path.glob("*.csv")] == ["undisturbed.csv"]
    (tmp_path / "undisturbed.csv").write_text("of another run")
    drop_table(tmp_path / "other")
    assert (tmp_path / "undisturbed.csv").read_text() == "of another run"


def test_columns_are_complete_or_absent(tmp_path: Path) -> None:
    store = ColumnStore(tmp_path)
    assert not store.has("Area")
    store.write("Area", np.arange(5))
    assert store.has("Area")
    np.testing.assert_array_equal(store.rows("Area", 1, 3), [1, 2])
    assert [p.name for p in tmp_path.iterdir()] == ["Area.npy"]


def test_every_column_has_a_name_of_its_own() -> None:
    names = ["DNA", "DNA", "DNA_0", "Area", "CellID", ""]
    columns = column_names([Channel(k, name) for k, name in enumerate(names)])
    assert columns == ["DNA_0_", "DNA_1", "DNA_0", "Area_3", "CellID_4", ""]


def test_paths_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "labels.ome.tif"
    with pytest.raises(RunError, match=r"end it in \.csv or \.parquet"):
        check_table_path(tmp_path / "cells.xlsx", out, False)
    with pytest.raises(RunError, match="there is no directory"):
        check_table_path(tmp_path / "none" / "cells.csv", out, False)
    with pytest.raises(RunError, match="pass two names"):
        check_table_path(tmp_path / "x.csv", tmp_path / "x.csv", False)
    (tmp_path / "cells.csv").touch()
    with pytest.raises(RunError, match="exists"):
        check_table_path(tmp_path / "cells.csv", out, False)
    check_table_path(tmp_path / "cells.csv", out, True)


def test_an_id_without_pixels_gets_no_row(tmp_path: Path) -> None:
    labels, pixels = labels_and_pixels("uint16")
    labels[labels == 7] = 0
    (tmp_path / "work").mkdir()
    measured = [Measured(Channel(0, "DNA"), ArrayPlane(pixels))]
    write_table(
        tmp_path / "cells.csv", tmp_path / "work", ArrayPlane(labels), 70, measured, {}, StepClock()
    )
    table = pd.read_csv(tmp_path / "cells.csv")
    assert table["CellID"].tolist() == [k for k in range(1, 71) if k != 7]
    assert np.isfinite(table.to_numpy(float)).all()


def test_a_directory_that_cannot_be_written_to_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(
        RunError, match=r"cannot be written to \(Read-only .*\); choose another dir"
    ):
        check_table_path(tmp_path / "cells.csv", tmp_path / "labels.ome.tif", False)
