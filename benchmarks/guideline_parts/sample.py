"""The images that the experiments run on, and what the network and the engine make of them."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from cellpose.models import CellposeModel
from numpy.typing import NDArray

from tbscale.engine.frame import pad_rows, read_normalised
from tbscale.engine.grid import TileGrid, plan_tiles
from tbscale.engine.network import ExactNetwork, Network
from tbscale.engine.normalise import Limits, intensity_limits
from tbscale.engine.run import Settings, label_plane
from tbscale.engine.scratch import ArrayFlows, mask_flow
from tbscale.engine.strips import ReadRows, stream_flows
from tbscale.engine.weights import EMBEDDED, load_model, resolve_model
from tbscale.images.datasets import DATASETS
from tbscale.images.open import open_image
from tbscale.images.plane import ArrayPlane
from tbscale.images.standin.tissue import render_channel, render_labels
from tbscale.steps import StepClock

SEED = 2026
SIDE_PX = 1024
GLASS_PX = 448
GLASS_PIECES = 9  # how many cells a network finds in one depends on its noise
CORNERS = {
    "exemplar-001": (1024, 768),
    "LUNG-1-LN_40X": (4096, 4096),
    "WD-76845-097": (12288, 12288),
}


@dataclass(frozen=True)
class Sample:
    """One window of a plane.

    Attributes
    ----------
    name, origin : of the dataset; real or stand-in
    image : uint16 (Y, X)
    plane_shape : (Y, X) of the whole plane
    crop : (y0, y1, x0, x1) of the window, None for the whole plane
    glass : uint16 (GLASS_PX, GLASS_PX), pieces of the same plane without any cell; none where that
        is not known
    """

    name: str
    origin: str
    image: NDArray[np.uint16]
    plane_shape: tuple[int, int]
    crop: tuple[int, int, int, int] | None
    glass: tuple[NDArray[np.uint16], ...]
    channels: int
    pixel_size_um: float | None

    @cached_property
    def limits(self) -> Limits:
        """Intensity limits of the window, with a piece of glass if there is some, as one plane."""
        pixels = [self.image.ravel(), *(piece.ravel() for piece in self.glass[:1])]
        return intensity_limits(ArrayPlane(np.concatenate(pixels)[None]))

    @cached_property
    def model(self) -> CellposeModel:
        """Cellpose with the embedded weights."""
        return load_model(resolve_model(EMBEDDED))

    @cached_property
    def network(self) -> ExactNetwork:
        """The network as the engine runs it."""
        return ExactNetwork(resolve_model(EMBEDDED))

    def flows_of(
        self, pixels: NDArray[Any], limits: Limits, network: Network | None = None
    ) -> NDArray[np.float32]:
        """The blended output of the network over an image, float32 (3, Y, X)."""
        grid = plan_tiles((pixels.shape[0], pixels.shape[1]))
        rows_of = padded_rows(pixels, limits, grid)
        rows = stream_flows(grid, network or self.network, rows_of, 8, StepClock())
        return np.concatenate([one.values for one in rows], axis=1)

    @cached_property
    def output(self) -> NDArray[np.float32]:
        """The network's output over the window, float32 (3, Y, X): dy, dx (times 5), logit."""
        return self.flows_of(self.image, self.limits)

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """Pixels that are followed, bool (Y, X)."""
        return np.asarray(self.output[2] > 0)

    @cached_property
    def flow(self) -> NDArray[np.float32]:
        """Flow in pixels an iteration, zero outside the foreground, float32 (Y, X, 2)."""
        return np.ascontiguousarray(mask_flow(self.output[0], self.output[1], self.foreground))

    @cached_property
    def cells(self) -> NDArray[np.uint32]:
        """The cells of the window, uint32 (Y, X)."""
        return label(self.output)

    @property
    def sha256(self) -> str:
        """Of the pixels, C order, little-endian."""
        return hashlib.sha256(self.image.astype("<u2").tobytes()).hexdigest()


def padded_rows(pixels: NDArray[Any], limits: Limits, grid: TileGrid) -> ReadRows:
    """Reads rows of an image in memory, normalised and padded, as the engine does."""
    read = read_normalised([ArrayPlane(pixels)], [limits], StepClock())
    return pad_rows(read, grid, 1)


def label(output: NDArray[np.float32], core_px: int = 4096) -> NDArray[np.uint32]:
    """Cells of the network's output, block by block; uint32 (Y, X)."""
    foreground = output[2] > 0
    flows = ArrayFlows(mask_flow(output[0], output[1], foreground), foreground)
    shape = (output.shape[1], output.shape[2])
    with tempfile.TemporaryDirectory() as folder:
        labels = label_plane(Path(folder), shape, Settings(core_px=core_px), flows, StepClock())
        return labels.read((slice(0, shape[0]), slice(0, shape[1])))


def stand_in_sample(name: str) -> Sample:
    """A window of the stand-in of a dataset, and a place without cells."""
    data = DATASETS[name]
    spec = data.stand_in_tissue(SEED)
    y0, x0 = CORNERS[name]
    y, x = slice(y0, y0 + SIDE_PX), slice(x0, x0 + SIDE_PX)
    image = render_channel(spec, y, x)
    glass = tuple(itertools.islice(_glass(spec, data.shape), GLASS_PIECES))
    crop = (y.start, y.stop, x.start, x.stop)
    channels = len(data.channel_names)
    return Sample(name, "stand-in", image, data.shape, crop, glass, channels, data.pixel_size_um)


def _glass(spec: Any, shape: tuple[int, int]) -> Iterator[NDArray[np.uint16]]:
    """Windows without a cell, looking along the borders' parallels."""
    for y0 in range(0, shape[0] - GLASS_PX, max(GLASS_PX, shape[0] // 24)):
        for x0 in range(0, shape[1] - GLASS_PX, max(GLASS_PX, shape[1] // 24)):
            y, x = slice(y0, y0 + GLASS_PX), slice(x0, x0 + GLASS_PX)
            if not render_labels(spec, y, x).any():
                yield render_channel(spec, y, x)


def real_sample(name: str, path: Path) -> Sample:
    """The first channel of a real image, whole."""
    with open_image(path) as image:
        plane = image.plane(0)
        pixels = plane.read(slice(None), slice(None))
        size = image.pixel_size_um
        channels = len(image.channels)
    shape = (pixels.shape[0], pixels.shape[1])
    return Sample(name, "real", pixels, shape, None, (), channels, size[0] if size else None)
