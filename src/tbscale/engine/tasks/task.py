"""What a scheduler knows of a task: what it reads, what it leaves, whether it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tbscale.engine.blocks import Block, Region, blocks_near, meets
from tbscale.steps import StepClock


@dataclass(frozen=True)
class Piece:
    """Something on disk that one task leaves and others read.

    Attributes
    ----------
    kind : flow, sinks, seeds or cells
    index : of a block; of flow, how many rows from the top
    """

    kind: str
    index: int


class Task(Protocol):
    """One piece of work that may run anywhere, twice, or after a kill."""

    @property
    def reads(self) -> tuple[Piece, ...]:
        """What must be there before it runs."""
        ...

    @property
    def leaves(self) -> Piece:
        """What is there once it is done."""
        ...

    def is_done(self) -> bool:
        """Whether its output is on disk, complete."""
        ...

    def run(self, clock: StepClock) -> None:
        """Compute and store."""
        ...


def pieces_in(kind: str, region: Region, blocks: tuple[Block, ...]) -> tuple[Piece, ...]:
    """The pieces of those blocks whose core meets a region."""
    return tuple(
        Piece(kind, block.index)
        for block in blocks_near(region, 0, blocks)
        if meets(block.core, region)
    )
