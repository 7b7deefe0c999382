"""What a channel shows: nuclei, or what surrounds them in some of the cells.

Channels come in cycles of four, as in CyCIF: a nuclear stain, then three markers. Each cycle is
shifted against the first by up to `MAX_SHIFT_PX`, as registration leaves it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tbscale.images.compiled import compiled
from tbscale.images.standin.draw import BLUR, EDGE_SCALE, ID, LIGHT, box, locate, turned
from tbscale.images.standin.fields import rough_noise, stream_seed
from tbscale.images.standin.hashing import EDGE, GAUSS, GAUSS_REACH, normal, unit
from tbscale.images.standin.placement import X, Y
from tbscale.images.standin.spec import TissueSpec

Kind = Literal["nucleus", "membrane", "cytoplasm", "sparse"]
CYCLE = 4
MAX_SHIFT_PX = 1.5
_KINDS: tuple[Kind, ...] = ("nucleus", "cytoplasm", "membrane", "sparse")
_P_SHIFT, _P_POSITIVE, _P_LEVEL, _P_REGION = 501, 511, 512, 521


@dataclass(frozen=True)
class Stain:
    """One channel: what it marks, its number, and its cycle (both from 0)."""

    kind: Kind = "nucleus"
    channel: int = 0

    @property
    def cycle(self) -> int:
        return self.channel // CYCLE

    @property
    def share(self) -> float:
        """Largest share of cells that carry the marker, where it is most common."""
        return {"nucleus": 1.0, "membrane": 0.9, "cytoplasm": 0.7, "sparse": 0.12}[self.kind]

    @property
    def light(self) -> float:
        """Brightness of a positive cell against a nucleus."""
        return {"nucleus": 1.0, "membrane": 0.5, "cytoplasm": 0.35, "sparse": 0.6}[self.kind]


NUCLEAR = Stain()


def stain_of(channel: int) -> Stain:
    """Say what a channel (from 0) of a stand-in shows.

    >>> stain_of(4).kind, stain_of(6).kind
    ('nucleus', 'membrane')
    """
    return Stain(_KINDS[channel % CYCLE], channel)


def shift_px(spec: TissueSpec, stain: Stain) -> tuple[float, float]:
    """How far a channel's cycle lies from the first, (y, x) in pixels; at most `MAX_SHIFT_PX`."""
    if stain.cycle == 0:
        return 0.0, 0.0
    seed = stream_seed(spec.seed, 6)
    y, x = (unit(seed, stain.cycle, axis, _P_SHIFT) for axis in (0, 1))
    return MAX_SHIFT_PX * (2 * y - 1), MAX_SHIFT_PX * (2 * x - 1)


def rim_px(spec: TissueSpec, stain: Stain) -> float:
    """Width of the cytoplasm around a nucleus, pixels; 0 for a nuclear stain."""
    if stain.kind == "nucleus":
        return 0.0
    return 0.2 * 0.5 * (spec.diameter_px[0] + spec.diameter_px[1]) + 0.5


def stained_spec(spec: TissueSpec, stain: Stain) -> TissueSpec:
    """Give a channel its own light: markers are dimmer and hazier, and later cycles fade."""
    fade = 0.985**stain.cycle
    if stain.kind == "nucleus":
        return replace(spec, brightness=spec.brightness * fade)
    return replace(
        spec,
        brightness=spec.brightness * fade,
        haze=0.05,
        ghosts_per_megapixel=0.3 * spec.ghosts_per_megapixel,
        background=0.8 * spec.background,
    )


@compiled
def express(seed, patch_px, share, light, nuclei):  # type: ignore[no-untyped-def]
    """Set the marker's light of every nucleus, in place; 0 where the cell is negative.

    A slow field of its own makes the marker common in some regions and rare in others.
    """
    for n in range(nuclei.shape[0]):
        nucleus = nuclei[n]
        region = rough_noise(seed, nucleus[Y] / patch_px, nucleus[X] / patch_px, _P_REGION)
        chance = share * min(max((region - 0.3) * 2.5, 0.05), 1.0)
        id_ = np.int64(nucleus[ID])
        if unit(seed, id_, 0, _P_POSITIVE) < chance:
            nucleus[LIGHT] = light * math.exp(0.5 * normal(seed, id_, 0, _P_LEVEL))
        else:
            nucleus[LIGHT] = 0.0


@compiled
def draw_cells(nuclei, rim, membrane, y0, x0, out):  # type: ignore[no-untyped-def]
    """Add cell bodies (or, if `membrane`, their rims) to a window of light, float32 (Y, X).

    Bodies are darker over the nucleus; the brightest cell at a pixel counts.
    """
    middle = 0.5 * (EDGE.size - 1) + 0.5
    gauss = (GAUSS.size - 1) / (GAUSS_REACH * GAUSS_REACH)
    for n in range(nuclei.shape[0]):
        nucleus = nuclei[n]
        if nucleus[LIGHT] <= 0:
            continue
        far = rim + GAUSS_REACH * math.sqrt(1.0 + nucleus[BLUR] * nucleus[BLUR])
        top, low, left, right, bound = box(nucleus, far, y0, x0, out.shape[0], out.shape[1])
        sharp = EDGE_SCALE / nucleus[BLUR]
        for i in range(top, low):
            for j in range(left, right):
                u, v, square = turned(nucleus, y0 + i - nucleus[Y], x0 + j - nucleus[X])
                if square > bound:
                    continue
                _, outside = locate(nucleus, u, v, square)
                beyond = outside - rim
                k = int(beyond * sharp + middle)
                k = min(max(k, 0), EDGE.size - 1)
                if membrane:
                    light = 0.12 * EDGE[k]
                    g = int(beyond * beyond / (1.0 + nucleus[BLUR] * nucleus[BLUR]) * gauss)
                    if g < GAUSS.size:
                        light += GAUSS[g]
                else:
                    inner = int(outside * sharp + middle)
                    covered = EDGE[min(max(inner, 0), EDGE.size - 1)]
                    light = EDGE[k] * (1 - 0.6 * covered)
                out[i, j] = max(out[i, j], np.float32(light * nucleus[LIGHT]))


def paint_marker(
    spec: TissueSpec, stain: Stain, nuclei: NDArray[np.float64], y0: int, x0: int,
    light: NDArray[np.float32],
) -> None:  # fmt: skip
    """Draw a marker's cells into a window of light, in place; `nuclei` are changed."""
    seed = stream_seed(spec.seed, 1000 + stain.channel)
    express(seed, spec.patch_px, stain.share, stain.light, nuclei)
    draw_cells(nuclei, rim_px(spec, stain), stain.kind == "membrane", y0, x0, light)
