"""A tiny synthetic image and untrained weights: enough for every step of Cellpose to do work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

SIZE_PX = 256


def blobs(size_px: int = SIZE_PX, spacing_px: int = 24, seed: int = 1) -> NDArray[np.uint16]:
    """Round bright spots on a jittered grid, with noise."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[0:size_px, 0:size_px]
    pixels = rng.normal(300, 20, (size_px, size_px))
    for y in range(spacing_px // 2, size_px, spacing_px):
        for x in range(spacing_px // 2, size_px, spacing_px):
            dy, dx = rng.uniform(-3, 3, 2)
            pixels += 4000 * np.exp(-((yy - y - dy) ** 2 + (xx - x - dx) ** 2) / (2 * 5.0**2))
    return np.clip(pixels, 0, 65535).astype(np.uint16)


def write_tiny(path: Path, size_px: int = SIZE_PX, channels: int = 2) -> Path:
    """A tiled OME-TIFF whose channel 0 holds the spots."""
    planes = np.stack([blobs(size_px, seed=c + 1) for c in range(channels)])
    tifffile.imwrite(
        path,
        planes,
        ome=True,
        tile=(128, 128),
        compression="deflate",
        metadata={"axes": "CYX", "Channel": {"Name": [f"DNA_{c + 1}" for c in range(channels)]}},
    )
    return path


def write_weights(path: Path, seed: int = 2) -> Path:
    """Untrained weights of the true network, scaled so that its output has cells in it.

    The last layer is shifted and scaled until flows and cellprob of a tiny image have the mean
    and deviation of trained ones. The cells mean nothing, and few pass the flow check at 0.4.
    """
    import torch
    from cellpose.models import CellposeModel
    from cellpose.resnet_torch import CPnet

    torch.manual_seed(seed)
    net = CPnet([2, 32, 64, 128, 256], 3, sz=3, diam_mean=17.0)
    state = net.state_dict()
    torch.save(state, path)
    model = CellposeModel(gpu=False, pretrained_model=str(path), device=torch.device("cpu"))
    _, (_, flow, cellprob), _ = model.eval(blobs(128), channels=[0, 0], compute_masks=False)
    for i, (values, deviation) in enumerate([(flow[0], 5.0), (flow[1], 5.0), (cellprob, 3.0)]):
        scale = deviation / float(values.std())
        state["output.2.weight"][i] *= scale
        state["output.2.bias"][i] = (state["output.2.bias"][i] - float(values.mean())) * scale
    torch.save(state, path)
    return path
