"""Labels appear under their name only when complete; what cannot be written is refused."""

import errno
from pathlib import Path

import numpy as np
import pytest
from label_files import ALL, NAMES, cells, read_levels

from tbscale.errors import ImageError, RunError
from tbscale.images.labels_out import open_label_writer, partial_path
from tbscale.images.labels_out.disk import check_folder

NO_PLACE = Path("/proc")


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

    replace = Path.replace

    def killed_at_the_end(self: Path, target: Path) -> Path:
        if target == path:
            raise OSError("killed")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed_at_the_end)
        with pytest.raises(OSError, match="killed"):
            writer.finish()
    assert not path.exists()
    open_label_writer(path, labels.shape, chunk_px=16, resume=True).finish()
    for n, level in enumerate(read_levels(path)):
        assert np.array_equal(level, labels[:: 2**n, :: 2**n])
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_new_writer_forgets_the_unfinished_one(tmp_path: Path) -> None:
    path = tmp_path / "labels.zarr"
    writer = open_label_writer(path, (20, 20))
    writer.write(ALL, ALL, np.full((20, 20), 3, np.uint32))
    open_label_writer(path, (20, 20)).finish()
    assert not read_levels(path)[0].any()


def test_resuming_with_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.zarr"
    open_label_writer(path, (20, 20), resume=True)
    with pytest.raises(ImageError, match="not of 20 x 21 px in chunks"):
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


@pytest.mark.parametrize(
    ("name", "shape", "chunk_px", "words"),
    [
        ("labels.png", (20, 20), 64, "end it in .ome.zarr or .ome.tif"),
        ("labels", (20, 20), 64, "no extension"),
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


def test_a_folder_that_takes_no_file_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"there is no directory .*no.such; make it first"):
        open_label_writer(tmp_path / "no" / "such" / "labels.zarr", (20, 20))
    check_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
    if not NO_PLACE.is_dir():
        pytest.skip("only Linux has a folder that refuses the administrator too")
    with pytest.raises(RunError, match=r"^/proc cannot be written to \(.+\); choose another direc"):
        open_label_writer(NO_PLACE / "labels.ome.tif", (20, 20))


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
        patch.setattr("tbscale.images.labels_out.disk.write_new", full)
        with pytest.raises(RunError, match="no room is left") as caught:
            writer.write(ALL, ALL, labels)
        assert "\n" not in str(caught.value)
    writer.write(ALL, ALL, labels)
    writer.finish()
    assert np.array_equal(read_levels(path)[0], labels)
