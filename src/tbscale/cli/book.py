"""`tbscale book build | check | numbers | readme`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

book = typer.Typer(help="Build and check the book.", no_args_is_help=True)

Results = Annotated[Path, typer.Option(help="Folder of the committed records.")]
With = Annotated[
    list[Path] | None,
    typer.Option("--with", help="Folder or file of records not yet published; may be repeated."),
]
Out = Annotated[Path | None, typer.Option(help="Folder that gets _build/; default: the clone.")]


def add_to(app: typer.Typer) -> None:
    """Add the group `book`."""
    app.add_typer(book, name="book")


def _repository() -> Path:
    from tbscale.book.build import find_repository

    return find_repository(Path.cwd())


@book.command()
def build(results: Results = Path("results"), also: With = None, out: Out = None) -> None:
    """Build the book from records and print the path of its first page."""
    from tbscale.book.build import build_book

    repository = _repository()
    published = results if results.is_absolute() else repository / results
    index = build_book(repository, published, also or [], out or repository)
    typer.echo(str(index))


@book.command()
def check(site: Annotated[Path, typer.Argument(help="The built site.")]) -> None:
    """Check a built site: links, other hosts, alternative texts."""
    from tbscale.book.build import check_built

    check_built(site)


@book.command()
def numbers() -> None:
    """Find numbers with a unit in the pages that no record and no source stands behind."""
    from tbscale.book.build import check_numbers

    check_numbers(_repository())
    typer.echo("every number with a unit is bound")


@book.command()
def readme(
    results: Results = Path("results"),
    check: Annotated[bool, typer.Option("--check", help="Only say whether it is current.")] = False,
) -> None:
    """Write what is made between markers: README.md's headline table, the page of commands."""
    from tbscale.book.readme import update_readme
    from tbscale.cli import app
    from tbscale.cli.reference import PAGE, update_page

    repository = _repository()
    stale = {
        "README.md": update_readme(repository, repository / results, write=not check),
        PAGE.as_posix(): update_page(repository, app, write=not check),
    }
    for name, changed in stale.items():
        typer.echo(f"{name} is " + ("not current" if changed and check else "current"))
    if check and any(stale.values()):
        raise typer.Exit(1)


@book.command()
def picture(
    image: Annotated[Path, typer.Argument(help="The image that was segmented.")],
    labels: Annotated[Path, typer.Argument(help="Its labels.")],
    out: Annotated[Path, typer.Option(help="The PNG to write.")],
    crop: Annotated[
        str, typer.Option(help="The piece to draw.", metavar="Y0:Y1,X0:X1")
    ] = "1400:1680,1000:1420",
    channel: Annotated[int, typer.Option(help="The channel to show, from 0.")] = 0,
) -> None:
    """Draw a piece of an image beside the same piece with its cells outlined."""
    from tbscale.bench.command import parse_crop
    from tbscale.book.picture import draw_picture

    draw_picture(image, labels, out, parse_crop(crop), channel)
    typer.echo(str(out))
