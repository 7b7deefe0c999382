"""Which path each step after the network takes: the fast one, or the plain one by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.kernels import fill, flow_qc, seeds
from tbscale.engine.kernels import follow as follow_kernel
from tbscale.errors import PlanError

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Sinks = NDArray[np.int32]
Labels = NDArray[np.uint32]
Numbers = NDArray[np.int64]
Core = tuple[slice, slice]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Kernels:
    """The functions of the steps; whichever are chosen, the labels are the same.

    Attributes
    ----------
    follow : see `kernels.follow.follow`
    count_sinks, find_seeds, label_owned : see `kernels.seeds`
    flow_errors : see `kernels.flow_qc.flow_errors`
    find_holes : see `kernels.fill.find_holes`
    """

    follow: Callable[[Floats, Bools, Pair, Pair, Core, int], tuple[Sinks, int, int]]
    count_sinks: Callable[[Sinks, Core, int], Sinks]
    find_seeds: Callable[[Sinks, Core, int], Numbers]
    label_owned: Callable[[Sinks, Sinks, Core, Numbers, Numbers], tuple[Labels, int]]
    flow_errors: Callable[[Labels, int, Floats], NDArray[np.float64]]
    find_holes: Callable[[Labels, Labels, Numbers], tuple[Numbers, Numbers, Labels]]


FAST = Kernels(
    follow_kernel.follow,
    seeds.count_sinks,
    seeds.find_seeds,
    seeds.label_owned,
    flow_qc.flow_errors,
    fill.find_holes,
)
FUNCTIONS = {
    "follow": ("follow",),
    "seeds": ("count_sinks", "find_seeds", "label_owned"),
    "flow_qc": ("flow_errors",),
    "fill": ("find_holes",),
}


def parse_plain(text: str) -> tuple[str, ...]:
    """Names of steps, separated by commas or blanks.

    >>> parse_plain("follow, fill")
    ('follow', 'fill')
    """
    return tuple(text.replace(",", " ").split())


def choose_kernels(plain: Iterable[str] = ()) -> Kernels:
    """The fast functions, with the plain ones for the steps named in `plain`.

    Raises
    ------
    PlanError : a step without a plain path
    """
    names = tuple(plain)
    unknown = [name for name in names if name not in FUNCTIONS]
    if unknown:
        raise PlanError(
            f"there is no plain path of {unknown[0]!r}; choose from {', '.join(FUNCTIONS)}"
        )
    if not names:
        return FAST
    from tbscale.engine.kernels import plain as plain_kernels  # imports scipy, and Cellpose late

    chosen = {f: getattr(plain_kernels, f) for name in names for f in FUNCTIONS[name]}
    return replace(FAST, **chosen)
