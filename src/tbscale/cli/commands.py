"""Which module carries which command."""

from __future__ import annotations

import importlib

import typer

# each module has a function add_to(app: typer.Typer) -> None
MODULES: tuple[str, ...] = ("book", "data", "info", "profile", "record", "report", "segment")


def register(app: typer.Typer) -> None:
    """Add the commands of every module in `MODULES` to `app`."""
    for name in MODULES:
        importlib.import_module(f"tbscale.cli.{name}").add_to(app)
