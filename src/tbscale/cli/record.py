"""`tbscale record check FILE | schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

record = typer.Typer(help="Records: check one, print the schema.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the group `record`."""
    app.add_typer(record, name="record")


@record.command()
def check(
    file: Annotated[Path, typer.Argument(help="A record, as `tbscale profile` leaves it.")],
    results: Annotated[
        Path | None, typer.Option(help="Published records; by default those of the clone.")
    ] = None,
) -> None:
    """Say whether a record is valid, what it would publish, and how it compares."""
    from tbscale.bench.check import check_record, report_lines
    from tbscale.bench.records import load_records
    from tbscale.bench.software import repository_root

    folder = results or (repository_root() or Path.cwd()) / "results"
    checked = check_record(file, load_records(folder) if folder.is_dir() else [])
    for line in report_lines(checked):
        typer.echo(line)
    if not checked.publishable:
        raise typer.Exit(1)


@record.command()
def schema() -> None:
    """Print the JSON Schema of a record."""
    from tbscale.bench.records import json_schema

    typer.echo(json.dumps(json_schema(), indent=1))
