"""Write the report: one HTML file that asks nothing of any other place."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from tbscale.book import formats
from tbscale.book.drawing import Drawing
from tbscale.errors import ImageError
from tbscale.images.labels_out.disk import check_folder
from tbscale.report import figures
from tbscale.report.crops import Crop, draw_crops
from tbscale.report.source import Source, open_source
from tbscale.report.survey import OVERVIEW_PX, Survey, choose_places, survey

ENDING = ".html"
GENERATOR = '<meta name="generator" content="tbscale report">'
HEAD_BYTES = 1024  # of a page; its generator stands in the first hundred


@dataclass(frozen=True)
class Picture:
    """An image of the page as data addresses: for light pages, for dark ones, and in words."""

    light: str
    dark: str
    alt: str


def default_path(labels: Path) -> Path:
    """Where a report goes when nothing is said: beside the labels, with .html behind."""
    return labels.with_name(labels.name + ENDING)


def check_report_path(path: Path, may_replace: bool = False) -> None:
    """Refuse a path that a report cannot be written to, or that holds another file.

    Parameters
    ----------
    may_replace : a page that was made here before is no other file

    Raises
    ------
    ImageError : another extension, a directory, or a file that is not to be replaced
    RunError : no directory to write to, or one that takes no file
    """
    if path.suffix.lower() != ENDING:
        raise ImageError(f"{path} has no extension of a page; end it in .html")
    if path.is_dir():
        raise ImageError(f"{path} is a directory; pass the name of a file")
    check_folder(path.parent)
    if path.exists() and not (may_replace and is_report(path)):
        found = "exists and is no page of tbscale" if may_replace else "exists"
        raise ImageError(f"{path} {found}; choose another name, or remove it")


def is_report(path: Path) -> bool:
    """Whether a file is a page that was made here."""
    with path.open("rb") as stream:
        return GENERATOR.encode() in stream.read(HEAD_BYTES)


def write_report(
    labels: Path, path: Path, image: Path | None = None, may_replace: bool = False
) -> Path:
    """Make the page of a label file; it appears when it is complete.

    Memory: `TABLE_BYTES_PER_CELL` for each cell, a few windows, and `REPORT_BYTES` (see
    `tbscale.engine.plan`), whatever the plane.

    Parameters
    ----------
    labels : of `tbscale segment`
    path : .html
    image : that was segmented; None looks for its name beside the labels and here
    may_replace : see `check_report_path`

    Raises
    ------
    ImageError, RunError : the labels, the image or the path cannot be used
    """
    check_report_path(path, may_replace)
    source = open_source(labels, image, OVERVIEW_PX)
    html = render(source, survey(source))
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(html, encoding="utf-8")
    partial.replace(path)
    return path


def render(source: Source, found: Survey) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    shape, facts = source.labels.shape, source.facts
    run: dict[str, Any] = facts.get("run") or {}
    places = choose_places(found.shapes, shape, facts.get("core_px"))
    crops = draw_crops(source.pixels, source.labels, places)
    environment = Environment(
        loader=PackageLoader("tbscale.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        source=source,
        generator=GENERATOR,
        style=files("tbscale.report").joinpath("templates", "report.css").read_text("utf-8"),
        figures=figures_of(source, found, places, run),
        crops=[crop_facts(crop) for crop in crops],
        headline=headline(source, found, run),
        parameters={n: shown(v) for n, v in facts.items() if n != "run"},
        plan={n: shown_size(n, v) for n, v in run.get("plan", {}).items()},
        run=run,
        has_borders=any(place.borders_y or place.borders_x for place in places),
    )


def figures_of(
    source: Source, found: Survey, places: list[Any], run: dict[str, Any]
) -> dict[str, Picture]:
    """All figures by name; time and memory only where the run left them."""
    shape, size_um = source.labels.shape, source.pixel_size_um
    drawings = [
        figures.overview_drawing(found, shape, places),
        figures.density_drawing(found, shape, size_um),
        figures.size_drawing(found.shapes.area, size_um),
        figures.intensity_drawing(found.means, source.channel_name),
    ]
    if run.get("steps"):
        drawings.append(figures.time_drawing(run["steps"], float(run["wall_s"])))
        drawings.append(figures.memory_drawing(run["steps"], run["plan"]))
    return {drawing.name: to_picture(drawing) for drawing in drawings}


def to_picture(drawing: Drawing) -> Picture:
    """A figure as data addresses."""
    light, dark = (
        data_address("image/svg+xml", svg.encode("utf-8"))
        for svg in (drawing.light_svg, drawing.dark_svg)
    )
    return Picture(light, dark, drawing.alt)


def data_address(kind: str, content: bytes) -> str:
    """A `data:` address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def crop_facts(crop: Crop) -> dict[str, Any]:
    """What the page shows of a crop."""
    y, x = crop.place.region
    where = f"rows {y.start} to {y.stop}, columns {x.start} to {x.stop}"
    noun = "cell" if crop.cells == 1 else "cells"
    borders = bool(crop.place.borders_y or crop.place.borders_x)
    across = f", {crop.crossing} of them across a border of blocks" if borders else ""
    return {
        "title": crop.place.title,
        "plain": data_address("image/png", crop.plain),
        "outlined": data_address("image/png", crop.outlined),
        "width": crop.shape[1],
        "height": crop.shape[0],
        "text": f"{crop.cells} {noun}{across}; {where}",
        "plain_alt": f"Pixels of {where}, in grey.",
        "outlined_alt": f"The same pixels with {crop.cells} {noun} outlined{across}.",
    }


def headline(source: Source, found: Survey, run: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The figures at the top: (value, what it is, what it is set against)."""
    shape, area = source.labels.shape, found.shapes.area
    unit, per_px2 = figures.density_unit(source.pixel_size_um)
    covered = int(area.sum()) / (shape[0] * shape[1])
    rows = [
        (formats.count(source.count), "cells", f"{formats.share(covered)} of the plane"),
        (
            formats.three_digits(source.count / (shape[0] * shape[1]) * per_px2),
            f"cells per {unit}",
            formats.shape(shape),
        ),
        (
            formats.three_digits(float(np.median(area))) if len(area) else "0",
            "px, median area",
            f"of {source.channel_name}",
        ),
    ]
    if run.get("steps"):
        plan = run["plan"]
        rows.append((formats.seconds(run["wall_s"]), "wall time", "to the written labels"))
        rows.append(
            (
                formats.memory(run["peak_rss_bytes"]),
                "peak memory",
                f"projected {formats.memory(plan['projected_peak_bytes'])}",
            )
        )
    return rows


def shown(value: Any) -> str:
    """A parameter in words."""
    if isinstance(value, list):
        return " x ".join(str(one) for one in value)
    return "default" if value is None else str(value)


def shown_size(name: str, value: Any) -> str:
    """A figure of the plan in words: sizes in binary units."""
    return formats.memory(value) if "bytes" in name else str(value)
