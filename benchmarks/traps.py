"""What the usual ways of cutting a plane, and the drift of the frame, do to the cells.

    python benchmarks/traps.py exemplar-001 --cp4 .venv-cp4/bin/python

Everything is set beside Cellpose 3 on the whole plane, with the same weights:
- `drift`: Cellpose 4 follows the same flows; the share of cells that stay equal, by how far from
  the middle of the frame they lie, and in a frame that is a part of it;
- `norm`: intensities are scaled crop by crop, and nothing else is cut;
- `stitch`: every crop is segmented by itself and the labels are merged where crops overlap, by
  touch or by IoU, with intensities scaled crop by crop or over the plane.
Writes a record of the experiment `traps`. Each line of `norm` and `stitch` is one more run of the
network over the plane.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cellpose import dynamics, transforms
from cellpose4 import Cellpose4
from experiment import said_in_words
from measures import Measure, make_record, measure
from numpy.typing import NDArray
from step_flows import Flows, add_options, load_flows

from tbscale.bench.agreement import Overlaps, compare_labels, count_overlaps
from tbscale.bench.machine import read_load
from tbscale.bench.records import save_record
from tbscale.engine.weights import load_model, resolve_model
from tbscale.engine.workload.threads import fix_threads

logger = logging.getLogger("benchmarks")
Labels = NDArray[Any]
Region = tuple[slice, slice]
RINGS = 5  # of equal width, from the middle of the frame to its edge
MIN_SIZE = 15
TOUCH = 0.0
MERGES = {"touch": TOUCH, "iou": 0.25}


def equal_cells(overlaps: Overlaps) -> NDArray[np.bool_]:
    """Say which reference cells, by rising id, are also cells of the other, pixel for pixel."""
    same = (overlaps.pixels == overlaps.areas[overlaps.rows]) & (
        overlaps.pixels == overlaps.reference_areas[overlaps.columns]
    )
    equal = np.zeros(len(overlaps.reference_areas), np.bool_)
    equal[overlaps.columns[same]] = True
    return equal


def distances(labels: Labels) -> NDArray[np.float64]:
    """Chebyshev distance of each cell from the middle of the frame: 0, and 1 at its edge."""
    y, x = np.nonzero(labels)
    _, index, area = np.unique(labels[y, x], return_inverse=True, return_counts=True)
    offsets = [
        np.abs(np.bincount(index, along) / area - (size - 1) / 2) / (size / 2)
        for along, size in zip((y, x), labels.shape, strict=True)
    ]
    found: NDArray[np.float64] = np.maximum(*offsets)
    return found


def agree(subject: str, labels: Labels, reference: Labels) -> list[Measure]:
    """Agreement of labels with the whole plane's: AP, cells, cells that are equal."""
    compared = compare_labels(labels, reference)
    equal = equal_cells(count_overlaps(labels, reference))
    share = float(equal.mean()) if len(equal) else 1.0
    logger.info(
        "%-24s %d cells for %d, %.1f %% equal, AP %s",
        subject, compared.cells, compared.reference_cells, 100 * share, compared.ap,
    )  # fmt: skip
    return [
        measure("cells", subject, compared.cells),
        measure("reference-cells", subject, compared.reference_cells),
        measure("equal-share", subject, share),
        measure("differing-share", subject, compared.differing_share),
        *(measure(f"ap-{t}", subject, ap) for t, ap in compared.ap.items()),
    ]


# --- drift of the frame ------------------------------------------------------------------------


def follow_in_4(python: Path, file: Path, threads: int) -> Labels:
    """Labels that Cellpose 4 makes of the flows in a file."""
    with Cellpose4(python, file, threads) as cp4:
        cp4.time_s("together")
        return cp4.labels()


def measure_drift(flows: Flows, whole: Labels, python: Path, threads: int) -> list[Measure]:
    """Cells of Cellpose 4 that equal those of Cellpose 3 on the same flows, ring by ring."""
    fours = follow_in_4(python, flows.file, threads)
    out = agree("drift/frame", fours, whole)
    equal = equal_cells(count_overlaps(fours, whole))
    ring = np.minimum((distances(whole) * RINGS).astype(int), RINGS - 1)
    for k in range(RINGS):
        inside = equal[ring == k]
        subject = f"drift/ring-{k + 1}-of-{RINGS}"
        out.append(measure("cells", subject, len(inside)))
        if len(inside):
            out.append(measure("equal-share", subject, float(inside.mean())))
            logger.info("%s: %d cells, %.3f equal", subject, len(inside), inside.mean())
    return out + measure_frame(flows, fours, whole, python, threads)


