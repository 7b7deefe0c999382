"""`tbscale info`: what an image holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

UNBOUNDED_BYTES = 1 << 62


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="info")(show_info)


def show_info(
    image: Annotated[Path, typer.Argument(help="TIFF, OME-TIFF or OME-Zarr.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show axes, levels, channels, chunks, codec and sizes, and what segmenting would need."""
    import json

    from tbscale.engine.plan import plan_segmentation
    from tbscale.images.describe import describe_image, format_bytes, format_image, segment_needs
    from tbscale.images.open import open_image

    with open_image(image, log_notes=False) as opened:  # they stand in the output
        if as_json:
            typer.echo(json.dumps(describe_image(opened), indent=2, ensure_ascii=False))
        else:
            shape = opened.levels[0].shape
            peak = plan_segmentation(shape, UNBOUNDED_BYTES).projection.peak_bytes
            needs = [("memory, tbscale", f"about {format_bytes(peak)} (projected)")]
            typer.echo(format_image(opened, [*needs, *segment_needs(shape)]))
