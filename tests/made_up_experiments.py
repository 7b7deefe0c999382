"""Made-up records of the experiments: every number in them is invented, for tests only."""

from __future__ import annotations

from typing import Any

from made_up import made_up_document

from tbscale.bench.records import seal
from tbscale.bench.schema import Record

Json = dict[str, Any]
Rows = list[tuple[str, str, float]]  # name, subject, value
LOCAL = ("wall", "cpu", "one-channel", "whole-file", "tile", "speedup", "ready")


def run_rows(
    subject: str, walls: list[float], peak: float, pixels: int, post: float = 0.1, cells: int = 40
) -> Rows:
    """What a run leaves: walls with their steps, and what is counted once."""
    rows: Rows = []
    for wall in walls:
        rows += [("wall", subject, wall), ("cpu", subject, 1.5 * wall)]
        rows += [("step-network", subject, wall - post), ("step-follow", subject, post)]
    once = {"peak": peak, "pixels": pixels, "cells": cells, "foreground": pixels / 4}
    return rows + [(name, subject, value) for name, value in once.items()]


def growth_rows(constant: float = 8e8, slope: float = 100.0) -> Rows:
    """Crops on an exact line of memory, and runs with one thread and two."""
    rows: Rows = []
    for mpx in (0.25, 1, 4):
        pixels = int(mpx * 1e6)
        for engine, factor in (("stock", 1.0), ("tbscale", 0.5)):
            peak = constant + factor * slope * pixels
            rows += run_rows(f"{engine}/{pixels}", [2 + 7 * mpx, 2.1 + 7 * mpx], peak, pixels)
    for engine in ("stock", "tbscale"):
        for threads, wall in ((1, 8.0), (2, 5.0)):
            rows += run_rows(f"threads/{engine}/{threads}", [wall], 8e8, 500_000)
    return rows


def properties_rows() -> Rows:
    """Two images of each property."""
    rows: Rows = []
    for case, wall, cells in (
        ("density/0", 3.0, 0),
        ("density/3000", 4.5, 180),
        ("diameter/8", 9.0, 100),
        ("diameter/40", 1.0, 5),
        ("background/0", 4.0, 90),
        ("background/0.6", 4.0, 40),
    ):
        rows += run_rows(f"stock/{case}", [wall, wall + 0.1], 9e8, 65_536, cells=cells)
        rows += [("true-cells", case, cells), ("true-foreground", case, cells / 1000)]
    return rows


def settings_rows() -> Rows:
    """A default, a setting that is faster and changes cells, one that does nothing; rescaled."""
    rows: Rows = []
    for subject, walls, ap, equal in (
        ("native/default", [4.0, 4.2, 4.1], 1.0, 1),
        ("native/niter-50", [3.0, 3.2, 3.1], 0.93, 0),
        ("native/batch-1", [4.1, 4.1, 4.0], 1.0, 1),
        ("rescaled/default", [2.0, 2.1, 2.0], 1.0, 1),
        ("rescaled/resample-off", [1.5, 1.6, 1.5], 0.8, 0),
    ):
        rows += run_rows(subject, walls, 9e8, 65_536)
        for threshold in ("0.5", "0.75", "0.9"):
            rows += [(f"ap-{threshold}-default", subject, ap)]
            rows += [(f"ap-{threshold}-truth", subject, 0.9 * ap)]
        rows += [("cells-default", subject, 40), ("equal-default", subject, equal)]
    return rows


def channels_rows() -> Rows:
    """Two files, one input and two, three widths, one network and four."""
    rows: Rows = []
    for count in (1, 40):
        subject = f"reading/{count}"
        rows += [("file", subject, 4e5 * count), ("one-channel-bytes", subject, 3e5)]
        for _ in range(2):
            rows += [("one-channel", subject, 0.01), ("whole-file", subject, 0.01 * count)]
    rows += run_rows("inputs/1", [4.0, 4.0], 9e8, 65_536)
    rows += run_rows("inputs/2", [4.2, 4.2], 9e8, 65_536)
    for subject, wall, weights in (
        ("width/16", 1.0, 2e6),
        ("width/32", 4.0, 6e6),
        ("nets/1", 4.0, 6e6),
        ("nets/4", 16.0, 24e6),
    ):
        rows += [("weights", subject, weights), ("wall", subject, wall)]
    return rows


def trust_rows() -> Rows:
    """One real image beside one stand-in."""
    rows: Rows = []
    for name, far in (("real", 12.0), ("exemplar-001", 9.0)):
        subject = f"tonsil/{name}"
        rows += run_rows(subject, [4.0], 9e8, 65_536, cells=int(5 * far))
        for quantile in ("0.5", "0.99", "1"):
            rows.append((f"excursion-{quantile}", subject, far * float(quantile)))
        for iterations in (25, 50, 100, 150, 200):
            rows.append((f"settled-{iterations}", subject, iterations / 200))
        for what in ("pixel", "flow", "label"):
            rows.append((f"{what}-compression", subject, far / 4))
    return rows