def measure_frame(
    flows: Flows, fours: Labels, whole: Labels, python: Path, threads: int
) -> list[Measure]:
    """The same flows in a smaller frame: cells that do not reach its border, old and new."""
    height, width = whole.shape
    part = (slice(height // 4, 3 * height // 4), slice(0, width // 2))
    file = flows.file.with_name(f"{flows.file.stem}-part.npz")
    flow = np.ascontiguousarray(flows.flow[(slice(None), *part)])
    cellprob = np.ascontiguousarray(flows.cellprob[part])
    np.savez(file, flow=flow, cellprob=cellprob)
    made = {
        "cellpose-3": (segment_flows(flow, cellprob), whole),
        "cellpose-4": (follow_in_4(python, file, threads), fours),
    }
    file.unlink()
    out = []
    for name, (labels, of_frame) in made.items():
        out += agree(f"drift/part/{name}", without_border(labels), without_border(of_frame[part]))
    return out


def segment_flows(flow: NDArray[np.float32], cellprob: NDArray[np.float32]) -> Labels:
    """Labels that Cellpose 3 makes of flows, on a CPU."""
    labels: Labels = dynamics.compute_masks(flow, cellprob, min_size=MIN_SIZE)
    return labels


def without_border(labels: Labels, margin_px: int = 16) -> Labels:
    """Labels without the cells that come within a margin of the border."""
    inner = np.zeros(labels.shape, np.bool_)
    inner[margin_px:-margin_px, margin_px:-margin_px] = True
    return np.where(np.isin(labels, np.unique(labels[~inner])), 0, labels)


# --- cutting -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """How a plane is cut: crops of `size_px`, each sharing `overlap_px` with the next."""

    size_px: int
    overlap_px: int

    def regions(self, shape: tuple[int, ...]) -> list[Region]:
        """The crops in raster order; the last of a row or column is as large as is left."""
        step = self.size_px - self.overlap_px
        y, x = (range(0, max(1, size - self.overlap_px), step) for size in shape)
        return [
            (slice(a, min(a + self.size_px, shape[0])), slice(b, min(b + self.size_px, shape[1])))
            for a in y
            for b in x
        ]


def scale(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Intensities between the 1st and the 99th percentile to 0 to 1, as Cellpose 3 scales."""
    scaled: NDArray[np.float32] = transforms.normalize99(pixels.astype(np.float32))
    return scaled


def scale_by_crops(image: NDArray[Any], cut: Cut) -> NDArray[np.float32]:
    """Each crop scaled by itself; where crops overlap, the later one counts."""
    out = np.zeros(image.shape, np.float32)
    for region in cut.regions(image.shape):
        out[region] = scale(image[region])
    return out


def merge(
    whole: Labels, seen: NDArray[np.bool_], region: Region, labels: Labels, threshold: float
) -> None:
    """Add a crop's labels to the plane's, in place; `seen` says which pixels were in a crop.

    A new cell becomes the old cell that it shares most pixels with, if their IoU within what was
    seen before is above `threshold` (0: if they touch); otherwise it gets an id of its own.
    Pixels that were seen before keep what they have.
    """
    before, known = whole[region], seen[region]
    top = int(whole.max())
    new_id = np.arange(int(labels.max()) + 1) + top
    new_id[0] = 0
    both = known & (before > 0) & (labels > 0)
    pairs, shared = np.unique(np.stack([labels[both], before[both]]), axis=1, return_counts=True)
    old_area = np.bincount(before[known], minlength=top + 1)
    area = np.bincount(labels[known], minlength=len(new_id))
    for k in np.argsort(shared, kind="stable"):
        new, old = pairs[:, k]
        if shared[k] / (area[new] + old_area[old] - shared[k]) > threshold:
            new_id[new] = old
    whole[region] = np.where(known, before, new_id[labels])
    seen[region] = True


def stitch(parts: list[tuple[Region, Labels]], shape: tuple[int, ...], threshold: float) -> Labels:
    """Merge the labels of all crops, in raster order."""
    whole, seen = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    for region, labels in parts:
        merge(whole, seen, region, labels.astype(np.int64), threshold)
    return whole.astype(np.uint32)


def measure_cuts(image: NDArray[Any], whole: Labels, model_name: str, cut: Cut) -> list[Measure]:
    """Scaling crop by crop, and segmenting crop by crop, against the whole plane."""
    model = load_model(resolve_model(model_name))

    def segment(pixels: NDArray[np.float32]) -> Labels:
        labels: Labels = model.eval(pixels, channels=[0, 0], normalize=False)[0]
        return labels

    out = agree("norm/plane", segment(scale(image)), whole)  # our scaling is Cellpose's own
    out += agree("norm/crops", segment(scale_by_crops(image, cut)), whole)
    plane = scale(image)
    regions = cut.regions(image.shape)
    parts = {
        "own-norm": [(r, segment(scale(image[r]))) for r in regions],
        "plane-norm": [(r, segment(plane[r])) for r in regions],
    }
    for scaling, crops in parts.items():
        for name, threshold in MERGES.items():
            labels = stitch(crops, image.shape, threshold)
            out += agree(f"stitch/{name}/{scaling}", labels, whole)
    return [*out, measure("crops", "stitch", len(regions))]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--cp4", type=Path, help="the interpreter of Cellpose 4's environment")
    parser.add_argument("--crop-px", type=int, default=1024)
    parser.add_argument("--overlap-px", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--drift-only", action="store_true", help="do not run the network again")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Measure and save the record."""
    options = parse(arguments)
    fix_threads(options.threads)
    before = read_load()
    flows = load_flows(options)
    whole = segment_flows(flows.flow, flows.cellprob)
    measures = [measure("cells", "whole", int(whole.max()))]
    if options.cp4:
        measures += measure_drift(flows, whole, options.cp4, options.threads)
    if not options.drift_only and flows.weights is not None:
        cut = Cut(options.crop_px, options.overlap_px)
        measures += measure_cuts(flows.image, whole, options.model, cut)
    parameters = {
        "flows": options.flows,
        "crop_px": options.crop_px,
        "overlap_px": options.overlap_px,
        "merge_iou": MERGES["iou"],
        "threads": options.threads,
    }
    record = make_record(
        "traps", flows.dataset, flows.weights, parameters, measures, None, before, engine="stock"
    )
    logger.info("wrote %s", save_record(record, options.out))


if __name__ == "__main__":
    logging.getLogger("cellpose").setLevel(logging.WARNING)
    with said_in_words():
        main(sys.argv[1:])
