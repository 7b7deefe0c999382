"""What the profile notebook calls: thin steps, and how results are shown in a cell."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from IPython.display import SVG, Markdown, display

from tbscale.bench.command import check_passes, parse_crop, parse_instruments
from tbscale.bench.measure import Request, measure
from tbscale.bench.records import load_record, save_record
from tbscale.bench.reference import labels_file
from tbscale.book.drawing import Drawing
from tbscale.book.region import region_drawing
from tbscale.book.shelf import Entry
from tbscale.engine.workload.job import INSTRUMENTS, Scalar
from tbscale.errors import RunError

PIXELS = ("auto", "always", "never")
LOCAL = "local"  # a folder of this name is not committed


def make_request(
    dataset: str | None,
    image: str | None,
    channel: int | str,
    model: str | None,
    diameter: float | None,
    engine: str,
    device: str,
    crop: str | None,
    repeats: int,
    out: str,
    threads: int = 0,
    settings: dict[str, Scalar] | None = None,
    warm_ups: int = 1,
    instruments: str = ",".join(INSTRUMENTS),
    time_limit_s: float | None = None,
) -> Request:
    """The parameters of the notebook as a request; a crop is Y0:Y1,X0:X1.

    `instruments` names passes between commas.
    """
    check_passes(instruments, repeats, warm_ups, time_limit_s)
    return Request(
        dataset=dataset,
        image=image,
        channel=channel,
        model=model,
        diameter=diameter,
        engine=engine,
        device=device,
        crop=parse_crop(crop) if crop else None,
        repeats=repeats,
        warm_ups=warm_ups,
        instruments=parse_instruments(instruments),
        time_limit_s=time_limit_s,
        threads=threads,
        settings=settings or {},
        out=out,
    )


def run(request: Request) -> Entry:
    """Measure, save the record under the request's folder, and read it back for the figures.

    Log lines go to stderr, where a terminal and papermill show them as they come.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    own = logging.getLogger("tbscale")
    own.handlers[:] = [handler]
    own.setLevel(logging.INFO)
    own.propagate = False
    path = save_record(measure(request), Path(request.out))
    return Entry(load_record(path), published=False, path=path)


def show(drawing: Drawing) -> None:
    """A figure, and below it in words what it shows."""
    display(SVG(drawing.light_svg))
    display(Markdown(f"*{drawing.alt}*"))


def show_table(markdown: str) -> None:
    """A table of the book."""
    display(Markdown(markdown))


def show_region(entry: Entry, request: Request, show_pixels: str) -> None:
    """Labels over the pixels of one region, where the pixels may be kept.

    `auto` shows stand-ins, and a user's own image only where the record stays on this machine.

    Raises
    ------
    RunError : `show_pixels` is none of auto, always, never
    """
    if show_pixels not in PIXELS:
        raise RunError(f"show_pixels is {show_pixels!r}; pass one of {', '.join(PIXELS)}")
    result = entry.record.result
    labels = labels_file(result.labels_sha256) if result else None
    if labels is None or not labels.is_file():
        show_table("There are no labels to show.")
    elif not may_show(entry, request, show_pixels):
        show_table("Pixels of this image are not shown; show_pixels=always shows them.")
    else:
        show(region_drawing(entry, request.subject.image, labels))


def may_show(entry: Entry, request: Request, show_pixels: str) -> bool:
    """Whether pixels may be kept in the executed notebook."""
    if show_pixels != "auto":
        return show_pixels == "always"
    return entry.record.dataset.origin == "stand-in" or LOCAL in Path(request.out).parts
