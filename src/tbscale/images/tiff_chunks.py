"""Decode the chunks of a TIFF page: by tifffile, and the usual ones straight into their pixels.

tifffile decodes every kind of chunk, into new memory for each step of the way. Chunks of whole
integers or reals behind deflate, zstd or LZW are most of what microscopes and their software
write; those need one array and one pass for the predictor.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

JPEG_CODECS = (6, 7, 34892, 33007)  # their chunks need the tables of the page
# numbers of TIFF 6.0, its supplement 2 and of what libtiff added
DIRECT: dict[int, Callable[..., Any]] = {
    5: imagecodecs.lzw_decode,
    8: imagecodecs.deflate_decode,
    32946: imagecodecs.deflate_decode,
    50000: imagecodecs.zstd_decode,
}
NONE, HORIZONTAL = 1, 2  # predictors


def is_direct(page: tifffile.TiffPage) -> bool:
    """Whether chunks of a page can be decoded into their pixels without tifffile."""
    dtype = np.dtype(page.dtype)
    predictors = (NONE, HORIZONTAL) if dtype.kind in "iu" else (NONE,)
    return bool(
        page.compression in DIRECT
        and page.predictor in predictors
        and dtype.kind in "iuf"
        and page.bitspersample == dtype.itemsize * 8
        and page.fillorder == 1
        and page.parent.byteorder == ("<" if sys.byteorder == "little" else ">")
        and page.shaped[4] == 1
        and (page.tiledepth if page.is_tiled else 1) == 1
    )


def decode_into(page: tifffile.TiffPage, stored: bytes | memoryview, pixels: NDArray[Any]) -> int:
    """Decode a chunk of a page that `is_direct` into `pixels` (Y, X); return the bytes found."""
    room = pixels.reshape(-1).view(np.uint8).data
    found = len(DIRECT[page.compression](stored, out=room))
    if page.predictor == HORIZONTAL and found == pixels.nbytes:
        imagecodecs.delta_decode(pixels, axis=-1, out=pixels)
    return found


def decode_direct(
    page: tifffile.TiffPage, shape: tuple[int, int], stored: bytes | memoryview
) -> NDArray[Any] | None:
    """Pixels of a chunk (Y, X), new; None where it does not hold what its size says.

    Parameters
    ----------
    page : one that `is_direct`
    shape : (Y, X) that is stored: whole tiles, and as many rows of a strip as it has
    """
    pixels = np.empty(shape, np.dtype(page.dtype))
    try:
        found = decode_into(page, stored, pixels)
    except Exception:  # codecs raise what they like; tifffile says what is wrong, or copes
        return None
    return pixels if found == pixels.nbytes else None


def decode_any(page: tifffile.TiffPage, index: int, stored: bytes | memoryview) -> NDArray[Any]:
    """A chunk as tifffile decodes it: depth, Y, X and samples."""
    tables = {}
    if page.compression in JPEG_CODECS:
        tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
    chunk, _, _ = page.decode(stored, index, **tables)
    assert chunk is not None
    return np.asarray(chunk)
