"""Winograd's minimal filtering F(4 x 4, 3 x 3): 36 products a channel for 16 outputs, not 144.

A patch of 6 x 6 pixels is transformed along both axes, multiplied place by place with the
transformed kernel, summed over the channels, and transformed back to 4 x 4 outputs (Lavin and
Gray 2016, doi 10.1109/CVPR.2016.435). The transforms evaluate polynomials at 0, +-NEAR, +-FAR and
infinity; with these two values rounding is least among those tried (`benchmarks/network.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import intrinsic
from numpy.typing import NDArray

from tbscale.engine.fastnet.halves import is_halves, narrow
from tbscale.engine.fastnet.instructions import LANES
from tbscale.engine.fastnet.vectors import (
    Builder,
    Value,
    at_least_zero,
    constant,
    data_of,
    load,
    loop,
    multiply_add,
    number,
    signature,
    store,
)

OUT_PX = 4  # outputs of a tile, per side
IN_PX = 6  # inputs of a tile, per side
PLACES = IN_PX * IN_PX
NEAR, FAR = 0.625, 1.5


def kernel_matrix(near: float = NEAR, far: float = FAR) -> NDArray[np.float64]:
    """The transform of a kernel, float64 (6, 3)."""
    points = (0.0, near, -near, far, -far)
    rows = []
    for p in points:
        others = np.prod([p - q for q in points if q != p])
        rows.append(np.array([1.0, p, p * p]) / others)
    return np.stack([*rows, np.array([0.0, 0.0, 1.0])])


def transform_kernel(weight: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Transform kernels (Cout, Cin, 3, 3); float64 (36, Cin, Cout)."""
    both = np.kron(kernel_matrix(), kernel_matrix())  # (36, 9): the two axes at once
    c_out, c_in = weight.shape[:2]
    numbers = np.asarray(weight, np.float64).transpose(2, 3, 1, 0).reshape(both.shape[1], -1)
    out: NDArray[np.float64] = both @ numbers
    return out.reshape(PLACES, c_in, c_out)


def _input_line(builder: Builder, d: list[Value]) -> list[Value]:
    """Transform six vectors along one axis."""
    a2, b2 = NEAR * NEAR, FAR * FAR

    def fma(factor: float, x: Value, y: Value) -> Value:
        return multiply_add(builder, constant(factor), x, y)

    even_a, odd_a = fma(-b2, d[2], d[4]), fma(-b2, d[1], d[3])
    even_b, odd_b = fma(-a2, d[2], d[4]), fma(-a2, d[1], d[3])
    return [
        fma(a2 * b2, d[0], fma(-(a2 + b2), d[2], d[4])),
        fma(NEAR, odd_a, even_a),
        fma(-NEAR, odd_a, even_a),
        fma(FAR, odd_b, even_b),
        fma(-FAR, odd_b, even_b),
        fma(a2 * b2, d[1], fma(-(a2 + b2), d[3], d[5])),
    ]


def _output_line(builder: Builder, m: list[Value]) -> list[Value]:
    """Transform six vectors back to four."""

    def fma(factor: float, x: Value, y: Value) -> Value:
        return multiply_add(builder, constant(factor), x, y)

    sum_a, difference_a = builder.fadd(m[1], m[2]), builder.fsub(m[1], m[2])
    sum_b, difference_b = builder.fadd(m[3], m[4]), builder.fsub(m[3], m[4])
    zero = constant(0.0)
    return [
        builder.fadd(m[0], builder.fadd(sum_a, sum_b)),
        fma(NEAR, difference_a, fma(FAR, difference_b, zero)),
        fma(NEAR**2, sum_a, fma(FAR**2, sum_b, zero)),
        fma(NEAR**3, difference_a, fma(FAR**3, difference_b, m[5])),
    ]


def _both_axes(builder: Builder, column: Any, width: int, line: Any) -> list[list[Value]]:
    """Apply a transform along the columns, then along the rows, of a square of vectors.

    Parameters
    ----------
    column : writes the loading of column k and returns its vectors; each is used at once, since
        36 vectors do not fit the registers
    """
    columns = [line(builder, column(k)) for k in range(width)]
    return [line(builder, [values[i] for values in columns]) for i in range(len(columns[0]))]


