"""How much a Winograd convolution rounds, by the points at which it evaluates its polynomials.

F(4 x 4, 3 x 3) with the points 0, +-near, +-far and infinity, in float32 throughout, on noise cut
at zero, set beside the same convolution in float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHANNELS = 64
TILES = 200
SEED = 0
POINTS = ((1.0, 2.0), (0.5, 1.0), (0.5, 1.5), (0.625, 1.5), (0.75, 1.5), (0.5**0.5, 2**0.5))
Floats = NDArray[np.float64]


def matrices(near: float, far: float) -> tuple[Floats, Floats, Floats]:
    """The transforms of input (6, 6), kernel (6, 3) and output (4, 6); Lavin and Gray 2016."""
    a, b = near, far
    a2, b2 = a * a, b * b
    into = np.array(
        [
            [a2 * b2, 0, -(a2 + b2), 0, 1, 0],
            [0, -a * b2, -b2, a, 1, 0],
            [0, a * b2, -b2, -a, 1, 0],
            [0, -b * a2, -a2, b, 1, 0],
            [0, b * a2, -a2, -b, 1, 0],
            [0, a2 * b2, 0, -(a2 + b2), 0, 1],
        ]
    )
    points = (0.0, a, -a, b, -b)
    kernel = [
        np.array([1.0, p, p * p]) / np.prod([p - q for q in points if q != p]) for p in points
    ]
    out = np.array([[*(p**k for p in points), float(k == 3)] for k in range(4)])
    return into, np.stack([*kernel, np.array([0.0, 0.0, 1.0])]), out


def rounding(near: float, far: float) -> float:
    """Root mean square error over root mean square output.

    >>> rounding(0.625, 1.5) < rounding(1.0, 2.0)
    True
    """
    into, kernel, out = matrices(near, far)
    into32, out32 = into.astype(np.float32), out.astype(np.float32)
    rng = np.random.default_rng(SEED)
    errors, sizes = [], []
    for _ in range(TILES):
        patch = np.maximum(rng.normal(size=(CHANNELS, 6, 6)), 0)
        weight = rng.normal(size=(CHANNELS, 3, 3)) / np.sqrt(9 * CHANNELS)
        exact = convolve(patch, weight)
        v = into32 @ patch.astype(np.float32) @ into32.T
        u = (kernel @ weight @ kernel.T).astype(np.float32)
        total = np.zeros((6, 6), np.float32)
        for one, other in zip(v, u, strict=True):
            total += one * other
        errors.append(np.mean((out32 @ total @ out32.T - exact) ** 2))
        sizes.append(np.mean(exact**2))
    return float(np.sqrt(np.mean(errors) / np.mean(sizes)))


def convolve(patch: Floats, weight: Floats) -> Floats:
    """The 4 x 4 outputs of patches (C, 6, 6) and kernels (C, 3, 3), summed over the channels."""
    total = np.zeros((4, 4))
    for i in range(3):
        for k in range(3):
            total += np.einsum("c,cyx->yx", weight[:, i, k], patch[:, i : i + 4, k : k + 4])
    return total
