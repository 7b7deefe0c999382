"""Numbers of 16 bits, bfloat16, in pairs: the instruction that multiplies and adds two at once.

A bfloat16 is the upper half of a float32. It is kept as uint16, since numpy has no such type, and
two neighbours along the summed axis make a pair of 32 bits. A CPU with AVX-512 BF16 takes a vector
of pairs and adds both products of each to a float32 sum; elsewhere the same is written out, which
gains nothing and gives the same to within float32 rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numpy.typing import NDArray

from tbscale.engine.fastnet.instructions import HAS_PAIRS, LANES
from tbscale.engine.fastnet.vectors import VECTOR, Builder, Value, broadcast, multiply_add

PAIR = ir.IntType(32)
PAIRS = ir.VectorType(PAIR, LANES)
STORED = types.uint16  # of an array that holds bfloat16 numbers


class _BFloat(ir.Type):  # type: ignore[misc]
    """LLVM's bfloat, which llvmlite does not name."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


BFLOAT = _BFloat()


def is_halves(array_type: Any) -> bool:
    """Whether a numba array holds bfloat16 numbers."""
    return bool(array_type.dtype == STORED)


def round_halves(values: NDArray[Any]) -> NDArray[np.uint16]:
    """To bfloat16, to nearest, ties to even; finite numbers.

    >>> [hex(v) for v in round_halves(np.array([1.0, -2.0, 1.00390625, 1.01171875]))]
    ['0x3f80', '0xc000', '0x3f80', '0x3f82']
    """
    bits = np.asarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def widen_halves(values: NDArray[np.uint16]) -> NDArray[np.float32]:
    """From bfloat16; exact."""
    return (values.astype(np.uint32) << 16).view(np.float32)


def narrow(builder: Builder, vector: Value) -> Value:
    """A vector of finite float32 as bfloat16, to nearest, ties to even."""
    if HAS_PAIRS:
        return builder.fptrunc(vector, ir.VectorType(BFLOAT, LANES))
    bits = builder.bitcast(vector, PAIRS)  # no CPU's instruction, and no library's function
    shift, one, half = (ir.Constant(PAIRS, [ir.Constant(PAIR, k)] * LANES) for k in (16, 1, 0x7FFF))
    odd = builder.and_(builder.lshr(bits, shift), one)
    rounded = builder.lshr(builder.add(bits, builder.add(half, odd)), shift)
    return builder.trunc(rounded, ir.VectorType(ir.IntType(16), LANES))


def load_pair(builder: Builder, pointer: Value, offset: Value) -> Value:
    """A pair everywhere in a vector, from `pointer + offset` (in numbers)."""
    place = builder.bitcast(builder.gep(pointer, [offset]), PAIR.as_pointer())
    return broadcast(builder, builder.load(place, align=4), PAIRS)


def load_pairs(builder: Builder, pointer: Value, offset: Value) -> Value:
    """A vector of pairs, from `pointer + offset` (in numbers)."""
    place = builder.bitcast(builder.gep(pointer, [offset]), PAIRS.as_pointer())
    return builder.load(place, align=4)


def add_products(builder: Builder, a: Value, b: Value, c: Value) -> Value:
    """c + a[first] * b[first] + a[second] * b[second], lane by lane."""
    if HAS_PAIRS:
        kind = ir.VectorType(BFLOAT, 2 * LANES)
        name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * LANES}"
        function = builder.module.declare_intrinsic(
            name, (), ir.FunctionType(VECTOR, [VECTOR, kind, kind])
        )
        return builder.call(function, [c, builder.bitcast(a, kind), builder.bitcast(b, kind)])
    for part in (_first, _second):
        c = multiply_add(builder, part(builder, a), part(builder, b), c)
    return c


def _first(builder: Builder, pairs: Value) -> Value:
    """The lower numbers of pairs, as float32."""
    shift = ir.Constant(PAIRS, [ir.Constant(PAIR, 16)] * LANES)
    return builder.bitcast(builder.shl(pairs, shift), VECTOR)


def _second(builder: Builder, pairs: Value) -> Value:
    """The upper numbers of pairs, as float32."""
    mask = ir.Constant(PAIRS, [ir.Constant(PAIR, 0xFFFF0000)] * LANES)
    return builder.bitcast(builder.and_(pairs, mask), VECTOR)
