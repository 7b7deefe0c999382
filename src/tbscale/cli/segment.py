"""`tbscale segment`: the labels of Cellpose on the whole plane, out of core."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tbscale.engine.request import Request


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="segment")(run_segment)


def run_segment(
    image: Annotated[Path, typer.Argument(help="TIFF, OME-TIFF or OME-Zarr.")],
    out: Annotated[Path, typer.Argument(help="Labels: NAME.ome.zarr or NAME.ome.tif.")],
    channel: Annotated[str | None, typer.Option(help="Index from 0, or name.")] = None,
    channel2: Annotated[str | None, typer.Option(help="Second input of the network.")] = None,
    level: Annotated[int, typer.Option(help="Pyramid level; 0 is full resolution.")] = 0,
    z: Annotated[int | None, typer.Option(help="Plane of a volume, from 0.")] = None,
    t: Annotated[int | None, typer.Option(help="Moment of a series, from 0.")] = None,
    model: Annotated[str | None, typer.Option(help="embedded, a Cellpose name, or a file.")] = None,
    diameter: Annotated[
        float | None,
        typer.Option(
            help="Of the cells, pixels; the plane is resized for the network, as Cellpose does. "
            "Without it, that of the model's training cells."
        ),
    ] = None,
    flow_threshold: Annotated[float, typer.Option(help="Largest flow error; 0 keeps all.")] = 0.4,
    cellprob_threshold: Annotated[float, typer.Option(help="Logit of the foreground.")] = 0.0,
    min_size: Annotated[int, typer.Option(help="Smallest cell, pixels.")] = 15,
    niter: Annotated[int | None, typer.Option(help="Iterations of the dynamics.")] = None,
    overlap: Annotated[float, typer.Option(help="Share of a tile shared with the next.")] = 0.1,
    network: Annotated[
        str,
        typer.Option(
            help="exact: the reference's arithmetic (grade bit); fast: float32 with another "
            "rounding (near); half: bfloat16 where the device has it (ap), else as fast."
        ),
    ] = "exact",
    device: Annotated[
        str,
        typer.Option(
            help="cpu, cuda or mps, for the network. A GPU rounds otherwise, so the output says "
            "grade ap."
        ),
    ] = "cpu",
    memory: Annotated[str | None, typer.Option(help="Budget, such as 4GiB.")] = None,
    core_px: Annotated[
        int | None, typer.Option(help="Core of a block, pixels, 64 or more.")
    ] = None,
    plain: Annotated[
        list[str] | None,
        typer.Option(help="Step on its plain path: follow, seeds, flow_qc, fill; repeatable."),
    ] = None,
    cells: Annotated[
        Path | None, typer.Option(help="Table with one row a cell: NAME.csv or NAME.parquet.")
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            help="Channel whose mean goes into the table, index or name; may be repeated. "
            "Default: every channel of the image, as in MCMICRO."
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Page to look at: NAME.html.")] = None,
    restart: Annotated[
        bool, typer.Option("--restart/--resume", help="Drop a started run, with its table.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan alone.")] = False,
) -> None:
    """Segment one plane; the labels equal those of Cellpose 3.1.1.3 on the whole plane (CPU).

    Killed at any moment, the same command continues. The output appears when it is complete, and
    replaces no file: labels, table and page must not be there yet.
    """
    options = dict(locals())
    del options["restart"], options["dry_run"]
    options["measure"] = measure or None
    from tbscale.api import make_request, run_request

    request = make_request(**options)
    if dry_run:
        show_plan(request)
        return
    result = run_request(request, restart)
    from tbscale.engine.plan import GIB

    typer.echo(
        f"{result.cell_count} cells in {result.out}, {result.wall_s:.1f} s, projected peak "
        f"{result.plan.projection.peak_bytes / GIB:.2f} GiB, "
        f"measured {result.peak_rss_bytes / GIB:.2f} GiB"
    )
    for made in (result.cells, result.report):
        if made is not None:
            typer.echo(str(made))


def show_plan(request: Request) -> None:
    """Print the plan, and how long it may take; nothing is written."""
    import shutil

    from tbscale.cli.plan_text import describe_plan
    from tbscale.engine.estimate import estimate_request
    from tbscale.report.page import check_report_path

    if request.report is not None:
        check_report_path(request.report)
    plan, estimate = estimate_request(request)
    folder = request.out.parent if request.out.parent.is_dir() else Path.cwd()
    typer.echo(describe_plan(plan, shutil.disk_usage(folder).free, estimate))
