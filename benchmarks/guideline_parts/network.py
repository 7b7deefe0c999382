"""The arithmetic limit of the machine."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from guideline_parts.notes import Notes
from guideline_parts.sample import Sample

TILE_PX = 224
TILES = 4
MATRIX = 2048
ROUNDS = 3


def measure_network(sample: Sample, notes: Notes) -> None:
    """Operations of a tile, and the rate of the machine."""
    rng = np.random.default_rng(0)
    tiles = rng.random((TILES, 2, TILE_PX, TILE_PX), np.float32)
    notes.time_rounds(
        "network.tile-time", {"float32": lambda: sample.network(tiles)}, rounds=ROUNDS
    )
    notes.count("network.tiles", "in a batch", TILES)
    notes.count("network.operations", "one tile", operations_of(sample, tiles[:1]), "FLOP")
    for number in range(1, ROUNDS + 1):
        notes.local("network.rate", f"matrix product in float32#{number}", rate(), "FLOP/s")


def plain_net(sample: Sample) -> torch.nn.Module:
    """The network in torch's own layout, which the counter understands."""
    net = sample.model.net.eval()
    net.mkldnn = False
    return net


def operations_of(sample: Sample, tile: NDArray[np.float32]) -> int:
    """Multiplications and additions of one tile, as torch counts them."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        plain_net(sample)(torch.from_numpy(tile))
    return int(counter.get_total_flops())


def rate() -> float:
    """Operations a second of a large product of matrices, best of three."""
    matrix = torch.rand(MATRIX, MATRIX)
    best = 0.0
    for _ in range(3):
        began = time.perf_counter()
        torch.mm(matrix, matrix)
        best = max(best, 2 * MATRIX**3 / (time.perf_counter() - began))
    return best
