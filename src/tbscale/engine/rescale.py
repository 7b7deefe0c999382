"""Work at the scale of the model: the plane is resized for the network, and its output back.

As in Cellpose 3.1.1.3 on a CPU with `resample=True`: the plane is normalised, resized by
`diam_mean / diameter`, tiled and run; flow and cell probability are resized to the plane before
anything is followed, so every position is a position of the plane. Here both happen by rows.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.diameters import DIAM_MEAN_PX, Diameters
from tbscale.engine.kernels.resize import FUSED, MEAN, PLAIN, Taps, plan_taps, resize_rows
from tbscale.engine.strips import ROWS_AT_ONCE, Rows
from tbscale.errors import PlanError
from tbscale.steps import StepClock

SLAB_ROWS = 2 * ROWS_AT_ONCE  # of the plane, held while rows are resized
PROBE_SHAPE = (96, 104)
ITERATIONS = 200  # of the dynamics, at the scale of the model
# Cells so much smaller than the model's are not found: the reference makes none of fewer than 11
# pixels, 3.7 across. Time, and the memory of `measured_grade`, grow with the square of the factor.
LARGEST_FACTOR = 16
Shape = tuple[int, int]


@dataclass(frozen=True)
class Scaling:
    """How large the network sees the plane.

    Attributes
    ----------
    factor : pixels of the frame per pixel of the plane, in the reference's own type: float32 for
        a model that holds its diameters, because its products are float32 as well
    model_px : diameter of the cells that the model was trained on
    """

    factor: float | np.float32 = 1.0
    model_px: float = DIAM_MEAN_PX

    @property
    def is_needed(self) -> bool:
        """Whether anything is resized."""
        return self.factor != 1.0

    @property
    def iterations(self) -> int:
        """Iterations of the dynamics where none are asked for.

        >>> Scaling(0.5).iterations
        400
        """
        return int(1 / self.factor * ITERATIONS)

    def frame(self, shape: Shape) -> Shape:
        """The plane's (Y, X) as the network sees it, pixels.

        Raises
        ------
        PlanError : nothing is left of the plane

        >>> Scaling(0.5).frame((301, 100))
        (150, 50)
        """
        height, width = int(shape[0] * self.factor), int(shape[1] * self.factor)
        if min(height, width) < 1:
            largest = max(1, int(min(shape) * self.model_px) - 1)  # one less: `factor` is rounded
            raise PlanError(
                f"at the scale of the model the plane of {shape[0]} x {shape[1]} px is "
                f"{height} x {width} px; pass a --diameter of at most {largest}"
            )
        return height, width

    def frame_if_needed(self, shape: Shape) -> Shape | None:
        """`frame`, or None where the network sees the plane as it is."""
        return self.frame(shape) if self.is_needed else None


def choose_scaling(diameter: float | None, model: Diameters) -> Scaling:
    """The scale at which cells of a diameter look to the model as it was trained.

    Parameters
    ----------
    diameter : pixels; None is the mean diameter of the cells that the model was trained on

    Raises
    ------
    PlanError : not above 0, or so small that the plane would be enlarged too much
    """
    mean_px = float(model.mean_px)
    cells_px = model.labels_px if diameter is None else diameter
    if diameter is not None and not diameter > 0:
        raise PlanError(f"--diameter is {diameter:g}; pass pixels above 0, or leave it out")
    if not mean_px <= LARGEST_FACTOR * float(cells_px):
        least = math.ceil(100 * mean_px / LARGEST_FACTOR) / 100
        raise PlanError(
            f"cells of {cells_px:g} px are more than {LARGEST_FACTOR} times smaller than the "
            f"model's, {mean_px:g} px; pass a --diameter of at least {least}"
        )
    return Scaling(model.mean_px / cells_px, mean_px)


@dataclass(frozen=True)
class PlaneResize:
    """A plane, or three of them, resized row by row."""

    source: Shape
    rows: Taps
    columns: Taps
    arithmetic: int

    @property
    def height(self) -> int:
        """Rows of the result."""
        return len(self.rows.low)

    def source_rows(self, start: int, stop: int) -> tuple[int, int]:
        """First and one past the last source row that rows [start, stop) need."""
        return int(self.rows.low[start]), int(self.rows.high[stop - 1]) + 1

    def ready_rows(self, source_stop: int) -> int:
        """Rows of the result, from the top, that source rows [0, source_stop) suffice for."""
        return int(np.searchsorted(self.rows.high, source_stop))

    def apply(
        self, source: NDArray[np.float32], top: int, start: int, stop: int
    ) -> NDArray[np.float32]:
        """Rows [start, stop) of the result, from source rows that begin at `top`.

        `source` and the result are float32 (channels, rows, columns).
        """
        part = slice(start, stop)
        rows = Taps(self.rows.low[part], self.rows.high[part], self.rows.weight[part])
        return resize_rows(source, top, rows, self.columns, self.arithmetic)


def plan_resize(source: Shape, target: Shape, arithmetic: int) -> PlaneResize:
    """Resize a plane of one shape to another."""
    return PlaneResize(
        source,
        plan_taps(source[0], target[0], arithmetic, False),
        plan_taps(source[1], target[1], arithmetic, True),
        arithmetic,
    )


def into_frame(shape: Shape, frame: Shape) -> PlaneResize:
    """The plane as the network sees it: what OpenCV does to two channels."""
    halved = shape == (2 * frame[0], 2 * frame[1])
    return plan_resize(shape, frame, MEAN if halved else PLAIN)


def out_of_frame(frame: Shape, shape: Shape) -> PlaneResize:
    """The network's output at the plane's size: what OpenCV does to three channels."""
    return plan_resize(frame, shape, PLAIN if min(frame) == 1 else FUSED)


def resize_stream(
    stream: Iterator[Rows], resize: PlaneResize, first_row: int, clock: StepClock
) -> Generator[Rows]:
    """Resize rows as they come, from top to bottom.

    Parameters
    ----------
    stream : rows of the source, without gap, from the first one that `first_row` needs
    first_row : row of the result from which it is wanted

    Yields
    ------
    Rows of the result from `first_row` on, in order, without gap, at most SLAB_ROWS at once
    """
    top, held, done = 0, None, first_row
    for rows in stream:
        if held is None:
            top, held = rows.start, rows.values
        else:
            held = np.concatenate([held, rows.values], axis=1)
        until = resize.ready_rows(top + held.shape[1])
        while done < until:
            stop = min(done + SLAB_ROWS, until)
            with clock.step("blend"):
                values = resize.apply(held, top, done, stop)
            yield Rows(done, values)
            done = stop
        if done < resize.height:
            keep_from = min(int(resize.rows.low[done]), top + held.shape[1])
            held, top = held[:, keep_from - top :].copy(), keep_from


def measured_grade(scaling: Scaling) -> str:
    """The grade of rescaled labels on this machine: `bit` where OpenCV rounds as the kernels do.

    Elsewhere flows differ in the last bits, as between two machines that run the reference.
    """
    if not scaling.is_needed:
        return "bit"
    factor = scaling.factor
    frame = max(2, int(PROBE_SHAPE[0] * factor)), max(2, int(PROBE_SHAPE[1] * factor))
    there = equals_opencv(into_frame(PROBE_SHAPE, frame), 2, frame)
    back = equals_opencv(out_of_frame(frame, PROBE_SHAPE), 3, PROBE_SHAPE)
    return "bit" if there and back else "near"


def equals_opencv(resize: PlaneResize, channels: int, target: Shape) -> bool:
    """Whether OpenCV, as installed here, gives the same bits for noise."""
    import cv2

    noise = np.random.default_rng(0).normal(size=(channels, *resize.source)).astype(np.float32)
    theirs = cv2.resize(np.ascontiguousarray(noise.transpose(1, 2, 0)), target[::-1])
    return np.array_equal(theirs.transpose(2, 0, 1), resize.apply(noise, 0, 0, target[0]))
