"""What the scripts of the experiments share: lists on the command line, progress, saving."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tbscale.bench.records import save_record
from tbscale.bench.schema import Record
from tbscale.errors import TbscaleError

logger = logging.getLogger("experiment")


def numbers(text: str) -> tuple[float, ...]:
    """`0.5,1` as numbers."""
    return tuple(float(one) for one in text.split(","))


def integers(text: str) -> tuple[int, ...]:
    """`1,2` as integers."""
    return tuple(int(one) for one in text.split(","))


def words(text: str) -> tuple[str, ...]:
    """`a,b` as words; `none` is no word."""
    return () if text == "none" else tuple(text.split(","))


def at_least_one(text: str) -> int:
    """A number of rounds or repeats that measures something."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number; pass at least 1") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} measures nothing; pass at least 1")
    return number


def new_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the option that all scripts share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of records")
    return parser


@contextmanager
def said_in_words() -> Iterator[None]:
    """Progress on stderr, and a user's mistake as one sentence and exit status 2."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        yield
    except TbscaleError as error:
        sys.stderr.write(f"tbscale: {error}\n")
        raise SystemExit(2) from None


def run(measure: Callable[[], Record], out: Path) -> None:
    """Measure and save the record."""
    with said_in_words():
        logger.info("wrote %s", save_record(measure(), out))
