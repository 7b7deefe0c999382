"""Labels written in any order read back equal, as files that other readers know."""

import json
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import ome_zarr_models
import ome_zarr_models.v05
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from label_files import ALL, NAMES, blocks, cells, read_levels

from tbscale.images.labels_out import open_label_writer
from tbscale.images.labels_out.ome_tiff import LARGEST_CLASSIC_BYTES
from tbscale.images.open import open_image, open_plane


@pytest.mark.parametrize("name", NAMES[:2])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_any_order_of_blocks_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("out") / name
    shape = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 70)))
    chunk_px = data.draw(st.sampled_from([16, 32, 64]))
    labels = cells(*shape)
    order = data.draw(st.permutations(blocks(shape, data.draw(st.integers(13, 40)))))
    with open_label_writer(path, shape, chunk_px=chunk_px) as writer:
        for y, x in order:
            writer.write(y, x, labels[y, x])
    for n, level in enumerate(read_levels(path)):
        assert level.dtype == np.uint32
        assert np.array_equal(level, labels[:: 2**n, :: 2**n])
    assert max(level.shape) <= chunk_px
    assert [p.name for p in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_the_extension_says_the_format(tmp_path: Path, name: str) -> None:
    labels = cells(30, 40)
    with open_label_writer(tmp_path / name, labels.shape, chunk_px=16) as writer:
        writer.write(ALL, ALL, labels)
    with open_image(tmp_path / name) as image:
        assert image.kind == ("OME-Zarr 0.5" if name.endswith("zarr") else "OME-TIFF")
    assert np.array_equal(read_levels(tmp_path / name)[0], labels)


@pytest.mark.parametrize("name", NAMES[:2])
def test_cells_beyond_their_core_merge_in_any_order(tmp_path: Path, name: str) -> None:
    """Each block sets its own cells wherever they are, over regions that overlap."""
    labels = cells(60, 60)
    owned = [np.where(labels % 4 == k, labels, 0) for k in range(4)]
    for order in ([0, 1, 2, 3], [3, 1, 0, 2, 1]):
        path = tmp_path / f"{len(order)}-{name}"
        with open_label_writer(path, labels.shape, chunk_px=16) as writer:
            for k in order:
                writer.merge(slice(0, 60), slice(0, 60), owned[k])
            assert np.array_equal(writer.read(slice(5, 20), slice(7, 60)), labels[5:20, 7:60])
        assert np.array_equal(read_levels(path)[0], labels)


@pytest.mark.parametrize("method", ["write", "merge"])
def test_threads_that_meet_in_a_chunk(tmp_path: Path, method: str) -> None:
    labels = cells(96, 96)
    path = tmp_path / "labels.zarr"
    with open_label_writer(path, labels.shape, chunk_px=64) as writer:
        put = getattr(writer, method)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda r: put(*r, labels[r]), blocks(labels.shape, 11)))
    assert np.array_equal(read_levels(path)[0], labels)


def test_the_zarr_is_a_valid_label_image(tmp_path: Path) -> None:
    path = tmp_path / "cells.ome.zarr"
    labels = cells(100, 70)
    provenance = {"model": "nuclei", "diameter": 17.0}
    with open_label_writer(
        path, labels.shape, chunk_px=32, pixel_size_um=(0.65, 0.5), provenance=provenance
    ) as writer:
        writer.write(ALL, ALL, labels)
    group = zarr.open_group(path, mode="r")
    model = ome_zarr_models.v05.ImageLabel.from_zarr(group)
    assert isinstance(ome_zarr_models.open_ome_zarr(group), ome_zarr_models.v05.ImageLabel)
    ome = model.attributes.ome
    assert ome.version == "0.5"
    assert ome.image_label is not None
    (multiscale,) = ome.multiscales
    assert multiscale.name == "cells"
    assert [dataset.path for dataset in multiscale.datasets] == ["0", "1", "2"]
    assert [d.coordinateTransformations[0].scale for d in multiscale.datasets] == [
        [0.65, 0.5],
        [1.3, 1.0],
        [2.6, 2.0],
    ]
    for array in dict(group.arrays()).values():
        assert array.metadata.dimension_names == ("y", "x")
    assert group.attrs["tbscale"] == provenance
    with open_image(path) as image:
        assert image.pixel_size_um == (0.65, 0.5)
        assert image.kind == "OME-Zarr 0.5"