def _make_input_transform(source: tuple[int, ...], with_skip: bool) -> Any:
    """Make the transform of a patch.

    Parameters
    ----------
    source : which row (and column) of the tensor each of the six rows of the patch is
    with_skip : a second tensor is added first
    """

    @intrinsic
    def transform(  # type: ignore[no-untyped-def]
        typing, x, x_at, y, y_at, row, channels, scale, shift, v, v_at, stride
    ):
        kinds = signature(x, x_at, y, y_at, row, channels, scale, shift, v, v_at, stride)
        halves = is_halves(v)

        def write(context, builder, sig, args):  # type: ignore[no-untyped-def]
            _, x_at, _, y_at, row, channels, _, _, _, v_at, stride = args
            x, y, scale, shift, v = (
                data_of(context, builder, sig.args[k], args[k]) for k in (0, 2, 6, 7, 8)
            )

            def pixel(i: int, k: int, c: Value) -> Value:
                step = builder.add(builder.mul(row, number(i)), builder.mul(channels, number(k)))
                step = builder.add(step, c)
                value = load(builder, x, builder.add(x_at, step))
                if with_skip:
                    value = builder.fadd(value, load(builder, y, builder.add(y_at, step)))
                return value

            def turn(c, _):  # type: ignore[no-untyped-def]
                factor, offset = load(builder, scale, c), load(builder, shift, c)

                def column(k):  # type: ignore[no-untyped-def]
                    read = {i: pixel(i, source[k], c) for i in sorted(set(source))}
                    lit = {
                        i: at_least_zero(builder, multiply_add(builder, value, factor, offset))
                        for i, value in read.items()
                    }
                    return [lit[i] for i in source]

                out = _both_axes(builder, column, IN_PX, _input_line)
                for place, value in enumerate(value for line in out for value in line):
                    at = builder.add(v_at, builder.mul(stride, number(place)))
                    stored = narrow(builder, value) if halves else value
                    store(builder, stored, v, builder.add(at, c))
                return []

            loop(builder, channels, LANES, [], turn)
            return context.get_dummy_value()

        return kinds, write

    return transform


# arguments of all: tensor and offset, second tensor and offset, numbers in a row of the tensor,
# channels, scale, shift, target and offset, numbers between two places of the target
transform_patch = _make_input_transform((0, 1, 2, 3, 4, 5), with_skip=False)
transform_sum = _make_input_transform((0, 1, 2, 3, 4, 5), with_skip=True)
# a tensor enlarged twice by repetition: rows -1 ... 4 of it are rows -1, 0, 0, 1, 1, 2 of the small
transform_enlarged = _make_input_transform((0, 1, 1, 2, 2, 3), with_skip=False)


def _make_output_transform(source: tuple[int, ...] | None) -> Any:
    """Make the transform of sums back to 4 x 4 outputs, plus bias, plus a residual.

    Parameters
    ----------
    source : which row (and column) of the residual each of the four outputs is; None for none
    """

    @intrinsic
    def transform(  # type: ignore[no-untyped-def]
        typing, m, m_at, stride, channels, bias, residual, r_at, r_row, out, o_at, o_row
    ):
        kinds = signature(m, m_at, stride, channels, bias, residual, r_at, r_row, out, o_at, o_row)

        def write(context, builder, sig, args):  # type: ignore[no-untyped-def]
            _, m_at, stride, channels, _, _, r_at, r_row, _, o_at, o_row = args
            m, bias, residual, out = (
                data_of(context, builder, sig.args[k], args[k]) for k in (0, 4, 5, 8)
            )

            def place(at: Value, row: Value, i: int, k: int, c: Value) -> Value:
                step = builder.add(builder.mul(row, number(i)), builder.mul(channels, number(k)))
                return builder.add(builder.add(at, step), c)

            def turn(c, _):  # type: ignore[no-untyped-def]
                def column(k):  # type: ignore[no-untyped-def]
                    steps = [builder.mul(stride, number(i * IN_PX + k)) for i in range(IN_PX)]
                    return [
                        load(builder, m, builder.add(builder.add(m_at, step), c)) for step in steps
                    ]

                offset = load(builder, bias, c)
                for i, line in enumerate(_both_axes(builder, column, IN_PX, _output_line)):
                    for k, result in enumerate(line):
                        value = builder.fadd(result, offset)
                        if source is not None:
                            where = place(r_at, r_row, source[i], source[k], c)
                            value = builder.fadd(value, load(builder, residual, where))
                        store(builder, value, out, place(o_at, o_row, i, k, c))
                return []

            loop(builder, channels, LANES, [], turn)
            return context.get_dummy_value()

        return kinds, write

    return transform


# arguments of all: sums and offset, numbers between two places, channels, bias, residual with its
# offset and numbers in a row, output with its offset and numbers in a row
restore = _make_output_transform(None)
restore_adding = _make_output_transform((0, 1, 2, 3))
restore_adding_enlarged = _make_output_transform((0, 0, 1, 1))
