"""Time reading, writing and tabulating against the codecs alone, in a fresh process.

    python -m tbscale.engine.workload.file_speeds REQUEST.json RESULT.json

The request is {"image": path, "labels": path, "rounds": 5, "threads": 2}; the labels are those of
the image. Each round does a job once, ours and beside it what no program that uses the same codec
can leave out: its chunks, decoded or encoded by as many threads from memory to memory, into memory
that is there already. What is written stays until the end: a file system may take longer to make a
file where others were just removed (ext4 without a journal does), and no codec removes any.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import count as count_up
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from tbscale.engine.allocator import keep_freed
from tbscale.engine.kernels.choice import choose_kernels
from tbscale.engine.network import FAST, make_network
from tbscale.engine.run import Settings, network_step
from tbscale.engine.scratch import FlowStore
from tbscale.engine.table.measure import measure_cells, windows
from tbscale.engine.weights import EMBEDDED, resolve_model
from tbscale.engine.workload.threads import fix_threads
from tbscale.images.cached_plane import cache_chunks, row_of_chunks_bytes
from tbscale.images.labels_out.chunks import LABEL_CHUNK_PX
from tbscale.images.labels_out.codes import TIFF_CODE, ZARR_CODE, ChunkCode
from tbscale.images.labels_out.writer import open_label_writer
from tbscale.images.open import open_plane
from tbscale.images.plane import ArrayPlane, Plane
from tbscale.images.thread_room import ThreadRoom
from tbscale.images.tiff_chunks import decode_into, is_direct
from tbscale.images.workers import each
from tbscale.steps import StepClock

Json = dict[str, Any]
Labels = NDArray[np.uint32]
Job = Callable[[], object]

ROWS_AT_ONCE = 64  # as the engine reads
CODEC_ROOM_BYTES = 2**30  # whatever a chunk takes
SHUFFLED = "blosc-zstd"
CODECS = ("none", "zstd-1", "zstd-3", "deflate-6", "blosc-lz4", SHUFFLED)


def chunks_of(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Every chunk of an array (Y, X) as files store it: of full size at the border too."""
    height, width = (min(side, LABEL_CHUNK_PX) for side in pixels.shape)
    for y in range(0, pixels.shape[0], height):
        for x in range(0, pixels.shape[1], width):
            inside = pixels[y : y + height, x : x + width]
            chunk = np.zeros((height, width), pixels.dtype)
            chunk[: inside.shape[0], : inside.shape[1]] = inside
            yield chunk


def levels_of(labels: Labels) -> Iterator[Labels]:
    """The levels of a pyramid, each every second pixel of the one before."""
    yield labels
    while max(labels.shape) > LABEL_CHUNK_PX:
        labels = labels[::2, ::2]
        yield labels


@dataclass(frozen=True)
class Bench:
    """What the jobs work on.

    Attributes
    ----------
    image : a compressed TIFF
    plane : its first channel
    labels : uint32 (Y, X), 1 to `count`
    folder : scratch
    """

    image: Path
    plane: Plane
    labels: Labels
    count: int
    folder: Path
    numbers: Iterator[int] = field(default_factory=count_up)  # in the names of what is written

    @cached_property
    def windows(self) -> _InMemory:
        """The labels window by window."""
        return _InMemory(self.labels)

    def read(self) -> None:
        """The whole plane, a few rows at a time, as for the network where the budget allows."""
        plane = cache_chunks(open_plane(self.image), row_of_chunks_bytes(self.plane))
        height, width = plane.shape
        with keep_freed(Settings(keeps_freed=True).kept_bytes):
            for y in range(0, height, ROWS_AT_ONCE):
                plane.read(slice(y, min(y + ROWS_AT_ONCE, height)), slice(0, width))

    def decode(self) -> Job:
        """The chunks of the plane, decoded from memory."""
        with tifffile.TiffFile(self.image) as tif:
            page = tif.series[0].levels[0].pages[0]
            assert isinstance(page, tifffile.TiffPage)
            page.init_decode()
            stored = list(zip(page.dataoffsets, page.databytecounts, strict=True))
            with self.image.open("rb") as file:
                raw = [(file.seek(at), file.read(size))[1] for at, size in stored]

        def decode(index: int) -> None:
            if is_direct(page):
                decode_into(page, raw[index], _decoded.array(page.chunks[:2], page.dtype))
            else:
                page.decode(raw[index], index)

        return lambda: each(decode, range(len(raw)))

    def write(self, ending: str) -> None:
        """The labels with their pyramid, under a new name; windows come as the engine's do."""
        out = self.folder / f"labels-{next(self.numbers)}{ending}"
        with open_label_writer(out, self.windows.shape) as writer:
            writer.write_from(self.windows)

    def encode(self, code: ChunkCode) -> Job:
        """The chunks of every level, encoded to memory."""
        chunks = [chunk for level in levels_of(self.labels) for chunk in chunks_of(level)]
        return lambda: each(code.encode, chunks)

    def table(self) -> Job:
        """Shapes of all cells and their means in one channel."""
        return lambda: measure_cells(self.windows, open_plane(self.image), self.count)

    def jobs(self) -> dict[str, tuple[Job, Job]]:
        """Each job: ours, and the codec's part alone."""
        decode = self.decode()
        return {
            "read": (self.read, decode),
            "table": (self.table(), decode),
            "write-ome-zarr": (partial(self.write, ".ome.zarr"), self.encode(ZARR_CODE)),
            "write-ome-tiff": (partial(self.write, ".ome.tif"), self.encode(TIFF_CODE)),
        }


