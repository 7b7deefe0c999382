"""The network as a callable: a batch of tiles in, flow and cell probability out.

All that the engine knows of a network is `Network`. So the engine is tested with a fake one, and
another network needs only another callable.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.weights import Weights, load_model


class Network(Protocol):
    """Maps tiles float32 (n, 2, h, w) to float32 (n, 3, h, w): dy, dx (times 5), cell logit."""

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]: ...


class ExactNetwork:
    """The reference's own arithmetic on a CPU: float32, oneDNN layout where torch has it.

    The reference converts the weights to that layout before every batch; here it is done once,
    which changes no number.
    """

    def __init__(self, weights: Weights, device: str = "cpu") -> None:
        import torch
        from torch.utils import mkldnn

        model = load_model(weights, device)
        self._device = torch.device(device)
        net = model.net.eval()
        self._net = mkldnn.to_mkldnn(net) if net.mkldnn else net  # type: ignore[no-untyped-call]
        self.diam_mean_px = float(model.diam_mean)
        self.diam_labels_px = float(model.diam_labels)

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        with torch.no_grad():
            y = self._net(torch.from_numpy(tiles).to(self._device))[0]
        return np.asarray(y.cpu().numpy(), np.float32)
