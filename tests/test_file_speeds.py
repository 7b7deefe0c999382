"""What the experiment on files times: the files that it writes are those of its codec."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from label_files import cells, read_levels

from tbscale.engine.workload import file_speeds
from tbscale.engine.workload.file_speeds import Bench, chunks_of, levels_of
from tbscale.images.labels_out.codes import TIFF_CODE
from tbscale.images.plane import ArrayPlane

ROUNDS = 3


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    labels = (cells(1500, 1100) % 900).astype(np.uint32)
    pixels = np.zeros(labels.shape, np.uint16)
    image = tmp_path / "image.tif"
    tifffile.imwrite(image, pixels, tile=(256, 256), compression="zlib")
    (tmp_path / "out").mkdir()
    return Bench(image, ArrayPlane(pixels), labels, 900, tmp_path / "out")


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
def test_each_round_writes_a_file_of_its_own_and_removes_none(bench: Bench, ending: str) -> None:
    for _ in range(ROUNDS):
        bench.write(ending)
    written = sorted(bench.folder.iterdir())
    assert [path.name for path in written] == [f"labels-{k}{ending}" for k in range(ROUNDS)]
    for path in written:
        for level, expected in zip(read_levels(path), levels_of(bench.labels), strict=True):
            np.testing.assert_array_equal(level, expected)


def test_the_codec_alone_encodes_the_chunks_that_are_stored(bench: Bench) -> None:
    bench.write(".ome.zarr")
    out = bench.folder / "labels-0.ome.zarr"
    for n, level in enumerate(levels_of(bench.labels)):
        width = -(-level.shape[1] // min(level.shape[1], 1024))
        for k, chunk in enumerate(chunks_of(level)):
            stored = (out / str(n) / "c" / str(k // width) / str(k % width)).read_bytes()
            assert imagecodecs.zstd_decode(stored) == chunk.tobytes()


def test_the_codec_alone_makes_the_bytes_that_tifffile_does(bench: Bench) -> None:
    """Another library of the same format would make others, and take another time."""
    path = bench.folder / "theirs.tif"
    tifffile.imwrite(
        path, bench.labels, tile=(1024, 1024), compression="adobe_deflate", predictor=True
    )
    with tifffile.TiffFile(path) as tif:
        page = tif.pages.first
        places = zip(page.dataoffsets, page.databytecounts, strict=True)
        stored = [path.read_bytes()[at : at + size] for at, size in places]
    assert [bytes(TIFF_CODE.encode(chunk)) for chunk in chunks_of(bench.labels)] == stored


def test_every_job_is_timed_in_every_round(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = bench.folder / "labels.tif"
    tifffile.imwrite(labels, bench.labels)
    monkeypatch.setattr(file_speeds, "kinds_of", lambda _: {"labels": bench.labels[:64, :64]})
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(file_speeds, "fix_threads", lambda _: None)
    asked = {"image": str(bench.image), "labels": str(labels), "rounds": ROUNDS, "threads": 2}
    found = file_speeds.measure(asked)
    assert set(found["jobs"]) == {"read", "table", "write-ome-zarr", "write-ome-tiff"}
    for times in found["jobs"].values():
        assert len(times) == ROUNDS
        assert all(set(one) == {"ours_s", "codec_s"} and min(one.values()) > 0 for one in times)
