"""How far two label planes agree: equal cells, average precision, differing pixels, grade.

Overlaps are counted sparsely, strip by strip: memory grows with the number of cells and one
strip of pixels, and no Python loop runs over cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import fastremap
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from tbscale.engine.workload.engines import LabelPlane
from tbscale.errors import RecordError
from tbscale.images.plane import Plane

Grade = Literal["bit", "partition", "near", "ap"]
THRESHOLDS = (0.5, 0.75, 0.9)
NEAR_SHARE = 1e-5  # 1 in 100,000 foreground pixels
STRIP_PX = 1024

Ids = NDArray[np.uint64]
Areas = NDArray[np.int64]
Labels = NDArray[Any] | LabelPlane  # in memory, or read by region


@dataclass(frozen=True)
class LabelsOnDisk:
    """A plane of an image file, or (y0, y1, x0, x1) of it, as labels that are read by region."""

    plane: Plane
    crop: tuple[int, int, int, int] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X), pixels."""
        if self.crop is None:
            return self.plane.shape
        y0, y1, x0, x1 = self.crop
        return y1 - y0, x1 - x0

    def __getitem__(self, region: tuple[slice, slice]) -> NDArray[Any]:
        """Labels of a region, in the coordinates of the crop."""
        y, x = region
        y0, _, x0, _ = self.crop or (0, 0, 0, 0)
        return self.plane.read(slice(y0 + y.start, y0 + y.stop), slice(x0 + x.start, x0 + x.stop))


