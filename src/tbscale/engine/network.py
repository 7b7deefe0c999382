"""The network as a callable: a batch of tiles in, flow and cell probability out.

All that the engine knows of a network is `Network`. So the engine is tested with a fake one, and
another network needs only another callable. `make_network` chooses among those that are here.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.device import float32_on
from tbscale.engine.fastnet.instructions import has_bfloat16, has_matrix_units
from tbscale.engine.flat_tiles import FlatTilesOnce
from tbscale.engine.weights import Weights, load_net
from tbscale.errors import PlanError

logger = logging.getLogger(__name__)

EXACT, FAST, HALF = "exact", "fast", "half"
MODES = (EXACT, FAST, HALF)
# against the reference on a CPU; each is measured by `benchmarks/network.py`
GRADES = {EXACT: "bit", FAST: "near", HALF: "ap"}
UNMEASURED = "ap"  # on a GPU, whose rounding differs: near at best, and nobody measured it
WEAKER = ("bit", "partition", "near", "ap")  # each says less than the one before


def weakest(*grades: str) -> str:
    """What a result may claim that is made of parts with these grades.

    >>> weakest("near", "bit")
    'near'
    """
    return max(grades, key=WEAKER.index)


class Network(Protocol):
    """Maps tiles float32 (n, C, h, w) to float32 (n, 3, h, w): dy, dx (times 5), cell logit."""

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]: ...


@runtime_checkable
class DescribedNetwork(Network, Protocol):
    """A network that says what it is.

    Attributes
    ----------
    uses : what computes, in words; labels may differ between two networks that use another
    grade : equivalence with the reference
    """

    uses: str
    grade: str


class ExactNetwork:
    """The reference's own arithmetic on a CPU: float32, oneDNN layout where torch has it.

    The reference converts the weights to that layout before every batch; here it is done once,
    which changes no number.
    """

    def __init__(self, weights: Weights, device: str = "cpu") -> None:
        import torch
        from torch.utils import mkldnn

        self._device = torch.device(device)
        net = load_net(weights, device)
        self._net = mkldnn.to_mkldnn(net) if net.mkldnn else net  # type: ignore[no-untyped-call]
        number = float32_on(self._device)
        self.uses = f"{number}, torch as the reference calls it, on {device}"
        self.grade = GRADES[EXACT] if device == "cpu" else UNMEASURED

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        with torch.no_grad():
            y = self._net(torch.from_numpy(tiles).to(self._device))[0]
        return np.asarray(y.cpu().numpy(), np.float32)


class FastNetwork:
    """Winograd convolutions on a CPU, of `tbscale.engine.fastnet`; bfloat16 if `halves`."""

    def __init__(self, weights: Weights, halves: bool = False) -> None:
        import torch

        from tbscale.engine.fastnet.instructions import LANES
        from tbscale.engine.fastnet.network import WinogradNetwork

        net = load_net(weights)
        state = {name: value.detach().numpy() for name, value in net.state_dict().items()}
        self._net = WinogradNetwork(state, torch.get_num_threads(), halves)
        number = "bfloat16" if halves else "float32"
        self.uses = f"{number}, Winograd convolutions, {LANES} lanes"
        self.grade = GRADES[HALF if halves else FAST]

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._net(tiles)


class TorchNetwork:
    """Torch with `channels_last`; in bfloat16, and compiled, where asked.

    A compiled network takes batches of one size: smaller ones are filled up with zeros, so that
    nothing is compiled twice.
    """

    def __init__(
        self, weights: Weights, device: str, mode: str, bfloat16: bool, compiled: bool
    ) -> None:
        import torch

        self._torch, self._device = torch, torch.device(device)
        net: Any = load_net(weights, device)
        net.mkldnn = False  # its own layout would undo channels_last
        net = net.to(memory_format=torch.channels_last)
        self._net = torch.compile(net) if compiled else net
        self._bfloat16, self._compiled, self._batch = bfloat16, compiled, 0
        number = "bfloat16" if bfloat16 else float32_on(self._device)
        self.uses = f"{number}, torch channels_last{' compiled' if compiled else ''} on {device}"
        self.grade = GRADES[mode] if device == "cpu" else UNMEASURED

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        torch, count = self._torch, len(tiles)
        self._batch = max(self._batch, count)
        if self._compiled and count < self._batch:
            tiles = np.concatenate([tiles, np.zeros_like(tiles[:1]).repeat(self._batch - count, 0)])
        x = torch.from_numpy(tiles).to(self._device, memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._bfloat16),
        ):
            y = self._net(x)[0]
        return np.asarray(y[:count].float().cpu().contiguous().numpy(), np.float32)


def has_compiler() -> bool:
    """Whether torch finds a C++ compiler to compile a network with."""
    from torch._inductor import cpp_builder, exc

    try:
        cpp_builder.get_cpp_compiler()
    except (exc.InvalidCxxCompiler, OSError):
        return False
    return True


def make_network(weights: Weights, device: str = "cpu", mode: str = EXACT) -> DescribedNetwork:
    """Make the network of a mode, by what is best on this device.

    Parameters
    ----------
    device : "cpu", "cuda" or "mps"
    mode : exact; fast, float32 with another rounding; or half, bfloat16 where the device has it.
        On a CPU without bfloat16 arithmetic, half is as fast: float32 is quicker there.

    Raises
    ------
    PlanError : an unknown mode
    WeightsError : a number of channels that the fast kernels cannot take
    """
    if mode not in MODES:
        raise PlanError(f"there is no network mode {mode!r}; choose {', '.join(MODES)}")
    network: DescribedNetwork
    if mode == EXACT:
        network = ExactNetwork(weights, device)
    elif device != "cpu":
        network = TorchNetwork(weights, device, mode, mode == HALF, compiled=False)
    elif mode == HALF and has_matrix_units():
        network = TorchNetwork(weights, device, mode, True, has_compiler())
    else:
        network = FlatTilesOnce(FastNetwork(weights, mode == HALF and has_bfloat16()))
    logger.info("network: %s (%s)", mode, network.uses)
    return network