def network_rows() -> Rows:
    """A reference, one way that is faster in every round, one that is not."""
    rows: Rows = []
    for name, tiles, error in (
        ("reference", [0.4, 0.44], 4e-7),
        ("reference-memory-kept", [0.3, 0.31], 4e-7),
        ("winograd", [0.1, 0.11], 3e-7),
        ("winograd-bfloat16", [0.06, 0.07], 4e-3),
        ("channels-last", [0.41, 0.4], 4e-7),
        ("channels-last-bfloat16", [0.2, 0.22], 6e-3),
        ("compiled", [0.3, 0.3], 4e-7),
    ):
        rows += [("ready", name, 2.0), ("largest-error", name, error), ("rms-error", name, error)]
        for tile, base in zip(tiles, (0.4, 0.44), strict=True):
            rows += [("tile", name, tile), ("speedup", name, base / tile)]
        faults = {"reference": 700_000, "reference-memory-kept": 200}.get(name, 3000)
        rows.append(("page-faults", name, faults))
    points = [
        ("winograd-rounding", "points/1,2", 2e-6),
        ("winograd-rounding", "points/0.5,1", 1e-6),
    ]
    return [*rows, *points, ("left-out", "candidates", 0)]


def network_batch_rows() -> Rows:
    """Two networks on a GPU."""
    rows: Rows = []
    for name, tile, error in (
        ("cellpose 3.1.1.3, TF32, embedded weights", 1e-3, "largest-error"),
        ("cellpose 4.2.1.1, bfloat16, random weights", 8e-3, "error-to-float32"),
    ):
        rows += [("tile", name, tile), ("tile", name, 1.2 * tile), ("gpu-peak", name, 3e9)]
        rows += [("tile-with-copies", name, 2 * tile), (error, name, 2e-3)]
    return rows


def files_rows() -> Rows:
    """Every job in two rounds, and two codecs on one kind of array."""
    rows: Rows = []
    for number, name in enumerate(("read", "table", "write-ome-zarr", "write-ome-tiff"), 1):
        for codec in (0.4, 0.5):
            rows += [("codec", f"job/{name}", codec), ("ours", f"job/{name}", codec * number)]
            rows.append(("of-codec", f"job/{name}", 1 / number))
    for codec, share in (("none", 1.0), ("zstd-1", 0.2)):
        subject = f"codec/labels, uint32/{codec}"
        rows += [("share-of-bytes", subject, share), ("encoded-bytes-per-s", subject, 1e9 * share)]
    return rows


def steps_rows() -> Rows:
    """Two rounds of two steps in three programs, the second without Cellpose 4."""
    rows: Rows = []
    for step, seconds in (
        ("follow", {"cellpose-3": 6.0, "cellpose-4": 3.0, "fast": 0.5, "plain": 7.0}),
        ("seeds", {"cellpose-3": 1.0, "fast": 0.1}),
    ):
        for engine, one in seconds.items():
            rows += [("wall", f"{step}/{engine}/{turn}", one * turn) for turn in (1, 2)]
            rows.append(("peak-growth", f"{step}/{engine}", one * 2**20))
        rows.append(("grade-bit", f"{step}/fast", 1))
    return [*rows, ("pixel-iterations", "follow/fast", 1.5e7), ("foreground-pixels", "plane", 1e6)]


def traps_rows() -> Rows:
    """Two shortcuts, and the drift in three rings."""
    rows: Rows = []
    for subject, equal in (("drift/frame", 0.7), ("stitch/iou/own-norm", 0.2)):
        rows += [("cells", subject, 1001), ("reference-cells", subject, 1000)]
        rows += [("equal-share", subject, equal), ("differing-share", subject, 0.0123)]
        rows += [("ap-0.5", subject, 0.999), ("ap-0.9", subject, 0.98)]
    for ring in (1, 2, 3):
        rows.append(("equal-share", f"drift/ring-{ring}-of-3", 1 - ring / 10))
    return rows


def speedup_rows(seconds: tuple[float, ...] = (2.0, 2.5)) -> Rows:
    """Two rounds of stock and of two engines, one of which keeps the cells exactly."""
    rows = run_rows("stock", [10.0, 10.0], 9e8, 65_536)
    for engine, walls, grade, ap in (
        ("tbscale", [5.0, 4.0], "bit", 1.0),
        ("tbscale-half", [*seconds], "ap", 0.98),
    ):
        rows += run_rows(engine, walls, 8e8, 65_536)
        rows += [(f"grade-{grade}", engine, 1), ("differing-share", engine, 1 - ap)]
        rows += [(f"ap-{one}", engine, ap) for one in ("0.5", "0.75", "0.9")]
    return rows


ROWS = {
    "growth": growth_rows,
    "properties": properties_rows,
    "settings": settings_rows,
    "channels": channels_rows,
    "trust": trust_rows,
    "network": network_rows,
    "files": files_rows,
    "steps": steps_rows,
    "traps": traps_rows,
    "speedup": speedup_rows,
}
PARAMETERS: Json = {
    "repeats": 2,
    "crop_px": 64,
    "overlap_px": 8,
    "merge_iou": 0.25,
    "size_px": 256,
    "rescaled_px": 256,
    "rescaled_diameter_px": 25.0,
    "rounds": 2,
    "tiles": 8,
    "threads": 2,
}


def experiment_record(experiment: str, rows: Rows | None = None) -> Record:
    """A sealed record of one experiment."""
    document = made_up_document()
    measures = [
        {
            "name": name,
            "subject": subject,
            "value": value,
            "unit": "1",
            "scope": "local" if name in LOCAL or name.startswith("step-") else "portable",
        }
        for name, subject, value in (ROWS[experiment]() if rows is None else rows)
    ]
    document.update(
        experiment=experiment, passes=[], result=None, measures=measures, parameters=PARAMETERS
    )
    document["dataset"].update(name="exemplar-001")
    return seal(document)
