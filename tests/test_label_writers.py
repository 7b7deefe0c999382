"""Labels written in any order read back equal, and appear under their name only when complete."""

import errno
import json
import tracemalloc
from collections.abc import Callable
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

from tbscale.errors import ImageError, RunError
from tbscale.images.labels_out import open_label_writer, partial_path
from tbscale.images.labels_out.chunks import LabelChunks
from tbscale.images.labels_out.ome_tiff import LARGEST_CLASSIC_BYTES
from tbscale.images.labels_out.spool import LabelSpool
from tbscale.images.open import open_image, open_plane

ALL = slice(None)
NAMES = ["labels.ome.zarr", "labels.ome.tif", "labels.zarr", "labels.tiff", "LABELS.OME.TIF"]


def cells(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blobs of 5 px with ids over the whole range of uint32."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 2**32, (-(-height // 5), -(-width // 5)), dtype=np.uint32)
    ids[rng.random(ids.shape) < 0.3] = 0
    return np.kron(ids, np.ones((5, 5), np.uint32))[:height, :width]


def blocks(shape: tuple[int, int], core_px: int) -> list[tuple[slice, slice]]:
    return [
        (slice(y, min(y + core_px, shape[0])), slice(x, min(x + core_px, shape[1])))
        for y in range(0, shape[0], core_px)
        for x in range(0, shape[1], core_px)
    ]


def whole(level: LabelChunks) -> tuple[slice, slice]:
    return slice(0, level.shape[0]), slice(0, level.shape[1])


def read_levels(path: Path) -> list[np.ndarray]:
    with open_image(path) as image:
        return [image.plane(0, n).read(ALL, ALL) for n in range(len(image.levels))]


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


# --- when it appears ---


def write_and_fail(path: Path, labels: np.ndarray, rows: slice, resume: bool) -> None:
    with open_label_writer(path, labels.shape, chunk_px=16, resume=resume) as writer:
        writer.write(rows, ALL, labels[rows])
        raise ZeroDivisionError


@pytest.mark.parametrize("name", NAMES[:2])
def test_an_error_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(ZeroDivisionError):
        write_and_fail(tmp_path / name, cells(20, 20), ALL, resume=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES[:2])
def test_an_unfinished_writer_resumes(tmp_path: Path, name: str) -> None:
    path, labels = tmp_path / name, cells(60, 50)
    with pytest.raises(ZeroDivisionError):
        write_and_fail(path, labels, slice(0, 30), resume=True)
    assert not path.exists()
    assert partial_path(path).is_dir()
    litter = partial_path(path) / "0" / "c" / "0" / "0.0123.partial"
    litter.write_bytes(b"of a writer that was killed")
    with open_label_writer(path, labels.shape, chunk_px=16, resume=True) as writer:
        writer.write(slice(30, 60), ALL, labels[30:])
    assert np.array_equal(read_levels(path)[0], labels)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("name", NAMES[:2])
def test_finishing_again_after_it_failed(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finish that fails at the rename leaves nothing, and the labels are all still there."""
    path, labels = tmp_path / name, cells(60, 50)
    writer = open_label_writer(path, labels.shape, chunk_px=16, resume=True)
    writer.write(ALL, ALL, labels)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            writer.finish()
    assert not path.exists()
    open_label_writer(path, labels.shape, chunk_px=16, resume=True).finish()
    for n, level in enumerate(read_levels(path)):
        assert np.array_equal(level, labels[:: 2**n, :: 2**n])
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_pyramid_is_rebuilt_when_labels_change(tmp_path: Path) -> None:
    """Stale levels of an earlier finish must not show through, not even where all is 0 now."""
    spool = LabelSpool(tmp_path / "spool", (64, 64), 16)
    spool.write(ALL, ALL, np.full((64, 64), 5, np.uint32))
    spool.build_pyramid()
    spool.write(ALL, ALL, np.zeros((64, 64), np.uint32))
    assert all(not level.read(*whole(level)).any() for level in spool.build_pyramid())


def test_a_new_writer_forgets_the_unfinished_one(tmp_path: Path) -> None:
    path = tmp_path / "labels.zarr"
    writer = open_label_writer(path, (20, 20))
    writer.write(ALL, ALL, np.full((20, 20), 3, np.uint32))
    open_label_writer(path, (20, 20)).finish()
    assert not read_levels(path)[0].any()


def test_resuming_with_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.zarr"
    open_label_writer(path, (20, 20))
    with pytest.raises(ImageError, match="another shape"):
        open_label_writer(path, (20, 21), resume=True)


@pytest.mark.parametrize("name", NAMES[:2])
def test_what_exists_is_replaced_only_when_asked(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for value in (1, 2):
        with open_label_writer(path, (20, 20), overwrite=value == 2) as writer:
            assert value == 1 or read_levels(path)[0].max() == 1  # the old one stays until the end
            writer.write(ALL, ALL, np.full((20, 20), value, np.uint32))
    assert (read_levels(path)[0] == 2).all()
    with pytest.raises(ImageError, match="exists"):
        open_label_writer(path, (20, 20))
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_what_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "labels.tif"
    writer = open_label_writer(path, (20, 20))
    path.write_bytes(b"someone else's")
    with pytest.raises(ImageError, match="exists"):
        writer.finish()
    assert path.read_bytes() == b"someone else's"


def test_a_finished_writer_is_finished(tmp_path: Path) -> None:
    writer = open_label_writer(tmp_path / "labels.zarr", (20, 20))
    assert writer.finish() == tmp_path / "labels.zarr"
    with pytest.raises(ImageError, match="finished or aborted"):
        writer.finish()


# --- what is refused ---


@pytest.mark.parametrize(
    ("name", "shape", "chunk_px", "words"),
    [
        ("labels.png", (20, 20), 64, "end it in .ome.zarr or .ome.tif"),
        ("labels", (20, 20), 64, "no extension"),
        ("no/such/labels.zarr", (20, 20), 64, "no directory"),
        ("labels.zarr", (0, 20), 64, "at least one pixel"),
        ("labels.zarr", (20, 20), 40, "multiple of 16"),
    ],
)
def test_a_bad_request_is_refused(
    tmp_path: Path, name: str, shape: tuple[int, int], chunk_px: int, words: str
) -> None:
    with pytest.raises(ImageError, match=words):
        open_label_writer(tmp_path / name, shape, chunk_px=chunk_px)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((5, 5), np.float32),
        np.zeros((5, 6), np.uint32),
        np.full((5, 5), -1, np.int32),
        np.full((5, 5), 2**32, np.int64),
    ],
)
def test_bad_labels_are_refused(tmp_path: Path, labels: np.ndarray) -> None:
    writer = open_label_writer(tmp_path / "labels.zarr", (20, 20))
    with pytest.raises(ImageError, match="pass"):
        writer.write(slice(0, 5), slice(0, 5), labels)


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_full_disk_is_one_sentence_and_resumes(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, labels = tmp_path / name, cells(20, 20)
    writer = open_label_writer(path, (20, 20), resume=True)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(RunError, match="no room is left") as caught:
            writer.write(ALL, ALL, labels)
        assert "\n" not in str(caught.value)
    writer.write(ALL, ALL, labels)
    writer.finish()
    assert np.array_equal(read_levels(path)[0], labels)


def test_zarr_reads_the_chunks_that_were_written_here(tmp_path: Path) -> None:
    labels = cells(70, 50)
    spool = LabelSpool(tmp_path / "spool", labels.shape, 32)
    for y, x in blocks(labels.shape, 30):
        spool.write(y, x, labels[y, x])
    assert np.array_equal(np.asarray(spool.group["0"]), labels)
    spool.merge(slice(30, 40), slice(0, 50), np.zeros((10, 50), np.uint32))
    assert np.array_equal(np.asarray(spool.group["0"]), labels)


def test_labels_of_zeros_leave_no_chunk(tmp_path: Path) -> None:
    spool = LabelSpool(tmp_path / "spool", (64, 64), 32)
    spool.write(ALL, ALL, np.full((64, 64), 5, np.uint32))
    spool.write(slice(0, 32), ALL, np.zeros((32, 64), np.uint32))
    stored = sorted(
        path.relative_to(tmp_path / "spool" / "0" / "c").as_posix()
        for path in (tmp_path / "spool" / "0" / "c").rglob("*")
        if path.is_file()
    )
    assert stored == ["1/0", "1/1"]


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: b"no code" + raw])
def test_a_damaged_chunk_is_one_sentence(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    spool = LabelSpool(tmp_path / "spool", (32, 32), 32)
    spool.write(ALL, ALL, cells(32, 32))
    chunk = tmp_path / "spool" / "0" / "c" / "0" / "0"
    chunk.write_bytes(damage(chunk.read_bytes()))
    with pytest.raises(ImageError, match="--restart"):
        spool.read(ALL, ALL)


# --- size ---


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
