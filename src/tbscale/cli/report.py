"""`tbscale report`: a page to look at, from labels that were made before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="report")(make_report)


def make_report(
    labels: Annotated[Path, typer.Argument(metavar="OUT", help="Labels of `tbscale segment`.")],
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            help="The page; by default OUT with .html behind. A page of tbscale that is there is "
            "replaced, any other file is not.",
        ),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="The image; by default its name, beside OUT or here.")
    ] = None,
) -> None:
    """Make one self-contained page: overview, crops, distributions, time and memory, parameters."""
    from tbscale.report.page import default_path, write_report

    path = html or default_path(labels)
    typer.echo(str(write_report(labels, path, image, may_replace=True)))
