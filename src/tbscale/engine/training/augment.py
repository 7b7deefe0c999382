"""Cut a random crop out of a sample: as it is stored, or rotated, scaled, relit and noisy."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tbscale.engine.training.data import Sample

CROP_PX = 224
FLOW_SCALE = 5.0  # Cellpose's network predicts five times the unit flow
DIAMETER_PX = (8.0, 44.0)
SCALE_LIMITS = (0.3, 3.0)
NATIVE_SHARE = 0.7
SECOND_INPUT_SHARE = 0.12
PAD_PX = 8  # zeros that Cellpose puts around an image before it cuts tiles
EDGE_PX = 24  # corners of crops are drawn so far beyond the edge, and moved back to it

Crop = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]


def draw_scale(diameter_px: float, rng: Generator) -> float:
    """Draw a magnification: mostly near native, else towards a random diameter."""
    if rng.random() < NATIVE_SHARE:
        scale = float(np.exp(rng.uniform(-0.25, 0.25)))
    else:
        target = np.exp(rng.uniform(*np.log(DIAMETER_PX)))
        scale = float(target / max(diameter_px, 1.0))
    return float(np.clip(scale, *SCALE_LIMITS))


def draw_map(
    shape: tuple[int, int], scale: float, rng: Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw an affine map from the image to the crop.

    Returns
    -------
    affine : float64 (2, 3), acts on (x, y, 1)
    turn : float64 (2, 2), its rotation and flip alone, acts on vectors (x, y)
    """
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([rng.choice((-1.0, 1.0)), 1.0])
    size = np.array([shape[1], shape[0]], np.float64)
    margin = np.minimum(CROP_PX / scale / 2, size / 2)
    centre = rng.uniform(margin, size - margin + 1e-9)
    offset = np.full(2, (CROP_PX - 1) / 2) - scale * turn @ centre
    return np.column_stack([scale * turn, offset]), turn


def draw_corner(side_px: int, rng: Generator) -> int:
    """Draw where a crop begins on a padded side, often at either end of it; may be negative."""
    last = side_px + 2 * PAD_PX - CROP_PX
    if last <= 0:
        return last // 2 - PAD_PX
    return int(np.clip(rng.integers(-EDGE_PX, last + EDGE_PX + 1), 0, last)) - PAD_PX


def cut_as_stored(sample: Sample, rng: Generator) -> Crop:
    """Cut one crop as Cellpose cuts tiles: no pixel between two is made up, edges have zeros.

    Half turns, quarter turns and flips alone leave noise, focus and borders as they were. The
    returned arrays are those of `cut`.
    """
    corner = [draw_corner(side, rng) for side in sample.labels.shape]
    source = tuple(slice(max(at, 0), at + CROP_PX) for at in corner)
    parts = (sample.image, *sample.flow, sample.labels > 0)
    found = np.stack([part[source] for part in parts])
    top, left = (max(-at, 0) for at in corner)
    planes = np.zeros((4, CROP_PX, CROP_PX), np.float32)
    planes[:, top : top + found.shape[1], left : left + found.shape[2]] = found
    if rng.random() < 0.5:
        planes = planes.transpose(0, 2, 1)[[0, 2, 1, 3]]
    for axis in (1, 2):  # a flip turns the flow along it
        if rng.random() < 0.5:
            planes = np.flip(planes, axis).copy()
            planes[axis] *= -1
    flow = np.ascontiguousarray(planes[1:3]) * np.float32(FLOW_SCALE)
    return np.ascontiguousarray(planes[0]), flow, planes[3] > 0


