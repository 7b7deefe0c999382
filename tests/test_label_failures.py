"""Labels whose writing fails or is killed while their pyramid is made: nothing is in part there."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from label_files import ALL, NAMES, Source, cells, read_levels

from tbscale.errors import RunError
from tbscale.images.labels_out import open_label_writer, partial_path
from tbscale.images.labels_out.chunks import LabelChunks
from tbscale.images.labels_out.halves import Halves


@pytest.mark.parametrize("name", NAMES[:2])
@pytest.mark.parametrize("count", ["1", "2"])
def test_a_disk_that_is_full_for_a_lower_level_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, count: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", count)
    labels = cells(200, 200)
    writer = open_label_writer(tmp_path / name, labels.shape, chunk_px=16)
    store = LabelChunks.store

    def full(self: LabelChunks, *arguments: object) -> None:
        if self.shape != labels.shape:
            raise OSError(errno.ENOSPC, "No space left on device")
        store(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(LabelChunks, "store", full)
        with pytest.raises(RunError, match="no room is left"):
            writer.write_from(Source(labels))
        with pytest.raises(RunError, match="no room is left"):
            writer.finish()
    writer.write_from(Source(labels))
    writer.finish()
    for n, level in enumerate(read_levels(tmp_path / name)):
        np.testing.assert_array_equal(level, labels[:: 2**n, :: 2**n])


def test_an_error_of_the_source_leaves_nothing(tmp_path: Path) -> None:
    class Broken(Source):
        def read(self, y: slice, x: slice) -> np.ndarray:
            if y.start > 100:
                raise ZeroDivisionError
            return super().read(y, x)

    with (
        pytest.raises(ZeroDivisionError),
        open_label_writer(tmp_path / "labels.zarr", (200, 200), chunk_px=16) as writer,
    ):
        writer.write_from(Broken(cells(200, 200)))
    assert list(tmp_path.iterdir()) == []


WRITES = """
import sys
import numpy as np
from tbscale.images.labels_out import open_label_writer

class Source:
    def read(self, y, x):
        rows, columns = np.arange(y.start, y.stop)[:, None], np.arange(x.start, x.stop)
        return (rows // 9 * 1000 + columns // 9).astype(np.uint32)

print("starts", flush=True)
while True:
    with open_label_writer(
        sys.argv[1], (1500, 1300), chunk_px=64, overwrite=True, resume=sys.argv[2] == "True"
    ) as writer:
        writer.write_from(Source())
"""


@pytest.mark.skipif(os.name != "posix", reason="kills")
@pytest.mark.parametrize("resume", [True, False])
def test_killed_at_any_moment_it_leaves_no_part_of_a_file(tmp_path: Path, resume: bool) -> None:
    path = tmp_path / "labels.ome.zarr"
    y, x = np.arange(1500)[:, None], np.arange(1300)
    labels = (y // 9 * 1000 + x // 9).astype(np.uint32)
    rng, kept = np.random.default_rng(0), 0
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITES, str(path), str(resume)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(float(rng.uniform(0.02, 0.6)))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        if path.exists():
            for n, level in enumerate(read_levels(path)):
                np.testing.assert_array_equal(level, labels[:: 2**n, :: 2**n])
        with open_label_writer(
            path, labels.shape, chunk_px=64, overwrite=True, resume=True
        ) as writer:
            found = writer.read(ALL, ALL)  # every chunk is whole
            assert np.array_equal(found[found != 0], labels[found != 0])
            kept += np.count_nonzero(found)
            writer.write(ALL, ALL, labels)
        assert not partial_path(path).exists()
        assert not list(path.rglob("*.partial"))
        for n, level in enumerate(read_levels(path)):
            np.testing.assert_array_equal(level, labels[:: 2**n, :: 2**n])
    assert (kept > 0) == resume  # what may be torn is not gone on with


def test_no_thread_stores_any_more_when_settling_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    levels = [
        LabelChunks(tmp_path, str(k), (side, side), 16) for k, side in enumerate((64, 32, 16))
    ]
    begun, ended = [], []

    def store(self: LabelChunks, *arguments: object) -> None:
        if threading.current_thread() is threading.main_thread():
            raise OSError(errno.ENOSPC, "No space left on device")
        begun.append(arguments)
        time.sleep(0.2)
        ended.append(arguments)

    monkeypatch.setattr(LabelChunks, "store", store)
    halves = Halves(levels)
    for corner in levels[0].corners():
        halves.add(corner, np.ones((16, 16), np.uint32))
    while not begun:
        time.sleep(0.01)
    with pytest.raises(OSError, match="No space"):
        halves.settle()
    assert len(ended) == len(begun)
