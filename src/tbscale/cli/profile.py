"""`tbscale profile NAME|IMAGE`: run the profile notebook; leave a record and the notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tbscale.errors import RunError

Scalar = str | bool | int | float | None
Strings = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        metavar="NAME=VALUE",
        help="Any parameter of the notebook; may be repeated.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--setting",
        metavar="NAME=VALUE",
        help="A setting of the engine, as flow_threshold=0.4; may be repeated.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command `profile`."""
    app.command()(profile)


def profile(
    target: Annotated[
        str | None, typer.Argument(help="A dataset, or the path of an image.", metavar="NAME|IMAGE")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="The image to measure under the dataset's name.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Index from 0, or name.")] = None,
    model: Annotated[str | None, typer.Option(help="Name or path of weights.")] = None,
    diameter: Annotated[float | None, typer.Option(help="Pixels; default: the weights'.")] = None,
    engine: Annotated[str | None, typer.Option(help="stock, or another engine.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps.")] = None,
    crop: Annotated[str | None, typer.Option(help="A region.", metavar="Y0:Y1,X0:X1")] = None,
    repeats: Annotated[int | None, typer.Option(help="Measured runs.")] = None,
    warm_ups: Annotated[int | None, typer.Option(help="Runs that are left out.")] = None,
    instruments: Annotated[
        str | None, typer.Option(help="The passes, plain first.", metavar="plain,...")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="End a pass after so long.", metavar="SECONDS")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Of every library; 0: all cores.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the record.")] = None,
    setting: Settings = None,
    parameter: Strings = None,
    every: Annotated[bool, typer.Option("--all", help="Every dataset that is on disk.")] = False,
    notebook: Annotated[Path | None, typer.Option(help="Another template.")] = None,
) -> None:
    """Measure an engine on an image: time and memory by step, in fresh processes.

    Leaves a record and the executed notebook in results/local, or in --out.
    """
    from tbscale.bench.command import check_passes, parse_setting
    from tbscale.bench.template import check_parameters, find_template

    given = {
        "image": None if image is None else str(image),
        "channel": channel,
        "model": model,
        "diameter": diameter,
        "engine": engine,
        "device": device,
        "crop": crop,
        "repeats": repeats,
        "warm_ups": warm_ups,
        "instruments": instruments,
        "time_limit_s": time_limit,
        "threads": threads,
        "out": None if out is None else str(out),
        "settings": dict(parse_setting(one) for one in setting or []) or None,
    }
    parameters: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    parameters |= dict(parse_setting(one) for one in parameter or [])
    template = notebook or find_template()
    check_parameters(template, parameters)
    passes = ("instruments", "repeats", "warm_ups", "time_limit_s")
    check_passes(*(parameters.get(name) for name in passes))
    for one in _subjects(target, parameters, every):
        _profile_one(template, parameters | one)


def _subjects(target: str | None, parameters: dict[str, Any], every: bool) -> list[dict[str, Any]]:
    """The dataset and image of each run; a target may be either."""
    from tbscale.bench.subject import find_subject

    if every:
        if target is not None or "image" in parameters:
            raise RunError("--all measures every dataset; pass it without a name and an image")
        return _all_subjects()
    if target is not None and Path(target).exists() and "image" not in parameters:
        return [{"image": target}]
    image = parameters.get("image")
    find_subject(target, Path(image) if image else None)  # fails before a kernel is started
    return [{} if target is None else {"dataset": target}]


def _all_subjects() -> list[dict[str, Any]]:
    from tbscale.bench.subject import find_image
    from tbscale.errors import DatasetError
    from tbscale.images.datasets import DATASETS

    found = []
    for name in DATASETS:
        try:
            find_image(name)
        except DatasetError as error:
            typer.echo(f"{name} is left out: {error}", err=True)
        else:
            found.append({"dataset": name})
    if not found:
        raise RunError("no dataset is on disk; make one with `tbscale data stand-in NAME`")
    return found


def _profile_one(template: Path, parameters: dict[str, Any]) -> None:
    """Execute the notebook, its output passed on, and say where the two files are."""
    from tbscale.bench.template import execute

    out = Path(parameters.get("out", "results/local"))
    record, executed = execute(template, parameters, out)
    typer.echo(f"record    {record}")
    typer.echo(f"notebook  {executed}")
