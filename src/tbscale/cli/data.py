"""`tbscale data list | fetch NAME | stand-in NAME`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tbscale.images.datasets import Dataset

data = typer.Typer(
    help="The datasets: list them, fetch the real ones, write their stand-ins.",
    no_args_is_help=True,
)

_HEAD: tuple[str, ...] = (
    "name", "plane (Y x X)", "channels", "pixel", "stored", "licence", "reference",
)  # fmt: skip
Name = Annotated[str, typer.Argument(help="A dataset, as `tbscale data list` names it.")]


def add_to(app: typer.Typer) -> None:
    """Add the group `data` to the command line."""
    app.add_typer(data, name="data")


@data.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Every fact, as JSON.")] = False,
) -> None:
    """List the datasets."""
    from tbscale.images.datasets import DATASETS

    if as_json:
        typer.echo(json.dumps([_facts(each) for each in DATASETS.values()], indent=2))
        return
    rows = [_HEAD, *(_row(each) for each in DATASETS.values())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _row(each: Dataset) -> tuple[str, ...]:
    return (
        each.name,
        f"{each.shape[0]} x {each.shape[1]}",
        str(len(each.channel_names)),
        f"{each.pixel_size_um:g} um" if each.pixel_size_um else "unknown",
        f"{each.stored_bytes / 1e9:g} GB",
        each.licence or "see source",
        f"{each.reference}, doi {each.doi}",
    )


def _facts(each: Dataset) -> dict[str, Any]:
    return {
        "name": each.name,
        "file": each.file,
        "shape_yx": each.shape,
        "dtype": "uint16",
        "channel_names": each.channel_names,
        "nuclear_channels": each.nuclear_channels,
        "pixel_size_um": each.pixel_size_um,
        "stored_bytes": each.stored_bytes,
        "licence": each.licence,
        "reference": each.reference,
        "doi": each.doi,
        "source": each.source,
        "synapse_folder": each.synapse_folder,
    }


@data.command("fetch")
def fetch_(
    name: Name,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default its own name, here.")
    ] = None,
) -> None:
    """Fetch a dataset from Synapse with your token; a broken download continues."""
    from tbscale.images.datasets import dataset
    from tbscale.images.fetch import fetch

    chosen = dataset(name)
    with _Bars() as bars:
        path = fetch(chosen, out or Path(chosen.file), progress=bars.show)
    typer.echo(str(path))


class _Bars:
    """One progress bar for each stage of a fetch, on stderr."""

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *error: object) -> None:
        for bar in self._bars.values():
            bar.close()

    def show(self, stage: str, done: int, total: int) -> None:
        """Move the bar of a stage to `done` bytes."""
        from tqdm.auto import tqdm

        if stage not in self._bars:
            self._bars[stage] = tqdm(desc=stage, total=total, unit="B", unit_scale=True)
        self._bars[stage].update(done - self._bars[stage].n)


@data.command("stand-in")
def stand_in(
    name: Name,
    out: Annotated[
        Path | None,
        typer.Option(
            help="OME-TIFF to write; by default NAME-stand-in.ome.tif, here. The same stand-in may "
            "be there, no other file."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another piece of tissue.")] = 0,
    channels: Annotated[
        int | None, typer.Option(help="Only the first N channels; by default all.", metavar="N")
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(help="Only this part of the plane.", metavar="Y0:Y1,X0:X1"),
    ] = None,
) -> None:
    """Write a synthetic image with a dataset's geometry, and its true labels beside it."""
    from tqdm.auto import tqdm

    from tbscale.images.datasets import dataset
    from tbscale.images.standin.writer import StandIn, parse_crop, write_stand_in

    chosen = dataset(name)
    what = StandIn(chosen, seed, channels, parse_crop(crop) if crop else None)
    path = out or Path(f"{name}-stand-in.ome.tif")
    began = time.perf_counter()
    with tqdm(desc=path.name, total=what.pixels, unit="px", unit_scale=True) as bar:

        def tell(pixels: int) -> None:
            bar.update(pixels)

        labels = write_stand_in(what, path, progress=tell)
    took_s = time.perf_counter() - began
    size = f"{what.n_channels} x {what.shape[0]} x {what.shape[1]} uint16"
    typer.echo(f"{path}: {size}, seed {seed}; true labels in {labels} ({took_s:.1f} s)")
