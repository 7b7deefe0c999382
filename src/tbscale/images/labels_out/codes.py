"""How a chunk of labels is stored: as Zarr has it, or as a tile of a TIFF.

Labels on their way to a TIFF are collected as its tiles, so that each is encoded once and the file
is put together from them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tbscale.images.thread_room import ThreadRoom

Labels = NDArray[np.uint32]
ZSTD_LEVEL, DEFLATE_LEVEL = 1, 6
LARGEST_KEPT_BYTES = 16 * 2**20
CODE_SPARE_BYTES = 64 * 2**10  # a code may be this much longer than a chunk of the largest kept
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}

_code = ThreadRoom(LARGEST_KEPT_BYTES + CODE_SPARE_BYTES)
_differences = ThreadRoom(LARGEST_KEPT_BYTES)


class ChunkCode(Protocol):
    """How chunks are encoded, and what the document of an array says of it.

    Attributes
    ----------
    chain : codecs of Zarr 3, or what stands for them
    zeros_share : of the bytes of a chunk of zeros, what its code takes at most
    has_small_chunks : whether a chunk is no larger than its level
    error : raised where a code is damaged
    """

    @property
    def chain(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def zeros_share(self) -> float: ...
    @property
    def has_small_chunks(self) -> bool: ...
    @property
    def error(self) -> type[Exception]: ...

    def encode(self, chunk: Labels) -> memoryview:
        """The code of a C-contiguous chunk, in memory that the thread's next call overwrites."""
        ...

    def decode(self, stored: bytes, out: Labels) -> bool:
        """Decode into a C-contiguous chunk; False where the code is of another size."""
        ...


class _Zstd:
    chain = (LITTLE, {"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": False}})
    zeros_share = 1 / 5000
    has_small_chunks = True
    error = imagecodecs.ZstdError

    def encode(self, chunk: Labels) -> memoryview:
        raw: Any = chunk.data.cast("B")  # any buffer will do, though the stubs ask for bytes
        out: Any = _code.take(chunk.nbytes + CODE_SPARE_BYTES)
        return memoryview(imagecodecs.zstd_encode(raw, ZSTD_LEVEL, out=out))

    def decode(self, stored: bytes, out: Labels) -> bool:
        return len(imagecodecs.zstd_decode(stored, out=out.data.cast("B"))) == out.nbytes


class _DeflatedDifferences:
    """Deflate, which every reader of TIFF has, of each pixel's difference to the one before."""

    chain = (LITTLE, {"name": "tiff", "configuration": {"compression": 8, "predictor": 2}})
    zeros_share = 1 / 900
    has_small_chunks = False
    error = imagecodecs.DeflateError

    def encode(self, chunk: Labels) -> memoryview:
        changed = _differences.array(chunk.shape, np.uint32)
        imagecodecs.delta_encode(chunk, axis=-1, out=changed)
        raw: Any = changed.data.cast("B")
        out: Any = _code.take(chunk.nbytes + CODE_SPARE_BYTES)
        return memoryview(imagecodecs.deflate_encode(raw, DEFLATE_LEVEL, out=out))

    def decode(self, stored: bytes, out: Labels) -> bool:
        changed = _differences.array(out.shape, np.uint32)
        size = len(imagecodecs.deflate_decode(stored, out=changed.data.cast("B")))
        imagecodecs.delta_decode(changed, axis=-1, out=out)
        return size == out.nbytes


ZARR_CODE: ChunkCode = _Zstd()
TIFF_CODE: ChunkCode = _DeflatedDifferences()
