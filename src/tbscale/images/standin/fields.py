"""Slow fields over the plane: where tissue is, how dense, and which way its fibres run."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbscale.images.compiled import compiled
from tbscale.images.standin.hashing import draw, unit
from tbscale.images.standin.spec import TissueSpec

# purposes of the draws; one number each, so that no two share their randomness
P_TISSUE, P_DENSITY, P_STROMA, P_ANGLE = 101, 111, 121, 131
_SAMPLES = 192  # the fields' quantiles are taken on so many points a side
NODE_PX = 16


class Fields(NamedTuple):
    """The density field with its constants, in the form that the kernels take."""

    seed: np.uint64
    patch_px: float
    variation: float
    tissue_floor: float  # noise below it is glass
    stroma_floor: float  # noise above it is stroma
    mean: float  # of the raw density over the plane's tissue
    peak: float  # largest relative density; higher is cut


@compiled
def value_noise(seed, y, x, purpose):  # type: ignore[no-untyped-def]
    """Smooth noise in [0, 1] with a period of one unit of y and x."""
    ky, kx = math.floor(y), math.floor(x)
    ty, tx = y - ky, x - kx
    ty, tx = ty * ty * (3 - 2 * ty), tx * tx * (3 - 2 * tx)
    top = unit(seed, ky, kx, purpose) * (1 - tx) + unit(seed, ky, kx + 1, purpose) * tx
    low = unit(seed, ky + 1, kx, purpose) * (1 - tx) + unit(seed, ky + 1, kx + 1, purpose) * tx
    return top * (1 - ty) + low * ty


@compiled
def rough_noise(seed, y, x, purpose):  # type: ignore[no-untyped-def]
    """Three octaves of `value_noise`, in [0, 1]; turned and bent, so that no grid shows."""
    p, q = 0.8 * y - 0.6 * x, 0.6 * y + 0.8 * x
    fine = value_noise(seed, 2.3 * p + 7.1, 2.3 * q + 3.7, purpose + 1)
    bend = 0.9 * (fine - 0.5)
    u, v = 0.92 * y + 0.39 * x + bend, 0.92 * x - 0.39 * y - bend
    total = 0.6 * value_noise(seed, u, v, purpose) + 0.28 * fine
    return total + 0.12 * value_noise(seed, 6.1 * y + 1.3, 6.1 * x + 9.9, purpose + 2)


@compiled
def _ramp(value, floor, width):  # type: ignore[no-untyped-def]
    t = min(max((value - floor) / width + 0.5, 0.0), 1.0)
    return t * t * (3 - 2 * t)


@compiled
def raw_density(fields, y, x):  # type: ignore[no-untyped-def]
    """Density before it is scaled to a mean of one; 0 on glass."""
    tissue = 1.0
    if fields.tissue_floor > 0:
        scale = 1.6 * fields.patch_px
        noise = rough_noise(fields.seed, y / scale, x / scale, P_TISSUE)
        tissue = _ramp(noise, fields.tissue_floor, 0.03)
    patches = rough_noise(fields.seed, y / fields.patch_px, x / fields.patch_px, P_DENSITY)
    return tissue * (1 - fields.variation * (1 - _ramp(patches, 0.5, 0.5)))


@compiled
def density(fields, y, x):  # type: ignore[no-untyped-def]
    """Relative density of nuclei at a point: 0 on glass, 1 on average in the tissue."""
    return min(raw_density(fields, y, x) / fields.mean, fields.peak)


@compiled
def is_stroma(fields, y, x):  # type: ignore[no-untyped-def]
    """Whether nuclei at a point are elongated and aligned."""
    scale = 0.5 * fields.patch_px
    return rough_noise(fields.seed, y / scale, x / scale, P_STROMA) > fields.stroma_floor


@compiled
def fibre_angle(fields, y, x):  # type: ignore[no-untyped-def]
    """Direction in which the fibres run at a point, radian."""
    return 6.0 * value_noise(fields.seed, y / fields.patch_px, x / fields.patch_px, P_ANGLE)


@compiled
def _sample_noise(seed, height, width, scale, purpose, n):  # type: ignore[no-untyped-def]
    out = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            y, x = (i + 0.5) * height / n, (j + 0.5) * width / n
            out[i, j] = rough_noise(seed, y / scale, x / scale, purpose)
    return out


@compiled
def _sample_density(fields, height, width, n):  # type: ignore[no-untyped-def]
    out = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            out[i, j] = raw_density(fields, (i + 0.5) * height / n, (j + 0.5) * width / n)
    return out


@compiled
def density_nodes(fields, y0, x0, ny, nx):  # type: ignore[no-untyped-def]
    """Density on the nodes of a grid of `NODE_PX`, from node (y0, x0) on; float32 (ny, nx)."""
    out = np.empty((ny, nx), np.float32)
    for i in range(ny):
        for j in range(nx):
            out[i, j] = density(fields, float((y0 + i) * NODE_PX), float((x0 + j) * NODE_PX))
    return out


def stream_seed(seed: int, purpose: int) -> np.uint64:
    """A seed of its own for one purpose, from the plane's seed."""
    return np.uint64(draw(np.uint64(seed % (1 << 64)), 0, 0, purpose))


@lru_cache(maxsize=32)
def fields_of(spec: TissueSpec) -> Fields:
    """Fix the constants of the fields on a sample of the whole plane."""
    seed = stream_seed(spec.seed, 1)
    height, width = spec.shape

    def quantile(scale: float, purpose: int, share: float) -> float:
        noise = _sample_noise(seed, height, width, scale, purpose, _SAMPLES)
        return float(np.quantile(noise, share))

    floor = quantile(1.6 * spec.patch_px, P_TISSUE, spec.empty_share) if spec.empty_share else 0.0
    stroma = quantile(0.5 * spec.patch_px, P_STROMA, 1 - spec.stroma_share)
    fields = Fields(
        seed, spec.patch_px, spec.density_variation, floor,
        stroma if spec.stroma_share else 2.0, 1.0, 1e9,
    )  # fmt: skip
    raw = _sample_density(fields, height, width, _SAMPLES)
    mean = max(float(raw.mean()) / (1 - spec.empty_share), 1e-6)
    return fields._replace(mean=mean, peak=float(np.quantile(raw, 0.995)) / mean)


def nodes_of(fields: Fields, y: slice, x: slice) -> NDArray[np.float32]:
    """Density nodes that surround a window."""
    y0, x0 = y.start // NODE_PX, x.start // NODE_PX
    ny, nx = (y.stop - 1) // NODE_PX + 2 - y0, (x.stop - 1) // NODE_PX + 2 - x0
    nodes: NDArray[np.float32] = density_nodes(fields, y0, x0, ny, nx)
    return nodes
