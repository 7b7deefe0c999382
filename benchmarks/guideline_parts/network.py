"""The arithmetic limit of the machine, and half precision."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from guideline_parts.notes import Notes
from guideline_parts.sample import Sample, label
from tbscale.bench.agreement import compare_labels
from tbscale.engine.network import Network

TILE_PX = 224
TILES = 4
MATRIX = 2048
ROUNDS = 3


def measure_network(sample: Sample, notes: Notes) -> None:
    """Operations of a tile, the rate of the machine, and bfloat16 against float32."""
    rng = np.random.default_rng(0)
    tiles = rng.random((TILES, 2, TILE_PX, TILE_PX), np.float32)
    half = half_precision(sample)
    notes.time_rounds(
        "network.tile-time",
        {
            "float32": lambda: sample.network(tiles),
            "bfloat16": lambda: half(tiles),
        },
        rounds=ROUNDS,
    )
    notes.count("network.tiles", "in a batch", TILES)
    notes.count("network.operations", "one tile", operations_of(sample, tiles[:1]), "FLOP")
    for number in range(1, ROUNDS + 1):
        notes.local("network.rate", f"matrix product in float32#{number}", rate(), "FLOP/s")
    found = label(sample.flows_of(sample.image, sample.limits, half))
    agreement = compare_labels(found, sample.cells)
    for threshold, ap in agreement.ap.items():
        notes.count("half.ap", f"IoU {threshold}", ap)
    notes.count("half.cells", "float32", agreement.reference_cells)
    notes.count("half.cells", "bfloat16", agreement.cells)
    notes.count("half.differing-share", "foreground pixels", agreement.differing_share)


def plain_net(sample: Sample) -> torch.nn.Module:
    """The network in torch's own layout, which autocast and the counter understand."""
    net = sample.model.net.eval()
    net.mkldnn = False
    return net


def half_precision(sample: Sample) -> Network:
    """The same network with its products in bfloat16."""
    net = plain_net(sample)

    def run(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return np.asarray(net(torch.from_numpy(tiles))[0].float().numpy(), np.float32)

    return run


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
