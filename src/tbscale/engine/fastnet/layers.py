"""The layers of the network on one image, (Y, X, C) float32: each reads its input once.

A convolution of the network is: (add a second tensor,) scale and shift each channel, cut at zero,
3 x 3 convolution, add a bias (and a residual). All of it happens while a piece of the image is in
cache: on the way into the transform and on the way out.
"""

from __future__ import annotations

import numpy as np

from tbscale.engine.fastnet.gemm import PANEL, ROWS, multiply
from tbscale.engine.fastnet.winograd import (
    IN_PX,
    OUT_PX,
    PLACES,
    restore,
    restore_adding,
    restore_adding_enlarged,
    transform_enlarged,
    transform_patch,
    transform_sum,
)
from tbscale.images.compiled import compiled

PLAIN, SUM, ENLARGED = 0, 1, 2  # what a convolution reads
ALONE, ADDING, ADDING_ENLARGED = 0, 1, 2  # what its output is added to
# the 36 places of a tile lie one cache line more than a power of two apart, so that they do not
# all fall into the same few sets of the cache
SPREAD = 16


@compiled
def _fill_patch(kind, x, y, height, width, channels, top, left, scale, shift, patch):  # type: ignore[no-untyped-def]
    """Cut a patch that crosses the border, already scaled and cut at zero; zeros outside."""
    for i in range(IN_PX):
        for k in range(IN_PX):
            row, column = top + i, left + k
            to = (i * IN_PX + k) * channels
            if row < 0 or row >= height or column < 0 or column >= width:
                patch[to : to + channels] = 0
                continue
            if kind == ENLARGED:
                at = ((row // 2) * (width // 2) + column // 2) * channels
            else:
                at = (row * width + column) * channels
            for c in range(channels):
                value = x[at + c]
                if kind == SUM:
                    value += y[at + c]
                patch[to + c] = max(np.float32(0), value * scale[c] + shift[c])


@compiled
def _transform_in(  # type: ignore[no-untyped-def]
    kind, x, y, height, width, channels, top, left, scale, shift, patch, ones, zeros, v, at, stride
):
    """Transform the patch at (top, left) of the image, inside it or across its border."""
    inside = top >= 0 and left >= 0 and top + IN_PX <= height and left + IN_PX <= width
    if not inside:
        _fill_patch(kind, x, y, height, width, channels, top, left, scale, shift, patch)
        transform_patch(patch, 0, patch, 0, IN_PX * channels, channels, ones, zeros, v, at, stride)
    elif kind == ENLARGED:
        # top and left are odd: row -1 of the enlarged tensor is the last copy of a small row
        row = (width // 2) * channels
        here = ((top + 1) // 2 - 1) * row + ((left + 1) // 2 - 1) * channels
        transform_enlarged(x, here, y, here, row, channels, scale, shift, v, at, stride)
    else:
        row = width * channels
        here = top * row + left * channels
        if kind == SUM:
            transform_sum(x, here, y, here, row, channels, scale, shift, v, at, stride)
        else:
            transform_patch(x, here, y, here, row, channels, scale, shift, v, at, stride)


@compiled
def _residual_at(kind, residual, width, channels, y, x):  # type: ignore[no-untyped-def]
    """Offset of the residual of pixel (y, x)."""
    if kind == ADDING_ENLARGED:
        return ((y // 2) * (width // 2) + x // 2) * channels
    return (y * width + x) * channels


@compiled
def _restore_partly(  # type: ignore[no-untyped-def]
    kind, m, at, stride, channels, bias, residual, out, height, width, top, left, patch
):
    """Outputs of a tile that crosses the lower or right border."""
    row = OUT_PX * channels
    restore(m, at, stride, channels, bias, residual, 0, 0, patch, 0, row)
    for i in range(min(OUT_PX, height - top)):
        for k in range(min(OUT_PX, width - left)):
            to = ((top + i) * width + left + k) * channels
            add = _residual_at(kind, residual, width, channels, top + i, left + k)
            for c in range(channels):
                value = patch[i * row + k * channels + c]
                out[to + c] = value if kind == ALONE else value + residual[add + c]


@compiled
def _transform_out(  # type: ignore[no-untyped-def]
    kind, m, at, stride, channels, bias, residual, out, height, width, top, left, patch
):
    """Write the outputs of one tile."""
    if top + OUT_PX > height or left + OUT_PX > width:
        _restore_partly(
            kind, m, at, stride, channels, bias, residual, out, height, width, top, left, patch
        )
        return
    row = width * channels
    to = top * row + left * channels
    if kind == ALONE:
        restore(m, at, stride, channels, bias, residual, 0, 0, out, to, row)
    elif kind == ADDING:
        restore_adding(m, at, stride, channels, bias, residual, to, row, out, to, row)
    else:
        small = (width // 2) * channels
        here = (top // 2) * small + (left // 2) * channels
        restore_adding_enlarged(m, at, stride, channels, bias, residual, here, small, out, to, row)


@compiled
def convolve(  # type: ignore[no-untyped-def]
    read, x, y, height, width, c_in, scale, shift, u, bias, c_out, add, residual, out, work
):
    """One convolution of 3 x 3 over an image.

    Parameters
    ----------
    read : PLAIN; SUM, x + y; or ENLARGED, x repeated twice along both axes
    x, y : flat float32 (Y, X, c_in); with ENLARGED x is (Y / 2, X / 2, c_in)
    height, width : of the output
    scale, shift : float32 (c_in,), before the cut at zero
    u : flat packed transformed kernels, bias : float32 (c_out,)
    add : ALONE; ADDING, out = result + residual; or ADDING_ENLARGED, residual repeated twice
    residual : flat like out, or (Y / 2, X / 2, c_out); may be out itself with ADDING
    out : flat float32 (Y, X, c_out)
    work : (v, m, patch, ones, zeros, tiles at once)
    """
    v, m, patch, ones, zeros, block = work
    across = (width + OUT_PX - 1) // OUT_PX
    tiles = across * ((height + OUT_PX - 1) // OUT_PX)
    for first in range(0, tiles, block):
        count = min(block, tiles - first)
        rows = max(count, ROWS)
        v_step, m_step = rows * c_in + SPREAD, rows * c_out + SPREAD
        for k in range(count):
            tile = first + k
            top, left = (tile // across) * OUT_PX - 1, (tile % across) * OUT_PX - 1
            _transform_in(
                read, x, y, height, width, c_in, top, left, scale, shift,
                patch, ones, zeros, v, k * c_in, v_step,
            )  # fmt: skip
        for f in range(PLACES):
            multiply(
                v, f * v_step, c_in, rows, u, f * c_in * c_out, c_in, c_out,
                m, f * m_step, c_out,
            )  # fmt: skip
        for k in range(count):
            tile = first + k
            top, left = (tile // across) * OUT_PX, (tile % across) * OUT_PX
            _transform_out(
                add, m, k * c_out, m_step, c_out, bias, residual, out,
                height, width, top, left, patch,
            )  # fmt: skip


@compiled
def _project_few(x, pixels, c_in, weight, bias, c_out, out):  # type: ignore[no-untyped-def]
    """As `project`, number by number."""
    for k in range(pixels):
        for c in range(c_out):
            column = (c // PANEL) * c_in * PANEL + c % PANEL
            total = bias[c]
            for i in range(c_in):
                total += x[k * c_in + i] * weight[column + i * PANEL]
            out[k * c_out + c] = total


@compiled
def project(x, pixels, c_in, weight, bias, c_out, out):  # type: ignore[no-untyped-def]
    """out[pixels, c_out] = x[pixels, c_in] @ weight + bias, all flat."""
    if pixels < ROWS:  # the deepest level of a very small tile
        _project_few(x, pixels, c_in, weight, bias, c_out, out)
        return
    at_once = 24 * ROWS
    for first in range(0, pixels, at_once):
        count = min(at_once, pixels - first)
        start = min(first, pixels - max(count, ROWS))
        count = first + count - start
        multiply(x, start * c_in, c_in, count, weight, 0, c_in, c_out, out, start * c_out, c_out)
        for k in range(start * c_out, (start + count) * c_out, c_out):
            for c in range(c_out):
                out[k + c] += bias[c]


@compiled
def convolve_few(x, height, width, c_in, scale, shift, weight, bias, c_out, out, lines):  # type: ignore[no-untyped-def]
    """As `convolve`, ALONE, for an image of few channels: products of whole 3 x 3 windows.

    Parameters
    ----------
    weight : flat packed (9 * c_in, c_out)
    lines : flat float32, room for the windows of one row, (X, 9 * c_in); X at least ROWS
    """
    depth = 9 * c_in
    for y in range(height):
        for k in range(width):
            for i in range(3):
                for j in range(3):
                    row, column = y + i - 1, k + j - 1
                    to = k * depth + (i * 3 + j) * c_in
                    outside = row < 0 or row >= height or column < 0 or column >= width
                    for c in range(c_in):
                        lines[to + c] = 0
                        if not outside:
                            value = x[(row * width + column) * c_in + c]
                            lines[to + c] = max(np.float32(0), value * scale[c] + shift[c])
        project(lines, width, depth, weight, bias, c_out, out[y * width * c_out :])


@compiled
def halve(x, height, width, channels, out):  # type: ignore[no-untyped-def]
    """Largest of each 2 x 2 pixels; flat (Y, X, C) to flat (Y / 2, X / 2, C)."""
    row = width * channels
    for y in range(height // 2):
        for k in range(width // 2):
            at = 2 * y * row + 2 * k * channels
            to = (y * (width // 2) + k) * channels
            for c in range(channels):
                upper = max(x[at + c], x[at + channels + c])
                lower = max(x[at + row + c], x[at + row + channels + c])
                out[to + c] = max(upper, lower)


@compiled
def mean_of(x, pixels, channels, out):  # type: ignore[no-untyped-def]
    """Mean of each channel over the image; the sums are float64."""
    sums = np.zeros(channels, np.float64)
    for k in range(pixels):
        for c in range(channels):
            sums[c] += x[k * channels + c]
    for c in range(channels):
        out[c] = sums[c] / pixels


@compiled
def finish(x, pixels, channels, scale, shift, weight, bias, outputs, lines, out):  # type: ignore[no-untyped-def]
    """The last layer: scale, shift, cut at zero, and a product with few columns.

    Parameters
    ----------
    weight : flat packed (channels, PANEL), columns beyond `outputs` zero; bias : (PANEL,)
    lines : flat float32, room for PANEL * ROWS * (channels + PANEL) numbers
    out : flat float32 (outputs, pixels)
    """
    at_once = PANEL * ROWS
    for first in range(0, pixels, at_once):
        start = max(0, min(first, pixels - at_once))
        count = min(at_once, pixels)
        for k in range(count):
            for c in range(channels):
                value = x[(start + k) * channels + c] * scale[c] + shift[c]
                lines[k * channels + c] = max(np.float32(0), value)
        results = at_once * channels
        multiply(lines, 0, channels, count, weight, 0, channels, PANEL, lines, results, PANEL)
        for k in range(count):
            for o in range(outputs):
                out[o * pixels + start + k] = lines[results + k * PANEL + o] + bias[o]
