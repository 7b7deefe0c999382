"""What a guideline is: a rule, and claims about numbers that a record must carry for it to hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tbscale.bench.schema import Record
from tbscale.book import formats
from tbscale.book.guidelines.series import Span

Read = Callable[[Record], Span | None]


@dataclass(frozen=True)
class Claim:
    """One comparison of a number in a record with a stated limit.

    Attributes
    ----------
    what : the number in words
    read : finds it in a record, with its spread; None where the record does not bear on it
    side, limit : the claim holds where the median is at least, or at most, the limit
    say : how the number is written
    """

    what: str
    read: Read
    side: Literal["at least", "at most"]
    limit: float
    say: Callable[[float], str] = formats.ratio

    def holds(self, value: float) -> bool:
        """Whether a number is on the right side of the limit.

        >>> Claim("speed", lambda record: None, "at least", 2.0).holds(1.9)
        False
        """
        return value >= self.limit if self.side == "at least" else value <= self.limit

    def wanted(self) -> str:
        """The side and the limit in words."""
        return f"{self.side} {self.say(self.limit)}"


@dataclass(frozen=True)
class Chart:
    """Which measure the figure of a guideline shows, and on which axis.

    Attributes
    ----------
    measure : name of the measure; its variants are the bars
    axis : words and unit of the axis
    scale : from the unit of the measure to that of the axis
    """

    measure: str
    axis: str
    scale: float = 1.0
    log: bool = False


@dataclass(frozen=True)
class Guideline:
    """A rule that can be false.

    Attributes
    ----------
    key : g01, g02, ...
    name : the page's address, short and imperative
    rule : one sentence
    claims : all must hold on every record of a machine
    chart : what the figure shows; None draws the first claim's own numbers
    falsified : what one would see if the rule were wrong
    only_with : instructions of the CPU of which the rule presupposes one; none is any CPU
    """

    key: str
    name: str
    rule: str
    claims: tuple[Claim, ...]
    falsified: str
    chart: Chart | None = None
    only_with: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The page: key and name."""
        return f"{self.key}-{self.name}"

    @property
    def title(self) -> str:
        """The name as words.

        >>> Guideline("g01", "skip-the-empty", "", (), "").title
        'Skip the empty'
        """
        words = self.name.replace("-", " ")
        return words[0].upper() + words[1:]

    def read(self, record: Record) -> tuple[Span, ...] | None:
        """The number of each claim; None where the record lacks one, or the CPU what is needed."""
        if self.only_with and not set(self.only_with) & set(record.machine.cpu.flags):
            return None
        found = [claim.read(record) for claim in self.claims]
        spans = tuple(one for one in found if one is not None)
        return spans if len(spans) == len(found) else None
