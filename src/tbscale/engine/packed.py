"""Pairs of numbers on the foreground of a plane, on disk: one file a chunk, background not stored.

A plane of tissue is background for the most part, so leaving it out makes float32 flows smaller
than a general compressor does, and takes no time: the values themselves are stored as they are,
because the last bits of a float are noise to a compressor. Whole numbers are stored in the
narrowest type that holds them, compressed: without shuffling their bytes, which was measured to
leave more of them and to take longer (`benchmarks/files.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Region, shape_of
from tbscale.images.compiled import compiled

LEVEL = 1  # zstd
HEADER = np.dtype([("mask_bytes", "<u4"), ("item_bytes", "<u4")])


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, complete or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def pack(values: NDArray[Any], mask: NDArray[np.bool_]) -> bytes:
    """The bytes of a chunk: header, mask, and the pairs of the foreground in raster order.

    Parameters
    ----------
    values : float32 or int32 (H, W, 2)
    mask : bool (H, W)
    """
    kept = values[mask]
    bits = imagecodecs.zstd_encode(np.packbits(mask).tobytes(), LEVEL)
    if kept.dtype.kind == "i":
        kept = kept.astype(narrowest(kept))
        body = imagecodecs.zstd_encode(kept.tobytes(), LEVEL)
    else:
        body = kept.tobytes()
    header = np.array((len(bits), kept.itemsize), HEADER)
    return b"".join([header.tobytes(), bits, body])


def narrowest(values: NDArray[np.int32]) -> type[np.int16] | type[np.int32]:
    """int16 where it holds all values, else int32."""
    limits = np.iinfo(np.int16)
    fits = limits.min <= values.min(initial=0) and values.max(initial=0) <= limits.max
    return np.int16 if fits else np.int32


def unpack(content: bytes, dtype: np.dtype[Any]) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """The packed bits of a chunk's mask, and the pairs (n, 2) of its foreground."""
    header = np.frombuffer(content, HEADER, 1)[0]
    end = HEADER.itemsize + int(header["mask_bytes"])
    bits = imagecodecs.zstd_decode(content[HEADER.itemsize : end])
    if dtype.kind == "i":
        body = imagecodecs.zstd_decode(content[end:])
        pairs = np.frombuffer(body, np.dtype(f"i{int(header['item_bytes'])}"))
    else:
        pairs = np.frombuffer(content, dtype, offset=end)
    return np.frombuffer(bits, np.uint8), pairs.reshape(-1, 2)


@compiled
def _spread(bits, pairs, width, window, values, mask):  # type: ignore[no-untyped-def]
    """Put the part of a chunk inside `window` (y0, y1, x0, x1 of the chunk) where it belongs.

    `values` and `mask` are the window's own parts of what is read.
    """
    y0, y1, x0, x1 = window
    n = 0
    for y in range(y1):
        for x in range(width):
            p = y * width + x
            if (bits[p >> 3] >> (7 - (p & 7))) & 1:
                if y >= y0 and x0 <= x < x1:
                    values[y - y0, x - x0, 0] = pairs[n, 0]
                    values[y - y0, x - x0, 1] = pairs[n, 1]
                    mask[y - y0, x - x0] = True
                n += 1


class PackedStore:
    """Pairs on the foreground of a plane; a chunk that was never written is background.

    Parameters
    ----------
    folder : made if missing
    shape : (Y, X) of the plane
    chunk_px : (Y, X)
    dtype : float32 or int32, what is read back
    """

    def __init__(
        self, folder: Path, shape: tuple[int, int], chunk_px: tuple[int, int], dtype: str
    ) -> None:
        self._folder = folder
        self._folder.mkdir(exist_ok=True)
        self._shape = shape
        self._chunk_px = chunk_px
        self._dtype = np.dtype(dtype)

    def _chunks(self, region: Region) -> Iterator[tuple[Path, Region]]:
        """The chunks that a region meets: file, and slices of the plane."""
        (height, width), (rows, columns) = self._chunk_px, region
        for row in range(rows.start // height, -(-rows.stop // height)):
            for column in range(columns.start // width, -(-columns.stop // width)):
                y, x = row * height, column * width
                ends = (min(y + height, self._shape[0]), min(x + width, self._shape[1]))
                path = self._folder / f"{row}-{column}.packed"
                yield path, (slice(y, ends[0]), slice(x, ends[1]))

    def write(self, region: Region, values: NDArray[Any], mask: NDArray[np.bool_]) -> None:
        """Store whole chunks.

        Parameters
        ----------
        region : slices of the plane, from chunk border to chunk border or the plane's end
        values : (H, W, 2)
        mask : bool (H, W)
        """
        y0, x0 = region[0].start, region[1].start
        for path, (rows, columns) in self._chunks(region):
            assert rows.start >= y0
            assert rows.stop <= region[0].stop
            assert columns.start >= x0
            assert columns.stop <= region[1].stop
            here = (
                slice(rows.start - y0, rows.stop - y0),
                slice(columns.start - x0, columns.stop - x0),
            )
            write_whole(path, pack(values[here], mask[here]))

    def read(self, region: Region) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Pairs (H, W, 2), 0 in the background, and the mask bool (H, W)."""
        shape = shape_of(region)
        values, mask = np.zeros((*shape, 2), self._dtype), np.zeros(shape, np.bool_)
        for path, chunk in self._chunks(region):
            if not path.is_file():
                continue
            bits, pairs = unpack(path.read_bytes(), self._dtype)
            starts = [max(c.start, r.start) for c, r in zip(chunk, region, strict=True)]
            stops = [min(c.stop, r.stop) for c, r in zip(chunk, region, strict=True)]
            (y0, x0), (y1, x1) = starts, stops
            top, left = chunk[0].start, chunk[1].start
            here = (
                slice(y0 - region[0].start, y1 - region[0].start),
                slice(x0 - region[1].start, x1 - region[1].start),
            )
            window = (y0 - top, y1 - top, x0 - left, x1 - left)
            width = chunk[1].stop - left
            _spread(bits, pairs, width, window, values[here], mask[here])
        return values, mask
