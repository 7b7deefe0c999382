"""Vector instructions of this CPU inside numba kernels.

A kernel that must hold its sums in registers cannot be left to a vectoriser. The functions here
write the few lines of LLVM that matter, for vectors as wide as the CPU has; numba compiles them
into the loops around them, so no compiler needs to be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numpy.typing import NDArray

from tbscale.engine.fastnet.instructions import LANES

Value = Any  # an llvmlite value: the library has no types
Builder = Any

FLOAT = ir.FloatType()
INT = ir.IntType(64)
ALIGN_BYTES = 64
FUSED = ("contract",)  # a product and a sum may become one instruction


VECTOR = ir.VectorType(FLOAT, LANES)


def aligned(shape: Sequence[int], dtype: Any = np.float32) -> NDArray[Any]:
    """Zeros whose first byte starts a cache line."""
    size_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size_bytes + ALIGN_BYTES, np.uint8)
    skip = -raw.ctypes.data % ALIGN_BYTES
    out: NDArray[Any] = raw[skip : skip + size_bytes].view(dtype).reshape(tuple(shape))
    return out


def constant(value: float) -> Value:
    """A vector that holds one number everywhere."""
    return ir.Constant(VECTOR, [ir.Constant(FLOAT, float(np.float32(value)))] * LANES)


def broadcast(builder: Builder, scalar: Value, kind: ir.VectorType = VECTOR) -> Value:
    """A vector of `LANES` that holds `scalar` everywhere."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, nothing, lanes)


def multiply_add(builder: Builder, a: Value, b: Value, c: Value) -> Value:
    """a * b + c, in one instruction where the CPU has it."""
    return builder.fadd(builder.fmul(a, b, flags=FUSED), c, flags=FUSED)


def at_least_zero(builder: Builder, a: Value) -> Value:
    """max(a, 0)."""
    zero = constant(0.0)
    return builder.select(builder.fcmp_ordered(">", a, zero), a, zero)


def load_everywhere(builder: Builder, pointer: Value, offset: Value) -> Value:
    """One number everywhere in a vector, from `pointer + offset` (in numbers)."""
    return broadcast(builder, builder.load(builder.gep(pointer, [offset])))


def load(builder: Builder, pointer: Value, offset: Value) -> Value:
    """A vector from `pointer + offset` (in numbers)."""
    place = builder.bitcast(builder.gep(pointer, [offset]), VECTOR.as_pointer())
    return builder.load(place, align=4)


def store(builder: Builder, value: Value, pointer: Value, offset: Value) -> None:
    """Store a vector at `pointer + offset` (in numbers)."""
    place = builder.bitcast(builder.gep(pointer, [offset]), value.type.as_pointer())
    builder.store(value, place, align=2)


def number(value: int) -> Value:
    """A constant index."""
    return ir.Constant(INT, value)


def data_of(context: Any, builder: Builder, array_type: Any, array: Value) -> Value:
    """The pointer to the first number of a numba array."""
    return context.make_array(array_type)(context, builder, value=array).data


def loop(
    builder: Builder,
    count: Value,
    step: int,
    start: Sequence[Value],
    body: Callable[[Value, list[Value]], list[Value]],
) -> list[Value]:
    """Write `for i in range(0, count, step)`, with values carried from turn to turn; count > 0.

    Parameters
    ----------
    start : the carried values before the first turn
    body : writes one turn; takes i and the carried values, returns the new ones

    Returns
    -------
    the carried values after the last turn
    """
    before = builder.block
    turn = builder.append_basic_block("turn")
    after = builder.append_basic_block("after")
    builder.branch(turn)
    builder.position_at_end(turn)
    i = builder.phi(INT)
    i.add_incoming(number(0), before)
    carried = [builder.phi(value.type) for value in start]
    for phi, value in zip(carried, start, strict=True):
        phi.add_incoming(value, before)
    results = body(i, carried)
    following = builder.add(i, number(step))
    end = builder.block
    i.add_incoming(following, end)
    for phi, value in zip(carried, results, strict=True):
        phi.add_incoming(value, end)
    builder.cbranch(builder.icmp_signed("<", following, count), turn, after)
    builder.position_at_end(after)
    return results


def signature(*argument_types: Any) -> Any:
    """A function of arrays and indices that returns nothing."""
    fitted = [a if isinstance(a, types.Array) else types.int64 for a in argument_types]
    return types.void(*fitted)
