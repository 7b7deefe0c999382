"""Where the nuclei lie: at most one a bin, pushed apart by their neighbours, numbered densely.

The plane is a grid of square bins. A hash of the bin decides whether it holds a nucleus, where,
and of which shape. Two rounds of repulsion part those that interpenetrate too far, and of two
that still coincide the one of lower priority is dropped. All of it looks only `reach` bins far,
so a window needs no more than a margin.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbscale.images.compiled import compiled, inlined
from tbscale.images.standin.fields import (
    Fields,
    density,
    fibre_angle,
    fields_of,
    is_stroma,
    stream_seed,
)
from tbscale.images.standin.hashing import unit
from tbscale.images.standin.spec import TissueSpec

ROUNDS = 2
STEP = 0.25  # largest move a round, in bins
MARGIN = ROUNDS + 1  # times `reach`: one look for each round, one for dropping
HIDDEN = 0.75  # a centre so deep inside a neighbour (1 = its outline) is dropped
# columns of a candidate
Y, X, LONG, SHORT, COS, SIN, RANK, KIND = range(8)
PLAIN, CONDENSED, GIANT = 0.0, 1.0, 2.0
P_HERE, P_Y, P_X, P_SIZE1, P_SIZE2, P_KIND, P_AXES, P_ANGLE, P_RANK = range(1, 10)
CONDENSED_SCALE = 0.7
MIN_HALF_AXIS_PX = 1.8


class Layout(NamedTuple):
    """How nuclei are strewn, in the form that the kernels take."""

    seed: np.uint64
    height: int
    width: int
    bin_px: float
    rows: int
    columns: int
    reach: int  # bins; nuclei further apart never meet
    fill: float  # chance of a nucleus in a bin at density 1
    small_px: float
    large_px: float
    giant_share: float
    giant_scale: float
    condensed_share: float
    round_ratio: float
    long_ratio: float
    contact: float  # share of the sum of radii at which neighbours push each other
    drift_px: float  # furthest a nucleus may lie from its bin


def layout_of(spec: TissueSpec) -> Layout:
    """Choose the bins so that the densest patch fills nearly all of them."""
    fields = fields_of(spec)
    mean_px = 0.5 * (spec.diameter_px[0] + spec.diameter_px[1])
    per_px = spec.nuclei_per_megapixel * 1e-6
    tight = math.sqrt(0.95 / (per_px * fields.peak))
    bin_px = max(0.8 * mean_px, min(tight, 1.3 * mean_px))
    drift_px = (ROUNDS * STEP + 0.5) * bin_px
    reach = math.ceil((2 * spec.largest_radius_px + 2 * drift_px) / bin_px)
    return Layout(
        stream_seed(spec.seed, 2), *spec.shape, bin_px,
        math.ceil(spec.shape[0] / bin_px), math.ceil(spec.shape[1] / bin_px),
        reach, per_px * bin_px * bin_px, *spec.diameter_px, spec.giant_share, spec.giant_scale,
        spec.condensed_share, *spec.elongation, 1 - spec.overlap, drift_px,
    )  # fmt: skip


@compiled
def _shape_candidate(layout, fields, row, column, out):  # type: ignore[no-untyped-def]
    """Fill size, axes, angle and rank of the candidate of a bin."""
    seed = layout.seed
    size = 0.5 * (unit(seed, row, column, P_SIZE1) + unit(seed, row, column, P_SIZE2))
    radius = 0.5 * (layout.small_px + (layout.large_px - layout.small_px) * size)
    out[KIND], out[RANK] = PLAIN, unit(seed, row, column, P_RANK)
    kind = unit(seed, row, column, P_KIND)
    if kind < layout.giant_share:
        out[KIND], out[RANK] = GIANT, out[RANK] + 1
        radius *= layout.giant_scale
    elif kind > 1 - layout.condensed_share:
        out[KIND] = CONDENSED
        radius *= CONDENSED_SCALE
    ratio, angle = unit(seed, row, column, P_AXES), unit(seed, row, column, P_ANGLE)
    span = layout.long_ratio - layout.round_ratio
    if is_stroma(fields, out[Y], out[X]):
        ratio = 1.4 * (layout.round_ratio + span * (0.4 + 0.6 * ratio))
        angle = fibre_angle(fields, out[Y], out[X]) + 0.8 * (angle - 0.5)
    else:
        ratio = layout.round_ratio + span * ratio * ratio
        angle = angle * math.pi
    out[SHORT] = max(radius / math.sqrt(ratio), MIN_HALF_AXIS_PX)
    out[LONG] = max(radius * math.sqrt(ratio), out[SHORT])
    out[COS], out[SIN] = math.cos(angle), math.sin(angle)


@compiled
def _candidates(layout, fields, r0, r1, c0, c1):  # type: ignore[no-untyped-def]
    """Candidates of a rectangle of bins, float64 (rows, columns, 8); RANK < 0 where none."""
    out = np.zeros((r1 - r0, c1 - c0, 8))
    for i in range(r1 - r0):
        for j in range(c1 - c0):
            row, column = r0 + i, c0 + j
            out[i, j, RANK] = -1.0
            y = (row + 0.5) * layout.bin_px
            x = (column + 0.25 + 0.5 * (row & 1)) * layout.bin_px
            chance = layout.fill * density(fields, y, x)
            if unit(layout.seed, row, column, P_HERE) >= chance:
                continue
            jitter = (1 - 0.15 * min(chance, 1.0)) * layout.bin_px
            y += jitter * (unit(layout.seed, row, column, P_Y) - 0.5)
            x += jitter * (unit(layout.seed, row, column, P_X) - 0.5)
            out[i, j, Y], out[i, j, X] = y, x
            _shape_candidate(layout, fields, row, column, out[i, j])
    return out


@inlined
def _radius_towards(nucleus, dy, dx):  # type: ignore[no-untyped-def]
    """Half width of an ellipse in the direction of the unit vector (dy, dx)."""
    along = dx * nucleus[COS] + dy * nucleus[SIN]
    across = dy * nucleus[COS] - dx * nucleus[SIN]
    a, b = nucleus[LONG], nucleus[SHORT]
    return a * b / math.sqrt(b * b * along * along + a * a * across * across)


@compiled
def _push(layout, old, i, j):  # type: ignore[no-untyped-def]
    """How far the neighbours push candidate (i, j) away in one round."""
    me, reach = old[i, j], layout.reach
    move_y, move_x = 0.0, 0.0
    for p in range(max(i - reach, 0), min(i + reach + 1, old.shape[0])):
        for q in range(max(j - reach, 0), min(j + reach + 1, old.shape[1])):
            other = old[p, q]
            if other[RANK] < 0 or (p == i and q == j):
                continue
            dy, dx = me[Y] - other[Y], me[X] - other[X]
            square = dy * dy + dx * dx
            far = me[LONG] + other[LONG]
            if square >= far * far or square < 1e-12:
                continue
            dist = math.sqrt(square)
            dy, dx = dy / dist, dx / dist
            touch = _radius_towards(me, dy, dx) + _radius_towards(other, dy, dx)
            depth = layout.contact * touch - dist
            if depth > 0:
                share = other[SHORT] / (me[SHORT] + other[SHORT])
                move_y += depth * share * dy
                move_x += depth * share * dx
    return move_y, move_x


@compiled
def _part(layout, old):  # type: ignore[no-untyped-def]
    """One round: every candidate steps away from all that it interpenetrates too far."""
    new = old.copy()
    limit = STEP * layout.bin_px
    for i in range(old.shape[0]):
        for j in range(old.shape[1]):
            if old[i, j, RANK] < 0:
                continue
            move_y, move_x = _push(layout, old, i, j)
            length = math.sqrt(move_y * move_y + move_x * move_x)
            if length > limit:
                move_y, move_x = move_y * limit / length, move_x * limit / length
            new[i, j, Y] += move_y
            new[i, j, X] += move_x
    return new


@inlined
def _depth(inner, outer):  # type: ignore[no-untyped-def]
    """Squared normalised distance of a centre in an ellipse; 1 on its outline."""
    dy, dx = inner[Y] - outer[Y], inner[X] - outer[X]
    u = (dx * outer[COS] + dy * outer[SIN]) / outer[LONG]
    v = (dy * outer[COS] - dx * outer[SIN]) / outer[SHORT]
    return u * u + v * v


@compiled
def _stays(layout, all_, i, j):  # type: ignore[no-untyped-def]
    """Whether a candidate is inside the plane and clear of all that outrank it."""
    me, reach = all_[i, j], layout.reach
    if not (0 <= me[Y] < layout.height and 0 <= me[X] < layout.width):
        return False
    for p in range(max(i - reach, 0), min(i + reach + 1, all_.shape[0])):
        for q in range(max(j - reach, 0), min(j + reach + 1, all_.shape[1])):
            other = all_[p, q]
            if other[RANK] < me[RANK] or (p == i and q == j):
                continue
            if other[RANK] == me[RANK] and (p > i or (p == i and q > j)):
                continue
            if min(_depth(me, other), _depth(other, me)) < HIDDEN * HIDDEN:
                return False
    return True


@compiled
def settle(layout, fields, r0, r1, c0, c1):  # type: ignore[no-untyped-def]
    """Nuclei of a rectangle of bins, float64 (rows, columns, 8); RANK < 0 where none."""
    margin = MARGIN * layout.reach
    top, left = max(r0 - margin, 0), max(c0 - margin, 0)
    low, right = min(r1 + margin, layout.rows), min(c1 + margin, layout.columns)
    found = _candidates(layout, fields, top, low, left, right)
    for _ in range(ROUNDS):
        found = _part(layout, found)
    out = found[r0 - top : r1 - top, c0 - left : c1 - left].copy()
    for i in range(r1 - r0):
        for j in range(c1 - c0):
            if out[i, j, RANK] >= 0 and not _stays(layout, found, i + r0 - top, j + c0 - left):
                out[i, j, RANK] = -1.0
    return out


def bins_around(layout: Layout, y: slice, x: slice, reach_px: float) -> tuple[int, int, int, int]:
    """Bins whose nuclei can touch a window, as (row0, row1, column0, column1)."""
    far = reach_px + layout.drift_px
    r0, r1 = math.floor((y.start - far) / layout.bin_px), math.ceil((y.stop + far) / layout.bin_px)
    c0, c1 = math.floor((x.start - far) / layout.bin_px), math.ceil((x.stop + far) / layout.bin_px)
    return (
        max(min(r0, layout.rows), 0), max(min(r1, layout.rows), 0),
        max(min(c0, layout.columns), 0), max(min(c1, layout.columns), 0),
    )  # fmt: skip


def _alive(layout: Layout, fields: Fields) -> NDArray[np.bool_]:
    alive = np.zeros((layout.rows, layout.columns), np.bool_)
    size = 16 * layout.reach * MARGIN
    for r in range(0, layout.rows, size):
        for c in range(0, layout.columns, size):
            r1, c1 = min(r + size, layout.rows), min(c + size, layout.columns)
            alive[r:r1, c:c1] = settle(layout, fields, r, r1, c, c1)[..., RANK] >= 0
    return alive


@lru_cache(maxsize=4)
def label_ids(spec: TissueSpec) -> NDArray[np.uint32]:
    """The label of every bin's nucleus, uint32 (rows, columns), 0 where none; dense, row-major.

    Takes 4 bytes a bin, about a hundredth of a byte a pixel.
    """
    alive = _alive(layout_of(spec), fields_of(spec))
    ids = np.cumsum(alive.ravel(), dtype=np.uint32).reshape(alive.shape)
    ids[~alive] = 0
    return ids


def nuclei_count(spec: TissueSpec) -> int:
    """How many nuclei the whole plane has; their labels are 1 to this number."""
    return int(label_ids(spec).max(initial=0))
