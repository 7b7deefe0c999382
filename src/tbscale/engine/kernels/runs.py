"""The few pixels of a row that something is to be done with.

Whether a pixel has a sink or a label is hard to foresee where cells begin and end, so to ask pixel
by pixel costs more than what is then done with it. A run of pixels is compared at once instead,
into a bit a pixel: most runs have none set, and of the others only the pixels set are visited.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from tbscale.images.compiled import compiled

RUN_PX = 32
LINE_PX = 16  # of 4 bytes, in a line of the cache

_BYTE, _INT = ir.IntType(8), ir.IntType(32)
_RUN = ir.VectorType(_INT, RUN_PX)


@compiled
def above(row, limit, beside, at):  # type: ignore[no-untyped-def]
    """Fill `at` with the places of a row that are above a limit.

    Parameters
    ----------
    row : int32 or uint32 (n,), without gaps
    limit : a number of the same kind
    beside : a row that is read at these places next, or `row`; some of it comes from memory more
        slowly than all of it, unless it is asked for ahead
    at : integers (n,)

    Returns
    -------
    count : how many there are
    """
    n, whole = 0, row.size - row.size % RUN_PX
    for left in range(0, whole, RUN_PX):
        _fetch(beside, left)
        _fetch(beside, left + LINE_PX)
        bits = _bits_above(row, left, limit)
        while bits:
            at[n] = left + _lowest(bits)
            n += 1
            bits &= bits - np.uint32(1)
    for k in range(whole, row.size):
        if row[k] > limit:
            at[n] = k
            n += 1
    return n


def _pointer_to(context: Any, builder: Any, array: Any, value: Any, index: Any) -> Any:
    """The address of an element of a numba array without gaps.

    Raises
    ------
    TypingError : the array may have gaps, so that its elements do not follow each other
    """
    if array.layout != "C":
        raise TypingError(f"{array} may have gaps; give rows of an array in C order")
    return builder.gep(context.make_array(array)(context, builder, value=value).data, [index])


@intrinsic  # type: ignore[untyped-decorator]
def _bits_above(context: Any, row: Any, left: Any, limit: Any) -> Any:
    """A bit for each of the pixels from `left` on: whether it is above the limit; uint32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, index, limit = arguments
        first = _pointer_to(context, builder, row, values, index)
        pixels = builder.load(builder.bitcast(first, _RUN.as_pointer()), align=4)
        nothing = ir.Constant(_RUN, ir.Undefined)
        one = builder.insert_element(nothing, limit, ir.Constant(_INT, 0))
        limits = builder.shuffle_vector(one, nothing, ir.Constant(_RUN, [0] * RUN_PX))
        compare = builder.icmp_signed if row.dtype.signed else builder.icmp_unsigned
        return builder.bitcast(compare(">", pixels, limits), _INT)

    return types.uint32(row, types.int64, row.dtype), generate


@intrinsic  # type: ignore[untyped-decorator]
def _lowest(context: Any, bits: Any) -> Any:
    """Place of the lowest bit that is set; one must be."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))
        return builder.zext(place, ir.IntType(64))

    return types.int64(types.uint32), generate


@intrinsic  # type: ignore[untyped-decorator]
def _fetch(context: Any, row: Any, index: Any) -> Any:
    """Ask for the line of the cache that holds an element, without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _pointer_to(context, builder, row, *arguments)
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _INT, _INT, _INT])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [_BYTE.as_pointer()], kind)
        to_read, keep, data = 0, 3, 1
        how = [ir.Constant(_INT, number) for number in (to_read, keep, data)]
        builder.call(prefetch, [builder.bitcast(place, _BYTE.as_pointer()), *how])
        return context.get_dummy_value()

    return types.void(row, types.int64), generate
