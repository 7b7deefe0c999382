"""Everything that is not a nucleus: debris, haze, uneven light and the camera."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbscale.images.compiled import compiled
from tbscale.images.standin.fields import NODE_PX, Fields, density, stream_seed
from tbscale.images.standin.hashing import (
    GAUSS,
    GAUSS_REACH,
    NORMAL,
    NORMAL_BITS,
    draw,
    normal,
    unit,
)
from tbscale.images.standin.spec import TissueSpec

CELL_PX = 64  # debris and ghosts are strewn on a grid of this width
SLOTS = 8  # at most so many of a kind a cell
LONGEST_PX = 60.0  # half of the longest fibre
WIDEST_PX = 14.0  # sigma of the blurriest blob
REACH_PX = LONGEST_PX + GAUSS_REACH * WIDEST_PX
P_SPECK, P_GHOST, P_GAIN = 201, 301, 401
GAUSS_SCALE = (GAUSS.size - 1) / (GAUSS_REACH * GAUSS_REACH)


class Camera(NamedTuple):
    """Light path and digitiser, in the form that the kernel takes; counts."""

    seed: np.uint64
    brightness: float
    background: float
    haze: float
    uneven: float
    field_px: int
    shot_gain: float
    read_noise: float
    quantum: int
    full_scale: int


def camera_of(spec: TissueSpec, seed: np.uint64) -> Camera:
    """Collect what the kernel needs to know about the camera."""
    return Camera(
        seed, spec.brightness, spec.background, spec.haze, spec.uneven_light, spec.field_px,
        spec.shot_gain, spec.read_noise, spec.quantum, spec.full_scale,
    )  # fmt: skip


@compiled
def _streak(y, x, angle, bend, half_px, sigma, light, y0, x0, out):  # type: ignore[no-untyped-def]
    """Add a bent line of Gaussian cross-section; a spot if `half_px` is 0."""
    far = half_px + GAUSS_REACH * sigma
    c, s = math.cos(angle), math.sin(angle)
    top, low = max(math.ceil(y - far) - y0, 0), min(int(y + far) + 1 - y0, out.shape[0])
    left, right = max(math.ceil(x - far) - x0, 0), min(int(x + far) + 1 - x0, out.shape[1])
    for i in range(top, low):
        for j in range(left, right):
            dy, dx = y0 + i - y, x0 + j - x
            along, across = dx * c + dy * s, dy * c - dx * s
            past = max(abs(along) - half_px, 0.0)
            across -= bend * along * along
            k = int((past * past + across * across) / (sigma * sigma) * GAUSS_SCALE)
            if k < GAUSS.size:
                out[i, j] += np.float32(light * GAUSS[k])


@compiled
def _debris(seed, row, column, slot, y0, x0, out):  # type: ignore[no-untyped-def]
    """Draw one piece: a speck (65 %), an out-of-focus blob (20 %) or a fibre (15 %)."""
    p = P_SPECK + 10 * slot
    y = (row + unit(seed, row, column, p + 1)) * CELL_PX
    x = (column + unit(seed, row, column, p + 2)) * CELL_PX
    kind, size = unit(seed, row, column, p + 3), unit(seed, row, column, p + 4)
    light = math.exp(0.6 * normal(seed, row, column, p + 5))
    angle = math.pi * unit(seed, row, column, p + 6)
    if kind < 0.65:
        _streak(y, x, angle, 0.0, 1.5 * size, 0.6 + 0.9 * size, 1.5 * light, y0, x0, out)
    elif kind < 0.85:
        _streak(y, x, angle, 0.0, 0.0, 5 + (WIDEST_PX - 5) * size, 0.25 * light, y0, x0, out)
    else:
        bend = 0.008 * (unit(seed, row, column, p + 7) - 0.5)
        half = 10 + (LONGEST_PX - 10) * size
        _streak(y, x, angle, bend, half, 0.8 + 0.8 * size, 0.3 * light, y0, x0, out)


@compiled
def _ghost(seed, row, column, slot, radius, y0, x0, out):  # type: ignore[no-untyped-def]
    """Draw one nucleus far out of focus."""
    p = P_GHOST + 10 * slot
    y = (row + unit(seed, row, column, p + 1)) * CELL_PX
    x = (column + unit(seed, row, column, p + 2)) * CELL_PX
    sigma = min(radius * (0.7 + 0.5 * unit(seed, row, column, p + 3)), WIDEST_PX)
    light = 0.08 + 0.2 * unit(seed, row, column, p + 4)
    _streak(y, x, 0.0, 0.0, 0.0, sigma, light, y0, x0, out)


@compiled
def strew(seed, fields, per_cell, ghosts, radius, y0, x0, out):  # type: ignore[no-untyped-def]
    """Add debris everywhere and ghosts in the tissue to a window of light.

    `per_cell` and `ghosts` are expected numbers in a cell of 64 px, at most `SLOTS`.
    """
    r0, r1 = int((y0 - REACH_PX) // CELL_PX), int((y0 + out.shape[0] + REACH_PX) // CELL_PX)
    c0, c1 = int((x0 - REACH_PX) // CELL_PX), int((x0 + out.shape[1] + REACH_PX) // CELL_PX)
    for row in range(r0, r1 + 1):
        for column in range(c0, c1 + 1):
            tissue = density(fields, (row + 0.5) * CELL_PX, (column + 0.5) * CELL_PX)
            for slot in range(SLOTS):
                if unit(seed, row, column, P_SPECK + 10 * slot) * SLOTS < per_cell:
                    _debris(seed, row, column, slot, y0, x0, out)
                if unit(seed, row, column, P_GHOST + 10 * slot) * SLOTS < ghosts * tissue:
                    _ghost(seed, row, column, slot, radius, y0, x0, out)


@compiled
def _vignette(position, field_px):  # type: ignore[no-untyped-def]
    """Half the squared distance from the centre of the camera field: 0 there, 0.5 at its edge."""
    t = 2.0 * (position - (position // field_px) * field_px) / field_px - 1.0
    return 0.5 * t * t


@compiled
def _field_light(camera, y, x0, out):  # type: ignore[no-untyped-def]
    """Relative light along a row of a window, float64 (X,): vignette and gain of each field."""
    field = camera.field_px
    row = _vignette(y, field)
    gain, known = 1.0, -1
    for j in range(out.size):
        index = (x0 + j) // field
        if index != known:
            gain = 0.98 + 0.04 * unit(camera.seed, y // field, index, P_GAIN)
            known = index
        out[j] = gain * (1 - camera.uneven * (row + _vignette(x0 + j, field)))


@compiled
def _tissue_light(nodes, y, y0, x0, out):  # type: ignore[no-untyped-def]
    """Density along a row of a window, float64 (X,), bilinear between the nodes."""
    n, t = y // NODE_PX - y0 // NODE_PX, (y % NODE_PX) / NODE_PX
    for j in range(out.size):
        x = x0 + j
        m, s = x // NODE_PX - x0 // NODE_PX, (x % NODE_PX) / NODE_PX
        left = nodes[n, m] * (1 - t) + nodes[n + 1, m] * t
        right = nodes[n, m + 1] * (1 - t) + nodes[n + 1, m + 1] * t
        out[j] = left * (1 - s) + right * s


@compiled
def expose(camera, light, nodes, y0, x0, out):  # type: ignore[no-untyped-def]
    """Turn a window of light into camera counts, uint16 (Y, X).

    Shot and read noise are one normal deviate; a draw of 64 bits serves four pixels.
    """
    height, width = light.shape
    lit, thick = np.empty(width), np.empty(width)
    floor = camera.read_noise * camera.read_noise
    mask = np.uint64((1 << NORMAL_BITS) - 1)
    for i in range(height):
        y = y0 + i
        _field_light(camera, y, x0, lit)
        _tissue_light(nodes, y, y0, x0, thick)
        bits, known = np.uint64(0), -1
        for j in range(width):
            x = x0 + j
            if x >> 2 != known:
                known = x >> 2
                bits = draw(camera.seed, y, known, P_GAIN + 1)
            value = camera.brightness * (light[i, j] + camera.haze * thick[j]) * lit[j]
            value += camera.background
            noise = NORMAL[(bits >> np.uint64(16 * (x & 3))) & mask]
            value += noise * math.sqrt(camera.shot_gain * value + floor)
            value = min(max(value, 0.0), float(camera.full_scale))
            out[i, j] = np.uint16(int(value / camera.quantum) * camera.quantum)


def strew_rates(spec: TissueSpec) -> tuple[float, float, float]:
    """Expected debris and ghosts in a cell of the grid, and the radius of a ghost in pixels."""
    cell = CELL_PX * CELL_PX * 1e-6
    radius = 0.25 * (spec.diameter_px[0] + spec.diameter_px[1])
    return spec.debris_per_megapixel * cell, spec.ghosts_per_megapixel * cell, radius


def add_clutter(
    spec: TissueSpec, fields: Fields, y: slice, x: slice, cycle: int, light: NDArray[np.float32]
) -> None:
    """Add a cycle's debris and ghosts to a window of light, in place."""
    debris, ghosts, radius = strew_rates(spec)
    seed = stream_seed(spec.seed, 200_000 + cycle)
    strew(seed, fields, debris, ghosts, radius, y.start, x.start, light)
