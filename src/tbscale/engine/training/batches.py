"""Batches of crops, cut between two steps or by processes that work ahead.

A batch depends on the seed and on its number alone, whoever cuts it.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from tbscale.engine.training.augment import Pool, draw_batch

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
AHEAD = 4  # batches that each process holds ready


class Batches(Dataset[Batch]):
    """All batches of a training, by their number.

    Parameters
    ----------
    size : crops of a batch
    seed : of the training
    """

    def __init__(self, pools: list[Pool], size: int, seed: int) -> None:
        self._pools, self._size, self._seed = pools, size, seed

    def __getitem__(self, step: int) -> Batch:
        """Image and flow float32 (size, 2, CROP_PX, CROP_PX); cell (size, CROP_PX, CROP_PX)."""
        rng = np.random.default_rng((self._seed, step))
        image, flow, cell = (torch.from_numpy(a) for a in draw_batch(self._pools, self._size, rng))
        return image, flow, cell


def load_batches(batches: Batches, steps: range, workers: int, pinned: bool) -> DataLoader[Batch]:
    """Iterate over batches in the order of `steps`.

    Parameters
    ----------
    workers : processes that cut crops ahead of the network; 0 cuts them between its steps
    pinned : in memory that a GPU copies from while it computes
    """
    if workers:
        cv2.setNumThreads(1)  # its threads do not outlive a fork, and each process has one core
    return DataLoader(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        pin_memory=pinned,
        prefetch_factor=AHEAD if workers else None,
    )