class _InMemory:
    """Labels that are there already, so that the table and the writers are timed on their own.

    Each window stands alone in memory, as those do that the readers of labels give; one at the
    border is there as it is stored too, as the engine gives it to a writer.
    """

    def __init__(self, labels: Labels) -> None:
        self.shape = labels.shape[0], labels.shape[1]
        self._windows: dict[tuple[int, ...], Labels] = {}
        for (y, x), chunk in zip(windows(self.shape), chunks_of(labels), strict=True):
            height, width = chunk.shape
            stored = slice(y.start, y.start + height), slice(x.start, x.start + width)
            self._windows[_bounds(*stored)] = chunk
            if (y, x) != stored:
                self._windows[_bounds(y, x)] = np.ascontiguousarray(labels[y, x])

    def read(self, y: slice, x: slice) -> Labels:
        stored = self._windows.get(_bounds(y, x))
        if stored is None:  # a TIFF's tile is larger than a small plane
            y, x = (slice(s.start, min(s.stop, n)) for s, n in zip((y, x), self.shape, strict=True))
            stored = self._windows[_bounds(y, x)]
        return stored


def _bounds(y: slice, x: slice) -> tuple[int, ...]:
    return y.start, y.stop, x.start, x.stop


_decoded = ThreadRoom(CODEC_ROOM_BYTES)  # a codec alone needs no new memory for every chunk


def encoder(name: str, itemsize: int) -> Callable[[bytes], bytes]:
    """A codec by its name in `CODECS`."""
    blosc = partial(imagecodecs.blosc_encode, typesize=itemsize, shuffle=1, numthreads=1)
    return {
        "none": lambda raw: raw,
        "zstd-1": lambda raw: imagecodecs.zstd_encode(raw, 1),
        "zstd-3": lambda raw: imagecodecs.zstd_encode(raw, 3),
        "deflate-6": lambda raw: imagecodecs.deflate_encode(raw, 6),  # libdeflate
        "blosc-lz4": lambda raw: blosc(raw, level=1, compressor="lz4"),
        SHUFFLED: lambda raw: blosc(raw, level=1, compressor="zstd"),
    }[name]


def compressions(kinds: dict[str, NDArray[Any]]) -> list[Json]:
    """Bytes and seconds of every codec on one chunk of every kind of array that a run stores."""
    found = []
    for kind, values in kinds.items():
        raw = np.ascontiguousarray(values).tobytes()
        for name in CODECS:
            encode = encoder(name, values.itemsize)
            started = time.perf_counter()
            size = len(encode(raw))
            found.append(
                {
                    "kind": kind,
                    "codec": name,
                    "share": size / len(raw),
                    "bytes_per_s": len(raw) / max(time.perf_counter() - started, 1e-9),
                }
            )
    return found


def kinds_of(bench: Bench) -> dict[str, NDArray[Any]]:
    """One chunk of each array: labels, flow of the foreground, offsets to sinks, foreground."""
    middle = tuple(max(0, (side - LABEL_CHUNK_PX) // 2) for side in bench.plane.shape)
    y, x = (
        slice(start, min(start + LABEL_CHUNK_PX, side))
        for start, side in zip(middle, bench.plane.shape, strict=True)
    )
    pixels = bench.plane.read(y, x)
    shape = (pixels.shape[0], pixels.shape[1])
    region = (slice(0, pixels.shape[0]), slice(0, pixels.shape[1]))
    flows = FlowStore(bench.folder, shape)
    network = make_network(resolve_model(EMBEDDED), "cpu", FAST)
    network_step([ArrayPlane(pixels)], network, Settings(), flows, StepClock())
    flow, foreground = flows.read(region)
    sinks, _, _ = choose_kernels().follow(
        flow, foreground, (0, 0), shape, region, Settings().iterations
    )
    offsets = (sinks - np.indices(pixels.shape))[:, foreground].T
    return {
        "labels, uint32": bench.labels[y, x],
        "flow of the foreground, float32": flow[foreground],
        "offsets to sinks, int16": offsets.astype(np.int16),
        "foreground, packed bits": np.packbits(foreground),
    }


def measure(request: Json) -> Json:
    """The rounds of each job, ours and the codec's in an order that turns around."""
    fix_threads(request["threads"])
    labels = tifffile.imread(request["labels"]).astype(np.uint32)
    image = Path(request["image"])
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(image, open_plane(image), labels, int(labels.max()), Path(folder))
        jobs = bench.jobs()
        times: dict[str, list[Json]] = {name: [] for name in jobs}
        for name, (ours, codec) in jobs.items():
            ours()  # files are in memory, kernels compiled
            codec()
            for round_ in range(request["rounds"]):
                both = (("ours_s", ours), ("codec_s", codec))
                ordered = both[:: 1 if round_ % 2 else -1]
                times[name].append({label: _seconds(job) for label, job in ordered})
        return {"jobs": times, "compressions": compressions(kinds_of(bench)), "pixels": labels.size}


def _seconds(job: Job) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def main(arguments: list[str]) -> int:
    """Read the request, measure, write the result."""
    source, target = map(Path, arguments)
    target.write_text(json.dumps(measure(json.loads(source.read_text()))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
