"""Refuse numbers that no run can use, before any work is done."""

from __future__ import annotations

import math

from tbscale.engine.run import Settings
from tbscale.errors import PlanError


def check_numbers(settings: Settings, diameter: float | None) -> None:
    """Raise a sentence about the first number that is out of range.

    Raises
    ------
    PlanError : says the option, its value and what to pass
    """
    rules = settings.rules
    tests = (
        ("--diameter", diameter, diameter is None or 0 < diameter < math.inf, "pixels above 0"),
        ("--flow-threshold", rules.flow_threshold, rules.flow_threshold >= 0, "0 or more"),
        (
            "--cellprob-threshold",
            settings.cellprob_threshold,
            math.isfinite(settings.cellprob_threshold),
            "a finite number",
        ),
        (
            "--niter",
            settings.niter,
            settings.niter is None or settings.niter >= 0,
            "at least 1, or 0 for the default",
        ),
        ("--overlap", settings.overlap, 0 <= settings.overlap < 1, "a share from 0 to 1"),
    )
    for option, value, holds, remedy in tests:
        if not holds:
            raise PlanError(f"{option} is {value}; pass {remedy}")
