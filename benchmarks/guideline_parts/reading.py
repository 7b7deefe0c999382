"""What a read costs: channels, chunks, and damage that nobody notices."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from guideline_parts.notes import Notes
from guideline_parts.sample import Sample
from tbscale.images.open import open_image

CHANNELS = 8
TILE_PX = 256
STRIP_ROWS = 16
BAND_PX = 64
FLIPS = 24
CODECS = ("none", "lzw", "zstd", "deflate")


def measure_reading(sample: Sample, notes: Notes, folder: Path) -> None:
    """Everything about reading; `folder` takes the files."""
    _channels(sample.image, notes, folder)
    _chunks(sample.image, notes, folder)
    _damage(sample.image, notes, folder)


def _channels(image: NDArray[np.uint16], notes: Notes, folder: Path) -> None:
    """One channel of a file with planes apart, and of one with pixels interleaved."""
    stack = np.stack([np.roll(image, 37 * c, axis=1) for c in range(CHANNELS)])
    apart, woven = folder / "apart.tif", folder / "woven.tif"
    tile = (TILE_PX, TILE_PX)
    tifffile.imwrite(
        apart, stack, tile=tile, compression="zlib", predictor=True, photometric="minisblack"
    )
    tifffile.imwrite(
        woven,
        np.ascontiguousarray(stack.transpose(1, 2, 0)),
        tile=tile,
        compression="zlib",
        predictor=True,
        photometric="minisblack",
        planarconfig="contig",
    )
    notes.time_rounds(
        "channels.time",
        {
            "one channel, planes apart": lambda: tifffile.imread(apart, key=0),
            "every channel, planes apart": lambda: tifffile.imread(apart)[0],
            "one channel, pixels interleaved": lambda: tifffile.imread(woven)[..., 0],
        },
    )
    with tifffile.TiffFile(apart) as file:
        sizes = [sum(page.databytecounts) for page in file.pages]
    with tifffile.TiffFile(woven) as file:
        interleaved = sum(file.pages.first.databytecounts)
    notes.count("channels.bytes", "one channel, planes apart", sizes[0], "bytes")
    notes.count("channels.bytes", "every channel, planes apart", sum(sizes), "bytes")
    notes.count("channels.bytes", "one channel, pixels interleaved", interleaved, "bytes")
    notes.count("channels.stored", "channels in the file", CHANNELS)


def _chunks(image: NDArray[np.uint16], notes: Notes, folder: Path) -> None:
    """The same number of rows and of columns, out of strips and out of tiles."""
    strips, tiles = folder / "strips.tif", folder / "tiles.tif"
    packed = {"compression": "zlib", "predictor": True}
    tifffile.imwrite(strips, image, rowsperstrip=STRIP_ROWS, **packed)
    tifffile.imwrite(tiles, image, tile=(TILE_PX, TILE_PX), **packed)
    side = min(image.shape)
    middle = slice(side // 2, side // 2 + BAND_PX)
    works, decoded = {}, {}
    for layout, path in (("strips", strips), ("tiles", tiles)):
        with open_image(path) as opened:
            plane = opened.plane(0)
        chunk = plane.chunk_shape
        for pattern, y, x in (
            ("rows", middle, slice(0, side)),
            ("columns", slice(0, side), middle),
        ):
            works[f"{pattern} out of {layout}"] = lambda p=plane, y=y, x=x: p.read(y, x)
            touched = _touched(y, chunk[0], image.shape[0]) * _touched(x, chunk[1], image.shape[1])
            decoded[f"{pattern} out of {layout}"] = touched / (BAND_PX * side)
    notes.time_rounds("chunks.time", works)
    for variant, share in decoded.items():
        notes.count("chunks.decoded", variant, share, "px decoded a px asked for")


def _touched(wanted: slice, chunk: int, size: int) -> int:
    """Pixels along one axis of the chunks that a slice touches."""
    first, last = wanted.start // chunk, -(-wanted.stop // chunk)
    return min(last * chunk, size) - first * chunk


def _damage(image: NDArray[np.uint16], notes: Notes, folder: Path) -> None:
    """Flip one bit of the stored pixels, many times, and see who notices."""
    tile = image[: TILE_PX * 2, : TILE_PX * 2]
    rng = np.random.default_rng(2026)
    for codec in CODECS:
        path = folder / f"{codec}.tif"
        packing = None if codec == "none" else codec
        tifffile.imwrite(path, tile, tile=(TILE_PX, TILE_PX), compression=packing)
        good = tifffile.imread(path)
        stored = path.read_bytes()
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        silent = caught = 0
        for _ in range(FLIPS):
            start, length = places[rng.integers(len(places))]
            at = int(start + rng.integers(length))
            damaged = bytearray(stored)
            damaged[at] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            silent += _wrong_without_a_word(path, good)
            chunk = slice(start, start + length)
            caught += zlib.crc32(stored[chunk]) != zlib.crc32(bytes(damaged[chunk]))
        notes.count("damage.silent", f"codec {codec}", silent / FLIPS)
        notes.count("damage.silent-with-crc", f"codec {codec}", 1 - caught / FLIPS)
    notes.count("damage.flips", "for each codec", FLIPS)


def _wrong_without_a_word(path: Path, good: NDArray[np.uint16]) -> bool:
    """Whether reading gives other pixels and raises nothing."""
    try:
        return not np.array_equal(tifffile.imread(path), good)
    except Exception:  # whatever a codec raises: it spoke
        return False
