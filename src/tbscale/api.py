"""`tbscale.segment`: the command `tbscale segment` as a function of Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tbscale.engine.cells import Rules
from tbscale.engine.memory import parse_bytes
from tbscale.engine.request import Request
from tbscale.engine.run import Settings
from tbscale.engine.segmentation import SegmentResult
from tbscale.engine.segmentation import segment as run_engine


def segment(
    image: str | Path,
    out: str | Path,
    *,
    channel: int | str | None = None,
    channel2: int | str | None = None,
    level: int = 0,
    z: int | None = None,
    t: int | None = None,
    model: str | Path | None = None,
    diameter: float | None = None,
    flow_threshold: float = 0.4,
    cellprob_threshold: float = 0.0,
    min_size: int = 15,
    niter: int | None = None,
    overlap: float = 0.1,
    network: str = "exact",
    device: str = "cpu",
    plain: Sequence[str] | None = None,
    memory: str | int | None = None,
    core_px: int | None = None,
    cells: str | Path | None = None,
    measure: Sequence[int | str] | None = None,
    report: str | Path | None = None,
    restart: bool = False,
) -> SegmentResult:
    """Segment one plane of an image; the labels equal those of Cellpose 3.1.1.3 on the whole plane.

    The work is done out of core, in bounded memory. Killed at any moment, the same call continues
    where it was. Files appear under their names when they are complete, and replace none.

    Parameters
    ----------
    image : TIFF, OME-TIFF or OME-Zarr
    out : labels, uint32: NAME.ome.zarr or NAME.ome.tif
    channel : index from 0, or name; None is the first
    channel2 : second input of the network
    level : pyramid level, 0 = full resolution
    z, t : which plane of a volume or a series, from 0; None where there is one alone
    model : "embedded", a name that Cellpose knows, or a file; None takes Cellpose's `nuclei` where
        it is on disk, else the embedded weights
    diameter : of the cells, pixels; None takes the model's own
    flow_threshold : largest flow error of a cell; 0 keeps all
    cellprob_threshold : logit above which a pixel is foreground
    min_size : smallest cell, pixels
    niter : iterations of the dynamics; None is 200 at the scale of the model
    overlap : share of a tile shared with the next one
    network : "exact", the reference's arithmetic (grade `bit`); "fast", float32 with another
        rounding (`near`); "half", bfloat16 where the device has it (`ap`), else as "fast"
    device : cpu, cuda or mps, for the network; away from the CPU the grade is `ap`
    plain : steps on their plain path, with the same labels: follow, seeds, flow_qc, fill
    memory : budget, such as "4GiB", or bytes; None takes 60 % of what is free
    core_px : core of a block, pixels, 64 or more; the labels do not depend on it
    cells : table with one row a cell, .csv or .parquet
    measure : channels whose mean goes into the table, index or name; None takes every channel
    report : page to look at, .html
    restart : drop what an unfinished run to the same output left, the table that it wrote too

    Returns
    -------
    SegmentResult : `out`, `cell_count`, `plan`, `steps_s`, `wall_s`, `peak_rss_bytes`,
        `step_peak_rss_bytes`, `cells` and `report`

    Raises
    ------
    TbscaleError : one sentence with what was found, the limit and the remedy

    Examples
    --------
    Make a small image, and segment it with a table of its cells:

    >>> import tempfile, tifffile, tbscale
    >>> from tbscale.images.standin.tissue import render_channel, training_spec
    >>> import numpy as np
    >>> spec = training_spec(np.random.default_rng(5), (200, 200))
    >>> pixels = render_channel(spec, slice(0, 200), slice(0, 200))
    >>> folder = tempfile.mkdtemp()
    >>> tifffile.imwrite(f"{folder}/tissue.tif", pixels)
    >>> result = tbscale.segment(
    ...     f"{folder}/tissue.tif", f"{folder}/labels.ome.zarr",
    ...     model="embedded", cells=f"{folder}/cells.csv",
    ... )
    >>> result.cell_count > 0, result.cells.name, result.plan.shape
    (True, 'cells.csv', (200, 200))
    """
    options = dict(locals())
    del options["restart"]
    return run_request(make_request(**options), restart)


def make_request(
    image: str | Path,
    out: str | Path,
    *,
    model: str | Path | None,
    flow_threshold: float,
    cellprob_threshold: float,
    min_size: int,
    niter: int | None,
    overlap: float,
    plain: Sequence[str] | None,
    memory: str | int | None,
    cells: str | Path | None,
    measure: Sequence[int | str] | None,
    report: str | Path | None,
    **others: Any,
) -> Request:
    """The options of `segment`, and of the command line, as the engine takes them.

    Parameters
    ----------
    others : channel, channel2, level, z, t, diameter, core_px, network, device, as they are
    """
    return Request(
        image=Path(image),
        out=Path(out),
        model=None if model is None else str(model),
        settings=Settings(
            overlap=overlap,
            cellprob_threshold=cellprob_threshold,
            niter=niter,
            rules=Rules(flow_threshold, min_size),
            plain=tuple(plain or ()),
        ),
        memory_bytes=parse_bytes(memory) if isinstance(memory, str) else memory,
        cells=None if cells is None else Path(cells),
        measure=None if measure is None else tuple(measure),
        report=None if report is None else Path(report),
        **others,
    )


def run_request(request: Request, restart: bool = False) -> SegmentResult:
    """Run a request, and make its page where one is asked for."""
    if request.report is None:
        return run_engine(request, restart)
    from tbscale.report.page import check_report_path, write_report

    check_report_path(request.report)
    result = run_engine(request, restart)
    write_report(request.out, request.report, request.image)
    return replace(result, report=request.report)
