"""Cover a plane with blocks: the unit of out-of-core work after the network. Integers only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbscale.errors import PlanError

Region = tuple[slice, slice]


@dataclass(frozen=True)
class Block:
    """A part of the plane.

    Attributes
    ----------
    index : position in the plan, row after row
    core : slices (y, x) of the plane; the cores of a plan partition it exactly once
    """

    index: int
    core: Region


def shape_of(region: Region) -> tuple[int, int]:
    """Height and width of a region, pixels."""
    return region[0].stop - region[0].start, region[1].stop - region[1].start


def widen(region: Region, halo_px: int, plane_shape: tuple[int, int]) -> Region:
    """Add a halo on each side, clipped at the border of the plane.

    >>> widen((slice(0, 4), slice(4, 6)), 1, (8, 6))
    (slice(0, 5, None), slice(3, 6, None))
    """
    y, x = (
        slice(max(0, s.start - halo_px), min(size, s.stop + halo_px))
        for s, size in zip(region, plane_shape, strict=True)
    )
    return y, x


def distance_px(a: Region, b: Region) -> int:
    """Pixels between two regions along the axis where they are farther apart; 0 if they touch."""
    gaps = [max(p.start - q.stop, q.start - p.stop, 0) for p, q in zip(a, b, strict=True)]
    return int(max(gaps))


def meets(a: Region, b: Region) -> bool:
    """Whether two regions share a pixel."""
    return all(p.start < q.stop and q.start < p.stop for p, q in zip(a, b, strict=True))


def overlap(a: Region, b: Region) -> Region:
    """What two regions share; a region of nothing, inside the first, where they share nothing."""
    y, x = (
        slice(start, max(start, min(p.stop, q.stop)))
        for p, q in zip(a, b, strict=True)
        for start in [min(max(p.start, q.start), p.stop)]
    )
    return y, x


def within(inner: Region, outer: Region) -> Region:
    """A region as slices of an array that holds `outer`."""
    y, x = (slice(p.start - q.start, p.stop - q.start) for p, q in zip(inner, outer, strict=True))
    return y, x


def bounds_of(region: Region) -> NDArray[np.int64]:
    """y0, y1, x0, x1."""
    y, x = region
    return np.array([y.start, y.stop, x.start, x.stop], np.int64)


def region_of(bounds: NDArray[np.int64]) -> Region:
    """Slices from y0, y1, x0, x1."""
    y0, y1, x0, x1 = (int(bound) for bound in bounds)
    return slice(y0, y1), slice(x0, x1)


def plan_blocks(shape: tuple[int, int], core_px: int) -> tuple[Block, ...]:
    """Cover a plane with blocks whose cores partition it exactly once.

    Parameters
    ----------
    shape : (Y, X), pixels
    core_px : pixels of a core along either axis; the last ones are cut at the border

    Raises
    ------
    PlanError : core_px < 1

    >>> [b.core for b in plan_blocks((4, 6), 4)]
    [(slice(0, 4, None), slice(0, 4, None)), (slice(0, 4, None), slice(4, 6, None))]
    """
    if core_px < 1:
        raise PlanError(f"core_px is {core_px}; pass at least 1")
    cores = [
        (slice(y, min(y + core_px, shape[0])), slice(x, min(x + core_px, shape[1])))
        for y in range(0, shape[0], core_px)
        for x in range(0, shape[1], core_px)
    ]
    return tuple(Block(k, core) for k, core in enumerate(cores))


def blocks_near(region: Region, halo_px: int, blocks: tuple[Block, ...]) -> list[Block]:
    """The blocks of a plan whose core lies at most `halo_px` from a region, without a search.

    >>> plan = plan_blocks((40, 40), 10)
    >>> [b.index for b in blocks_near((slice(0, 10), slice(10, 20)), 0, plan)]
    [0, 1, 2, 4, 5, 6]
    """
    height, width = shape_of(blocks[0].core)
    rows, columns = (
        -(-blocks[-1].core[axis].stop // size) for axis, size in enumerate((height, width))
    )
    y, x = (
        range(max(0, (s.start - halo_px - 1) // size), min(count, (s.stop + halo_px) // size + 1))
        for s, size, count in zip(region, (height, width), (rows, columns), strict=True)
    )
    return [blocks[row * columns + column] for row in y for column in x]


def own_halo_px(block: Block, blocks: tuple[Block, ...], reach_px: list[int], seed_px: int) -> int:
    """Halo within which lies every pixel whose sink can matter to a block's seeds.

    A pixel of block A lies at most `reach_px[A]` from its sink. It matters to a block if the sink
    is at most `seed_px` from the block's core, so it lies at most the sum of both from that core.

    Parameters
    ----------
    reach_px : largest distance from a pixel of each core to its sink
    seed_px : how far from the core a sink can matter
    """
    wanted = seed_px
    for other in blocks_near(block.core, seed_px + max(reach_px), blocks):
        halo = seed_px + reach_px[other.index]
        if halo > wanted and distance_px(block.core, other.core) <= halo:
            wanted = halo
    return wanted