@dataclass(frozen=True)
class Overlaps:
    """Cells of two planes and where they overlap.

    Attributes
    ----------
    areas, reference_areas : int64 (cells,), pixels of each cell, by rising id
    rows, columns : int64 (pairs,), index of the cell and of the reference cell
    pixels : int64 (pairs,), pixels in both
    """

    areas: Areas
    reference_areas: Areas
    rows: Areas
    columns: Areas
    pixels: Areas

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each pair, float64 (pairs,)."""
        union = self.areas[self.rows] + self.reference_areas[self.columns] - self.pixels
        return self.pixels / union

    @property
    def foreground_pixels(self) -> int:
        """Pixels that are in a cell of either plane."""
        return int(self.areas.sum() + self.reference_areas.sum() - self.pixels.sum())


def count_overlaps(labels: Labels, reference: Labels, strip_px: int = STRIP_PX) -> Overlaps:
    """Count the pixels of every cell and of every pair of cells that touch the same pixels.

    Parameters
    ----------
    labels, reference : unsigned (Y, X), 0 = background, any ids
    strip_px : rows looked at together

    Raises
    ------
    RecordError : the planes differ in shape
    """
    _check_shapes(labels, reference)
    ids = _count(_strips(labels, strip_px))
    reference_ids = _count(_strips(reference, strip_px))
    pairs, pixels = _count_pairs(labels, reference, ids[0], reference_ids[0], strip_px)
    columns = max(1, len(reference_ids[0]))
    return Overlaps(ids[1], reference_ids[1], pairs // columns, pairs % columns, pixels)


def _check_shapes(labels: Labels, reference: Labels) -> None:
    if labels.shape != reference.shape:
        raise RecordError(
            f"labels of {labels.shape} and a reference of {reference.shape} pixels cannot be "
            "compared; segment the same region"
        )


def _strips(labels: Labels, strip_px: int) -> Iterator[NDArray[Any]]:
    height, width = labels.shape
    for y0 in range(0, height, strip_px):
        yield np.asarray(labels[y0 : min(y0 + strip_px, height), 0:width])


def _count(strips: Iterator[NDArray[Any]]) -> tuple[Ids, Areas]:
    """Ids other than 0, rising, and their pixels."""
    found = [fastremap.unique(strip, return_counts=True) for strip in strips]
    ids, pixels = _merge([(i.astype(np.uint64), n.astype(np.int64)) for i, n in found])
    return ids[ids > 0], pixels[ids > 0]


def _merge(parts: list[tuple[NDArray[Any], Areas]]) -> tuple[NDArray[Any], Areas]:
    """Sum counts of equal keys; keys come back rising."""
    if not parts:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    keys, inverse = np.unique(np.concatenate([k for k, _ in parts]), return_inverse=True)
    sums = np.bincount(inverse, np.concatenate([n for _, n in parts]), minlength=len(keys))
    return keys, np.round(sums).astype(np.int64)  # exact: float64 holds counts below 2**53


def _count_pairs(
    labels: Labels, reference: Labels, ids: Ids, reference_ids: Ids, strip_px: int
) -> tuple[Areas, Areas]:
    """Keys `cell * cells_of_reference + reference_cell` and their pixels."""
    parts = []
    strips = zip(_strips(labels, strip_px), _strips(reference, strip_px), strict=True)
    for strip, reference_strip in strips:
        both = (strip > 0) & (reference_strip > 0)
        rows = np.searchsorted(ids, strip[both].astype(np.uint64))
        columns = np.searchsorted(reference_ids, reference_strip[both].astype(np.uint64))
        keys, pixels = fastremap.unique(
            rows.astype(np.int64) * len(reference_ids) + columns, return_counts=True
        )
        parts.append((keys, pixels.astype(np.int64)))
    keys, pixels = _merge(parts)
    return keys.astype(np.int64), pixels


def same_partition(overlaps: Overlaps) -> bool:
    """Whether the cells are the same sets of pixels, whatever their ids."""
    pairs = len(overlaps.pixels)
    return bool(
        pairs == len(overlaps.areas) == len(overlaps.reference_areas)
        and np.array_equal(overlaps.pixels, overlaps.areas[overlaps.rows])
        and np.array_equal(overlaps.pixels, overlaps.reference_areas[overlaps.columns])
    )


def matched_cells(overlaps: Overlaps, threshold: float) -> int:
    """Most cells that can be matched one to one at an IoU of at least `threshold`.

    Above 0.5 each cell has at most one partner; at 0.5 and below a maximum bipartite matching
    (Hopcroft and Karp) decides, which is the largest number that any assignment reaches.
    """
    enough = overlaps.iou >= threshold
    rows, columns = overlaps.rows[enough], overlaps.columns[enough]
    if threshold > 0.5:
        return len(rows)
    shape = (len(overlaps.areas), len(overlaps.reference_areas))
    if 0 in shape or not len(rows):
        return 0
    graph = csr_array((np.ones(len(rows), np.int8), (rows, columns)), shape=shape)
    return int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum())


def average_precision(overlaps: Overlaps, threshold: float) -> float:
    """TP / (TP + FP + FN) at an IoU of at least `threshold`, as Cellpose defines it; 1 for none.

    Source: Stringer et al. 2021, doi 10.1038/s41592-020-01018-x, methods.
    """
    matched = matched_cells(overlaps, threshold)
    total = len(overlaps.areas) + len(overlaps.reference_areas) - matched
    return matched / total if total else 1.0


def differing_share(overlaps: Overlaps) -> float:
    """Share of the foreground of either plane that lies in no pair of matched cells.

    Cells are matched where their IoU is above 0.5, which makes the matching unique.
    """
    foreground = overlaps.foreground_pixels
    if foreground == 0:
        return 0.0
    agreeing = int(overlaps.pixels[overlaps.iou > 0.5].sum())
    return (foreground - agreeing) / foreground


@dataclass(frozen=True)
class Comparison:
    """Labels beside a reference; `ap` is keyed by the IoU threshold."""

    grade: Grade
    cells: int
    reference_cells: int
    differing_share: float
    ap: dict[float, float]


def compare_labels(
    labels: Labels,
    reference: Labels,
    thresholds: tuple[float, ...] = THRESHOLDS,
) -> Comparison:
    """Compare labels with a reference of the same shape and grade them.

    `bit`: arrays equal. `partition`: same cells, other ids. `near`: at most 1 in 100,000
    foreground pixels differs. `ap`: all else; its average precision says how far.
    """
    overlaps = count_overlaps(labels, reference)
    share = differing_share(overlaps)
    return Comparison(
        _grade(labels, reference, overlaps, share),
        len(overlaps.areas),
        len(overlaps.reference_areas),
        share,
        {threshold: average_precision(overlaps, threshold) for threshold in thresholds},
    )


def _grade(labels: Labels, reference: Labels, overlaps: Overlaps, share: float) -> Grade:
    strips = zip(_strips(labels, STRIP_PX), _strips(reference, STRIP_PX), strict=True)
    if all(np.array_equal(strip, other) for strip, other in strips):
        return "bit"
    if same_partition(overlaps):
        return "partition"
    return "near" if share <= NEAR_SHARE else "ap"
