"""Every second pixel of every second row, past the cache.

A chunk that was just encoded has often left the cache again, and the one that its half goes into
is not in it. So rows are read several at a time, because what a CPU fetches ahead ends with a page,
and are written without reading what they replace: half the time of numpy's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tbscale.images.compiled import compiled
from tbscale.images.labels_out.codes import Labels

ROWS = np.uint64(4)  # of the half, at once
LANES = 16  # pixels of the half in a vector, which is a line of the cache
LINE_BYTES = 64
SPARE_PX = LINE_BYTES // 4 - 1

_Lanes = ir.VectorType(ir.IntType(32), LANES)


def put_half(labels: Labels, out: Labels) -> None:
    """Every second pixel of every second row, from the first on.

    Parameters
    ----------
    labels : uint32 (H, W)
    out : uint32 ((H + 1) // 2, (W + 1) // 2)

    >>> half = np.zeros((1, 2), np.uint32)
    >>> put_half(np.arange(8, dtype=np.uint32).reshape(2, 4), half)
    >>> half.tolist()
    [[0, 2]]
    """
    height, width = _in_vectors(labels) if _is_in_lines(labels, out) else (0, 0)
    if height and width:
        start, row_bytes = labels.ctypes.data, 2 * labels.strides[0]
        places = (start, row_bytes, out.ctypes.data, out.strides[0], height, width)
        _stream_half(*(np.uint64(place) for place in places))
    out[height:] = labels[2 * height :: 2, ::2]
    out[:height, width:] = labels[: 2 * height : 2, 2 * width :: 2]


def in_lines(room: Labels, count: int) -> Labels:
    """`count` pixels of a room with `SPARE_PX` more, from the start of a line of the cache on."""
    start = -room.ctypes.data % LINE_BYTES // room.itemsize
    return room[start : start + count]


def _is_in_lines(labels: Labels, out: Labels) -> bool:
    """Whether rows follow each other as the kernel takes them."""
    rows = labels.strides[1] == out.strides[1] == labels.itemsize
    lines = out.ctypes.data % LINE_BYTES == 0 == out.strides[0] % LINE_BYTES
    return rows and lines and labels.strides[0] > 0 and out.strides[0] > 0


def _in_vectors(labels: Labels) -> tuple[int, int]:
    """Height and width of the half that whole vectors and groups of rows make."""
    height, width = (side // 2 for side in labels.shape)
    return height - height % int(ROWS), width - width % LANES


@compiled
def _stream_half(source, source_step, target, target_step, height, width):  # type: ignore[no-untyped-def]
    """Addresses and bytes from one row to the next; height and width of the half, pixels."""
    for group in range(height // ROWS):
        for x in range(width // np.uint64(LANES)):
            for k in range(ROWS):
                y = group * ROWS + k
                _stream_line(
                    source + y * source_step + x * np.uint64(2 * LINE_BYTES),
                    target + y * target_step + x * np.uint64(LINE_BYTES),
                )
    _fence()


@intrinsic  # type: ignore[untyped-decorator]
def _stream_line(context: Any, source: Any, target: Any) -> Any:
    """Store the even ones of 32 pixels at an address to another, around the cache."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first = builder.inttoptr(arguments[0], _Lanes.as_pointer())
        second = builder.gep(first, [ir.Constant(ir.IntType(32), 1)])
        pixels = [builder.load(place, align=4) for place in (first, second)]
        even = ir.Constant(_Lanes, [2 * lane for lane in range(LANES)])
        line = builder.shuffle_vector(*pixels, even)
        target = builder.inttoptr(arguments[1], _Lanes.as_pointer())
        stored = builder.store(line, target, align=LINE_BYTES)
        once = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
        stored.set_metadata("nontemporal", once)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _fence(context: Any) -> Any:
    """Let what went around the cache be seen before whatever comes next."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate
