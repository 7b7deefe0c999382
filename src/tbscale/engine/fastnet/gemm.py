"""Products of small matrices, with the sums of a piece of the result held in registers.

The second matrix is packed: columns in panels of two vectors, each panel row after row, so that
the innermost loop reads it in one stream. Both matrices are float32, or both bfloat16 in uint16
(`halves`): then a panel holds two rows at a time, column by column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import intrinsic
from numpy.typing import NDArray

from tbscale.engine.fastnet.halves import (
    add_products,
    is_halves,
    load_pair,
    load_pairs,
    round_halves,
)
from tbscale.engine.fastnet.instructions import LANES
from tbscale.engine.fastnet.vectors import (
    aligned,
    constant,
    data_of,
    load,
    load_everywhere,
    loop,
    multiply_add,
    number,
    signature,
    store,
)
from tbscale.images.compiled import compiled

PANEL = 2 * LANES
# sums that fit the registers beside two vectors of a panel: 16 registers, or 32 with AVX-512
ROWS = 12 if LANES == 16 else 6


def pack(matrix: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Pack the second matrix, (K, N) with N a multiple of PANEL; float32 (N / PANEL, K, PANEL)."""
    depth, columns = matrix.shape
    out = aligned((columns // PANEL, depth, PANEL))
    out[:] = matrix.reshape(depth, columns // PANEL, PANEL).transpose(1, 0, 2)
    return out


def pack_halves(matrix: NDArray[np.floating[Any]]) -> NDArray[np.uint16]:
    """Pack the second matrix in bfloat16, K even; uint16 (N / PANEL, K / 2, PANEL, 2)."""
    depth, columns = matrix.shape
    out = aligned((columns // PANEL, depth // 2, PANEL, 2), np.uint16)
    pairs = round_halves(matrix).reshape(depth // 2, 2, columns // PANEL, PANEL)
    out[:] = pairs.transpose(2, 0, 3, 1)
    return out


@intrinsic
def _piece(typing, a, a_at, lda, b, b_at, depth, c, c_at, ldc):  # type: ignore[no-untyped-def]
    """c[ROWS, PANEL] = a[ROWS, depth] @ b[depth, PANEL]."""
    kinds = signature(a, a_at, lda, b, b_at, depth, c, c_at, ldc)
    if is_halves(a):
        at_once, load_one, load_row, add = 2, load_pair, load_pairs, add_products
    else:
        at_once, load_one, load_row, add = 1, load_everywhere, load, multiply_add

    def write(context, builder, sig, args):  # type: ignore[no-untyped-def]
        _, a_at, lda, _, b_at, depth, _, c_at, ldc = args
        a = data_of(context, builder, sig.args[0], args[0])
        b = data_of(context, builder, sig.args[3], args[3])
        c = data_of(context, builder, sig.args[6], args[6])
        rows = [builder.add(a_at, builder.mul(lda, number(r))) for r in range(ROWS)]

        def turn(k, sums):  # type: ignore[no-untyped-def]
            at = builder.add(b_at, builder.mul(k, number(PANEL)))
            left = load_row(builder, b, at)
            right = load_row(builder, b, builder.add(at, number(LANES * at_once)))
            new = []
            for r in range(ROWS):
                one = load_one(builder, a, builder.add(rows[r], k))
                new.append(add(builder, one, left, sums[2 * r]))
                new.append(add(builder, one, right, sums[2 * r + 1]))
            return new

        zero = constant(0.0)
        sums = loop(builder, depth, at_once, [zero] * (2 * ROWS), turn)
        for r in range(ROWS):
            at = builder.add(c_at, builder.mul(ldc, number(r)))
            store(builder, sums[2 * r], c, at)
            store(builder, sums[2 * r + 1], c, builder.add(at, number(LANES)))
        return context.get_dummy_value()

    return kinds, write


@compiled
def multiply(a, a_at, lda, rows, b, b_at, depth, columns, c, c_at, ldc):  # type: ignore[no-untyped-def]
    """c[rows, columns] = a[rows, depth] @ b, all flat, from the given offsets; c is float32.

    Rows are done ROWS at a time; the last ones overlap those before where rows is not a multiple,
    so rows must be at least ROWS.
    """
    for panel in range(columns // PANEL):
        b_here = b_at + panel * depth * PANEL
        for r in range(0, rows, ROWS):
            first = min(r, rows - ROWS)
            _piece(
                a, a_at + first * lda, lda, b, b_here, depth,
                c, c_at + first * ldc + panel * PANEL, ldc,
            )  # fmt: skip
