"""Quantities in words: one way to write each unit, so that no page rounds on its own."""

from __future__ import annotations

from tbscale.bench.statistics import Summary

NBSP = "\N{NO-BREAK SPACE}"
KIB = 1024
BINARY_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def three_digits(value: float) -> str:
    """A number with three significant digits, never in exponent form.

    >>> [three_digits(value) for value in (0, 0.01234, 1.0, 63.61, 940.4, 12415)]
    ['0', '0.012', '1.00', '63.6', '940', '12,415']
    """
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 99.95:
        return f"{value:,.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.0995 else f"{value:.3f}"


def seconds(value: float) -> str:
    """Seconds, three digits: `63.6 s`."""
    return "<0.001" + NBSP + "s" if 0 < value < 0.0005 else three_digits(value) + NBSP + "s"


def memory(value: float) -> str:
    """Bytes in the largest binary unit below the value.

    >>> memory(1_890_000_000).replace(NBSP, " ")
    '1.76 GiB'
    """
    power = 0
    while abs(value) >= 999.5 and power < len(BINARY_UNITS) - 1:
        value /= KIB
        power += 1
    digits = f"{value:.0f}" if power == 0 else three_digits(value)
    return digits + NBSP + BINARY_UNITS[power]


def count(value: int) -> str:
    """An integer with its thousands apart: `12,415`."""
    return f"{value:,}"


def share(value: float) -> str:
    """A share of one in per cent: whole numbers from 10 % on, one decimal below."""
    percent = 100 * value
    if 0 < percent < 0.05:
        return "<0.1" + NBSP + "%"
    return (f"{percent:.0f}" if percent >= 9.95 or percent == 0 else f"{percent:.1f}") + NBSP + "%"


def ratio(value: float) -> str:
    """A ratio of two quantities: `1.23 times`."""
    return three_digits(value) + NBSP + "times"


def shape(value: tuple[int, ...]) -> str:
    """The (Y, X) of a plane in pixels: `3,138 x 2,509 px`."""
    return f"{NBSP}x{NBSP}".join(count(one) for one in value) + NBSP + "px"


def seconds_range(summary: Summary) -> str:
    """Smallest to largest of the repeats, in seconds; a single value as itself."""
    if summary.n == 1 or summary.largest < 0.0005:
        return seconds(summary.median)
    low, high = three_digits(summary.smallest), three_digits(summary.largest)
    return f"{low} to {high}{NBSP}s"


def compact(value: float) -> str:
    """A plain number: integers with their thousands apart, others with three digits.

    >>> [compact(value) for value in (0, 2287.0, 0.0236, 4.2e-05)]
    ['0', '2,287', '0.024', '4.2e-05']
    """
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.2g}" if abs(value) < 0.01 else three_digits(value)


def share_fine(value: float) -> str:
    """A small share in per cent, two digits: `0.24 %`."""
    return f"{100 * value:.2g}" + NBSP + "%"