def test_the_zarr_is_valid_as_labels_of_an_image(tmp_path: Path) -> None:
    """Moved into the `labels` group of an image, it is what the specification asks for."""
    group = zarr.open_group(tmp_path / "labels", mode="w")
    group.attrs["ome"] = {"version": "0.5", "labels": ["cells"]}
    with open_label_writer(tmp_path / "labels" / "cells.zarr", (20, 20)) as writer:
        writer.write(ALL, ALL, cells(20, 20))
    (tmp_path / "labels" / "cells.zarr").rename(tmp_path / "labels" / "cells")
    model = ome_zarr_models.v05.Labels.from_zarr(zarr.open_group(tmp_path / "labels", mode="r"))
    assert model.attributes.ome.labels == ["cells"]


def test_a_pixel_size_that_is_not_known_is_not_made_up(tmp_path: Path) -> None:
    for name in NAMES[:2]:
        with open_label_writer(tmp_path / name, (20, 20)) as writer:
            writer.write(ALL, ALL, cells(20, 20))
        with open_image(tmp_path / name) as image:
            assert image.pixel_size_um is None
    group = zarr.open_group(tmp_path / NAMES[0], mode="r")
    ome_zarr_models.v05.ImageLabel.from_zarr(group)


def test_the_tiff_is_a_pyramid_in_subifds(tmp_path: Path) -> None:
    path = tmp_path / "cells.ome.tif"
    labels = cells(100, 70)
    with open_label_writer(
        path, labels.shape, chunk_px=32, pixel_size_um=(0.65, 0.5), provenance={"model": "<a&b>"}
    ) as writer:
        writer.write(ALL, ALL, labels)
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome
        assert not tif.is_bigtiff
        page = tif.pages[0]
        assert page.tile == (32, 32)
        assert page.dtype == np.uint32
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert len(page.subifds) == 2
        assert [level.shape for level in tif.series[0].levels] == [(100, 70), (50, 35), (25, 18)]
        assert "&lt;a&amp;b&gt;" in tif.ome_metadata
    with open_image(path) as image:
        assert image.pixel_size_um == pytest.approx((0.65, 0.5))
        assert [c.name for c in image.channels] == ["labels"]
        assert image.notes == ()
    assert np.array_equal(open_plane(path, "labels").read(ALL, ALL), labels)


@pytest.mark.parametrize("name", NAMES[:2])
def test_what_no_block_writes_is_background(tmp_path: Path, name: str) -> None:
    with open_label_writer(tmp_path / name, (50, 40), chunk_px=16) as writer:
        writer.write(slice(20, 21), slice(39, 40), np.full((1, 1), 7, np.uint8))
    expected = np.zeros((50, 40), np.uint32)
    expected[20, 39] = 7
    assert np.array_equal(read_levels(tmp_path / name)[0], expected)


@pytest.mark.parametrize("name", NAMES[:2])
def test_finishing_takes_memory_of_chunks_not_of_the_plane(tmp_path: Path, name: str) -> None:
    shape = (4096, 3000)  # 47 MiB of labels
    writer = open_label_writer(tmp_path / name, shape, chunk_px=256)
    for y, x in blocks(shape, 512):
        rows, columns = y.stop - y.start, x.stop - x.start
        writer.write(y, x, np.full((rows, columns), y.start + x.start + 1, np.uint32))
    tracemalloc.start()
    writer.finish()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 12 * 2**20
    assert open_plane(tmp_path / name).read(slice(4095, 4096), slice(2999, 3000)) == 3584 + 2560 + 1


def test_labels_that_may_pass_4_gib_ask_for_bigtiff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 27120 * 26139 * 4 * 4 / 3 < LARGEST_CLASSIC_BYTES < 2**32
    monkeypatch.setattr("tbscale.images.labels_out.ome_tiff.LARGEST_CLASSIC_BYTES", 1000)
    labels = cells(20, 20)
    with open_label_writer(tmp_path / "labels.tif", (20, 20)) as writer:
        writer.write(ALL, ALL, labels)
    with tifffile.TiffFile(tmp_path / "labels.tif") as tif:
        assert tif.is_bigtiff
    assert np.array_equal(read_levels(tmp_path / "labels.tif")[0], labels)


def test_the_metadata_is_plain_json(tmp_path: Path) -> None:
    with open_label_writer(tmp_path / "labels.zarr", (20, 20), provenance={"a": [1, None]}):
        pass
    document = json.loads((tmp_path / "labels.zarr" / "zarr.json").read_text())
    assert document["attributes"]["tbscale"] == {"a": [1, None]}
    assert document["attributes"]["ome"]["image-label"] == {"version": "0.5"}
