"""Random numbers that depend on where, never on when: counter-based hashing and tables.

Every draw is a pure function of (seed, row, column, purpose), so a window of a plane can be
made alone and equals the crop of the whole.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tbscale.images.compiled import compiled, inlined

_TO_UNIT = 1.0 / (1 << 53)


@inlined
def mix(h):  # type: ignore[no-untyped-def]
    """Scramble 64 bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@inlined
def draw(seed, row, column, purpose):  # type: ignore[no-untyped-def]
    """64 random bits for a place and a purpose; negative places are fine."""
    h = np.uint64(seed) + np.uint64(purpose) * np.uint64(0x9E3779B97F4A7C15)
    h = mix(h ^ (np.uint64(row) * np.uint64(0xD1B54A32D192ED03)))
    return mix(h ^ (np.uint64(column) * np.uint64(0x8CB92BA72F3D8DD7)))


@compiled
def unit(seed, row, column, purpose):  # type: ignore[no-untyped-def]
    """A float64 in [0, 1)."""
    return float(draw(seed, row, column, purpose) >> np.uint64(11)) * _TO_UNIT


def _normal_quantiles(n: int) -> NDArray[np.float32]:
    normal = NormalDist()
    values = np.array([normal.inv_cdf((i + 0.5) / n) for i in range(n)])
    return np.asarray(values / values.std(), dtype=np.float32)


def _erf_edge(n: int, reach: float) -> NDArray[np.float32]:
    grid = np.linspace(-reach, reach, n)
    values = [0.5 * math.erfc(t / math.sqrt(2)) for t in grid]
    return np.asarray(values, dtype=np.float32)


def _gauss(n: int, reach: float) -> NDArray[np.float32]:
    """exp(-q / 2) for q in [0, reach**2], going exactly to zero at the end."""
    grid = np.linspace(0, reach * reach, n)
    values = np.exp(-grid / 2)
    return np.asarray((values - values[-1]) / (1 - values[-1]), dtype=np.float32)


# 12 bits of a hash pick a normal deviate; +-3.6 sigma is the tail
NORMAL_BITS = 12
NORMAL = _normal_quantiles(1 << NORMAL_BITS)
# light left of an edge blurred by a Gaussian, over +-EDGE_REACH sigma
EDGE_REACH = 3.0
EDGE = _erf_edge(1537, EDGE_REACH)
GAUSS_REACH = 3.5
GAUSS = _gauss(2049, GAUSS_REACH)


@compiled
def normal(seed, row, column, purpose):  # type: ignore[no-untyped-def]
    """A standard normal deviate (float64) for a place and a purpose."""
    return float(NORMAL[draw(seed, row, column, purpose) >> np.uint64(64 - NORMAL_BITS)])
