"""Draw nuclei and the stains around them into a window: light and true labels."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbscale.images.compiled import compiled, inlined
from tbscale.images.standin.hashing import EDGE, EDGE_REACH, GAUSS_REACH, normal, unit
from tbscale.images.standin.placement import (
    CONDENSED,
    COS,
    GIANT,
    KIND,
    LONG,
    RANK,
    SHORT,
    SIN,
    X,
    Y,
)
from tbscale.images.standin.spec import TissueSpec

# columns of a drawn nucleus; the first six are those of a candidate
C2, S2, C3, S3, LIGHT, BLUR, GRAIN_Y, GRAIN_X, ID, BULGE = range(6, 16)
COLUMNS = 16
P_WAVE, P_LIGHT, P_DEFOCUS, P_GRAIN = 31, 41, 42, 43
TEXTURE_PX = 256
MOST_ROUGH = 2.41  # the outline bulges by at most sqrt(2) * (1 + 0.7) times the roughness
EDGE_SCALE = (EDGE.size - 1) / (2 * EDGE_REACH)


class Look(NamedTuple):
    """How a nucleus shines, in the form that the kernels take; light in units of brightness."""

    seed: np.uint64
    roughness: float
    spread: float
    blur_px: float
    defocus_px: float
    dome: float
    ring: float
    texture: float
    spots: float
    texture_px: float
    overlap_light: float


def look_of(spec: TissueSpec, seed: np.uint64) -> Look:
    """Collect what the kernels need to know about light."""
    return Look(
        seed, spec.roughness, spec.brightness_spread, spec.blur_px, spec.defocus_px, spec.dome,
        spec.ring, spec.texture, spec.spots, spec.texture_px, spec.overlap_light,
    )  # fmt: skip


def largest_extent_px(spec: TissueSpec, halo_px: float = 0.0) -> float:
    """How far from its centre the light of any nucleus can reach."""
    blur = math.hypot(1.0, spec.blur_px, spec.defocus_px)
    return (
        spec.largest_radius_px * (1 + MOST_ROUGH * spec.roughness)
        + GAUSS_REACH * blur
        + halo_px
        + 1
    )


@compiled
def _dress(look, layout, found, row, column, id_, out):  # type: ignore[no-untyped-def]
    """Complete a placed nucleus with outline, brightness, focus and grain."""
    seed = layout.seed
    for column_ in range(6):
        out[column_] = found[column_]
    wave = look.roughness
    out[C2] = wave * (2 * unit(seed, row, column, P_WAVE) - 1)
    out[S2] = wave * (2 * unit(seed, row, column, P_WAVE + 1) - 1)
    out[C3] = 0.7 * wave * (2 * unit(seed, row, column, P_WAVE + 2) - 1)
    out[S3] = 0.7 * wave * (2 * unit(seed, row, column, P_WAVE + 3) - 1)
    out[LIGHT] = math.exp(look.spread * normal(look.seed, row, column, P_LIGHT))
    if found[KIND] == CONDENSED:
        out[LIGHT] *= 2.4
    elif found[KIND] == GIANT:
        out[LIGHT] *= 0.8
    deep = unit(seed, row, column, P_DEFOCUS)
    extra = look.defocus_px * deep * deep * deep
    out[LIGHT] *= 1 - 0.12 * min(extra, 4.0)  # light spread over more depth is dimmer
    out[BLUR] = math.sqrt(look.blur_px * look.blur_px + extra * extra)
    out[GRAIN_Y] = TEXTURE_PX * unit(seed, row, column, P_GRAIN)
    out[GRAIN_X] = TEXTURE_PX * unit(seed, row, column, P_GRAIN + 1)
    out[ID] = id_
    out[BULGE] = 1 + MOST_ROUGH * wave


@compiled
def dress(look, layout, found, ids, r0, c0):  # type: ignore[no-untyped-def]
    """Turn settled bins into a list of nuclei, float64 (n, 16), in the order of their labels."""
    n = 0
    for i in range(found.shape[0]):
        for j in range(found.shape[1]):
            n += found[i, j, RANK] >= 0
    out = np.empty((n, COLUMNS))
    n = 0
    for i in range(found.shape[0]):
        for j in range(found.shape[1]):
            if found[i, j, RANK] >= 0:
                id_ = ids[r0 + i, c0 + j]
                _dress(look, layout, found[i, j], r0 + i, c0 + j, id_, out[n])
                n += 1
    return out


@compiled
def _make_texture(n):  # type: ignore[no-untyped-def]
    """White noise of a hash, smoothed by two periodic box filters; float64 (n, n)."""
    raw = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            raw[i, j] = unit(np.uint64(20221206), i, j, 0) - 0.5
    for width in (3, 2):
        smooth = np.zeros((n, n))
        for i in range(n):
            for j in range(n):
                for di in range(width):
                    for dj in range(width):
                        smooth[i, j] += raw[(i + di) % n, (j + dj) % n]
        raw = smooth
    return raw


@lru_cache(maxsize=1)
def texture() -> NDArray[np.float32]:
    """The chromatin grain that all nuclei sample, each at its own place; float32 (256, 256)."""
    raw = _make_texture(TEXTURE_PX)
    return np.asarray((raw - raw.mean()) / raw.std(), dtype=np.float32)


@inlined
def _grain(table, y, x):  # type: ignore[no-untyped-def]
    """Bilinear sample of the periodic texture."""
    iy, ix = math.floor(y), math.floor(x)
    ty, tx = y - iy, x - ix
    y0, x0 = int(iy) & (TEXTURE_PX - 1), int(ix) & (TEXTURE_PX - 1)
    y1, x1 = (y0 + 1) & (TEXTURE_PX - 1), (x0 + 1) & (TEXTURE_PX - 1)
    top = table[y0, x0] * (1 - tx) + table[y0, x1] * tx
    low = table[y1, x0] * (1 - tx) + table[y1, x1] * tx
    return top * (1 - ty) + low * ty


@inlined
def turned(nucleus, dy, dx):  # type: ignore[no-untyped-def]
    """A pixel in the frame of the nucleus, where its ellipse is the unit circle; and its square."""
    u = (dx * nucleus[COS] + dy * nucleus[SIN]) / nucleus[LONG]
    v = (dy * nucleus[COS] - dx * nucleus[SIN]) / nucleus[SHORT]
    return u, v, u * u + v * v


@inlined
def locate(nucleus, u, v, square):  # type: ignore[no-untyped-def]
    """Normalised distance of a turned pixel (1 = outline), and its distance outside in pixels.

    The distance in pixels is first-order, by the gradient of the normalised distance.
    """
    if square < 1e-6:
        return 0.0, -nucleus[SHORT]
    rho = math.sqrt(square)
    c, s = u / rho, v / rho
    c2, s2 = c * c - s * s, 2 * c * s
    c3, s3 = c * c2 - s * s2, s * c2 + c * s2
    outline = 1 + nucleus[C2] * c2 + nucleus[S2] * s2 + nucleus[C3] * c3 + nucleus[S3] * s3
    p, q = c / nucleus[LONG], s / nucleus[SHORT]
    return rho / outline, (rho - outline) / math.sqrt(p * p + q * q)


@compiled
def box(nucleus, halo_px, y0, x0, height, width):  # type: ignore[no-untyped-def]
    """Rows and columns of a window within `halo_px` of a nucleus, and a bound on the square.

    Pixels whose `turned` square exceeds the bound are further than `halo_px` from the outline.
    """
    a, b, c, s = nucleus[LONG], nucleus[SHORT], nucleus[COS], nucleus[SIN]
    bulge = nucleus[BULGE]
    tall = bulge * math.sqrt(a * a * s * s + b * b * c * c) + halo_px
    wide = bulge * math.sqrt(a * a * c * c + b * b * s * s) + halo_px
    top = max(math.ceil(nucleus[Y] - tall) - y0, 0)
    low = min(math.floor(nucleus[Y] + tall) + 1 - y0, height)
    left = max(math.ceil(nucleus[X] - wide) - x0, 0)
    right = min(math.floor(nucleus[X] + wide) + 1 - x0, width)
    bound = bulge + halo_px / b
    return top, low, left, right, bound * bound


@compiled
def draw_light(look, nuclei, table, y0, x0, out):  # type: ignore[no-untyped-def]
    """Add the light of `nuclei` to a window, float32 (Y, X), in units of brightness.

    Of two that overlap, the brighter counts fully and the rest by `overlap_light`.
    """
    scale = 1.0 / look.texture_px
    for n in range(nuclei.shape[0]):
        nucleus = nuclei[n]
        far = EDGE_REACH * nucleus[BLUR]
        top, low, left, right, bound = box(nucleus, far, y0, x0, out.shape[0], out.shape[1])
        sharp = EDGE_SCALE / nucleus[BLUR]
        for i in range(top, low):
            for j in range(left, right):
                dy, dx = y0 + i - nucleus[Y], x0 + j - nucleus[X]
                u, v, square = turned(nucleus, dy, dx)
                if square > bound:
                    continue
                d, outside = locate(nucleus, u, v, square)
                k = int(outside * sharp + 0.5 * (EDGE.size - 1) + 0.5)
                if k >= EDGE.size:
                    continue
                light = EDGE[max(k, 0)] * (1 - look.dome * min(d * d, 1.0))
                rim = 1 - (outside + 1.3) * (outside + 1.3) * 0.18
                if rim > 0:
                    light *= 1 + look.ring * rim
                if d < 1.3:
                    g = _grain(table, nucleus[GRAIN_Y] + dy * scale, nucleus[GRAIN_X] + dx * scale)
                    focus = max(g - 0.9, 0.0)
                    light *= max(1 + look.texture * g + look.spots * focus, 0.1)
                light *= nucleus[LIGHT]
                old = out[i, j]
                bright, dim = max(old, light), min(old, light)
                out[i, j] = bright + look.overlap_light * dim


@compiled
def draw_labels(nuclei, y0, x0, near, out):  # type: ignore[no-untyped-def]
    """Write label ids into a window, uint32 (Y, X); `near` is a float32 window of ones.

    A pixel belongs to the nucleus of smallest normalised distance, ties to the lower id.
    """
    for n in range(nuclei.shape[0]):
        nucleus = nuclei[n]
        top, low, left, right, bound = box(nucleus, 0.0, y0, x0, out.shape[0], out.shape[1])
        for i in range(top, low):
            for j in range(left, right):
                u, v, square = turned(nucleus, y0 + i - nucleus[Y], x0 + j - nucleus[X])
                if square > bound:
                    continue
                d, _ = locate(nucleus, u, v, square)
                if np.float32(d) < near[i, j]:
                    near[i, j] = d
                    out[i, j] = np.uint32(nucleus[ID])