def cut(sample: Sample, rng: Generator) -> Crop:
    """Cut one crop.

    Returns
    -------
    image : float32 (CROP_PX, CROP_PX)
    flow : float32 (2, CROP_PX, CROP_PX), (dy, dx), times FLOW_SCALE
    cell : bool (CROP_PX, CROP_PX)
    """
    scale = draw_scale(sample.diameter_px, rng)
    affine, turn = draw_map((sample.labels.shape[0], sample.labels.shape[1]), scale, rng)
    size = (CROP_PX, CROP_PX)
    source = sample.image
    if scale < 0.7:  # as a microscope would: average before sampling
        source = cv2.GaussianBlur(source, (0, 0), 0.4 / scale)
    image = cv2.warpAffine(source, affine, size, flags=cv2.INTER_LINEAR)
    labels = cv2.warpAffine(sample.labels.astype(np.float32), affine, size, flags=cv2.INTER_NEAREST)
    dy, dx = (cv2.warpAffine(f, affine, size, flags=cv2.INTER_LINEAR) for f in sample.flow)
    turned = np.einsum("ij,jyx->iyx", turn, np.stack([dx, dy]))[::-1]
    cell = labels > 0
    flow = np.ascontiguousarray(turned * cell * FLOW_SCALE, np.float32)
    return np.asarray(image, np.float32), flow, cell


def light_field(rng: Generator) -> NDArray[np.float32]:
    """Draw a smooth illumination, float32 (CROP_PX, CROP_PX), around 1."""
    coarse = rng.normal(1.0, 0.25, (4, 4)).astype(np.float32)
    field = cv2.resize(coarse, (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.maximum(field, 0.2), np.float32)


def relight(image: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Vary contrast, gamma, light, focus and noise of a crop."""
    out = image
    if rng.random() < 0.5:
        gamma = np.exp(rng.normal(0.0, 0.3))
        out = np.sign(out) * np.abs(out) ** np.float32(gamma)
    if rng.random() < 0.3:
        out = out * light_field(rng)
    if rng.random() < 0.15:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.6))
    out = out * np.float32(np.exp(rng.normal(0.0, 0.2))) + np.float32(rng.normal(0.0, 0.04))
    if rng.random() < 0.35:
        out = out + rng.normal(0.0, rng.uniform(0.0, 0.1), out.shape)
    return np.asarray(out, np.float32)


@dataclass(frozen=True)
class Pool:
    """Samples of one origin.

    Attributes
    ----------
    share : of all crops
    relit_share : of its crops, those whose light, focus and noise are changed. Where a person has
        drawn the border of a blurred nucleus is a habit of a dataset that its pixels tell;
        changing them all the time unlearns it.
    stored_share : of its crops, those cut without a pixel interpolated, and not relit
    """

    samples: list[Sample]
    share: float
    relit_share: float
    stored_share: float = 0.0

    def draw(self, rng: Generator) -> Sample:
        """One sample, each as likely."""
        return self.samples[rng.integers(len(self.samples))]

    def crop(self, rng: Generator) -> Crop:
        """Cut one crop of one sample, as it is stored or changed; arrays as of `cut`."""
        sample = self.draw(rng)
        if self.stored_share and rng.random() < self.stored_share:
            return cut_as_stored(sample, rng)
        image, flow, cell = cut(sample, rng)
        return relight(image, rng) if rng.random() < self.relit_share else image, flow, cell


def draw_batch(
    pools: list[Pool], size: int, rng: Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Draw a batch of crops, each from a pool chosen by its share.

    The second input channel is empty, as for nuclei, in most crops; in the others it holds an
    unrelated crop, so that the network learns to leave it alone.

    Returns
    -------
    image : float32 (size, 2, CROP_PX, CROP_PX)
    flow : float32 (size, 2, CROP_PX, CROP_PX)
    cell : float32 (size, CROP_PX, CROP_PX), 0 or 1
    """
    image = np.zeros((size, 2, CROP_PX, CROP_PX), np.float32)
    flow = np.zeros((size, 2, CROP_PX, CROP_PX), np.float32)
    cell = np.zeros((size, CROP_PX, CROP_PX), np.float32)
    for k in range(size):
        pool = pools[rng.choice(len(pools), p=[one.share for one in pools])]
        image[k, 0], flow[k], cell[k] = pool.crop(rng)
        if rng.random() < SECOND_INPUT_SHARE:
            other = cut(pool.draw(rng), rng)[0]
            image[k, 1] = cv2.GaussianBlur(relight(other, rng), (0, 0), 2.0)
    return image, flow, cell
