"""Straight lines through measurements: what does not grow, and what grows with every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tbscale.errors import RecordError


@dataclass(frozen=True)
class Line:
    """y = constant + slope * x, through `points` of (x, y)."""

    constant: float
    slope: float
    points: tuple[tuple[float, float], ...]

    def at(self, x: float) -> float:
        """The line's value."""
        return self.constant + self.slope * x

    @property
    def largest_error(self) -> float:
        """The largest distance of a point from the line, as a share of the point."""
        return max(abs(self.at(x) / y - 1) for x, y in self.points)


def fit_line(points: Sequence[tuple[float, float]]) -> Line:
    """The line with the least sum of squared relative errors, none below zero at x = 0.

    Relative, so that a small plane counts as much as a large one.

    Raises
    ------
    RecordError : fewer than two different x

    >>> fit_line([(1, 3), (2, 5), (4, 9)]).slope
    2.0
    """
    x, y = (np.array(values, np.float64) for values in zip(*points, strict=True))
    if len(set(x)) < 2:
        raise RecordError("a line needs two sizes at least; measure another size")
    constant, slope = np.linalg.lstsq(np.stack([1 / y, x / y], axis=1), np.ones_like(x))[0]
    if constant < 0:
        constant, slope = 0.0, float((x / y).sum() / ((x / y) ** 2).sum())
    return Line(round(float(constant), 9), round(float(slope), 12), tuple(points))
