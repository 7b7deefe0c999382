"""How much memory a run may use."""

from __future__ import annotations

import re

import psutil

from tbscale.engine.cgroup import cgroup_left_bytes
from tbscale.errors import PlanError

DEFAULT_SHARE = 0.6
UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
BINARY = {"ki": 1024, "mi": 1024**2, "gi": 1024**3, "ti": 1024**4}
SIZE = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([kmgt]i?)?b?\s*", re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """Read a size such as "4GiB", "500 MB" or "2g".

    Raises
    ------
    PlanError : not a size

    >>> parse_bytes("1.5GiB")
    1610612736
    """
    match = SIZE.fullmatch(text)
    if match is None:
        raise PlanError(f"{text!r} is not a size of memory; pass one such as 4GiB or 500MB")
    number, unit = match.groups()
    return int(float(number) * (UNITS | BINARY)[(unit or "").lower()])


def default_budget_bytes() -> int:
    """60 % of the memory that is free on the machine or left in its cgroup."""
    free = psutil.virtual_memory().available
    left = cgroup_left_bytes()
    return int((free if left is None else min(free, left)) * DEFAULT_SHARE)
