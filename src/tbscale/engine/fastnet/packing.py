"""The network's weights, transformed and packed as the kernels read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.fastnet.gemm import PANEL, pack, pack_halves
from tbscale.engine.fastnet.vectors import aligned
from tbscale.engine.fastnet.winograd import transform_kernel
from tbscale.errors import WeightsError

Floats = NDArray[np.float32]
Halves = NDArray[np.uint16]
State = Mapping[str, NDArray[Any]]

BATCHNORM_EPS = 1e-5  # of the reference's layers


@dataclass(frozen=True)
class Conv:
    """A convolution with the scaling before it. Kernels are packed, transformed where 3 x 3.

    A transformed kernel may be bfloat16, in uint16; all else is float32.
    """

    c_in: int
    c_out: int
    scale: Floats
    shift: Floats
    kernel: Floats | Halves
    bias: Floats


@dataclass(frozen=True)
class Styled:
    """A convolution whose input is first shifted, channel by channel, by the style of the image."""

    conv: Conv
    weight: Floats
    bias: Floats

    def shift(self, style: Floats) -> Floats:
        """What to add after scaling, float32 (c_in,)."""
        feature = self.weight @ style + self.bias
        return np.asarray(self.conv.shift + self.conv.scale * feature, np.float32)


@dataclass(frozen=True)
class Down:
    """A level of the way down: a projection and four convolutions."""

    project: Conv
    convs: tuple[Conv, ...]


@dataclass(frozen=True)
class Up:
    """A level of the way up: a projection, a convolution, and three with style."""

    project: Conv
    first: Conv
    styled: tuple[Styled, ...]


def flat(array: NDArray[Any], dtype: Any = np.float32) -> NDArray[Any]:
    """A flat copy that starts a cache line."""
    out = aligned((array.size,), dtype)
    out[:] = array.ravel()
    return out


def read_scaling(state: State, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and shift of a batch normalisation, float64 (channels,)."""
    weight, bias, mean, variance = (
        np.asarray(state[f"{name}.{part}"], np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(variance + BATCHNORM_EPS)
    return scale, bias - mean * scale


def read_conv(state: State, name: str, halves: bool) -> Conv:
    """A scaling, a cut at zero and a convolution of 3 x 3; its kernel in bfloat16 if `halves`."""
    scale, shift = read_scaling(state, f"{name}.0")
    weight = np.asarray(state[f"{name}.2.weight"], np.float64)
    c_out, c_in = weight.shape[:2]
    if c_in % PANEL:  # the first layer: windows instead of transforms
        kernel = flat(pack(weight.transpose(2, 3, 1, 0).reshape(9 * c_in, c_out)))
    elif halves:
        places = [pack_halves(place) for place in transform_kernel(weight)]
        kernel = flat(np.stack(places), np.uint16)
    else:
        kernel = flat(np.stack([pack(place) for place in transform_kernel(weight)]))
    bias = state[f"{name}.2.bias"]
    return Conv(c_in, c_out, flat(scale), flat(shift), kernel, flat(bias))


def read_projection(state: State, name: str) -> Conv:
    """A scaling and a convolution of 1 x 1, made one: there is no cut between them."""
    scale, shift = read_scaling(state, f"{name}.0")
    weight = np.asarray(state[f"{name}.1.weight"], np.float64)[:, :, 0, 0]
    bias = np.asarray(state[f"{name}.1.bias"], np.float64) + weight @ shift
    kernel = pack((weight * scale).T)
    nothing = np.zeros(0, np.float32)
    return Conv(weight.shape[1], weight.shape[0], nothing, nothing, flat(kernel), flat(bias))


def read_styled(state: State, name: str, halves: bool) -> Styled:
    """A convolution with style."""
    weight, bias = (np.asarray(state[f"{name}.full.{part}"]) for part in ("weight", "bias"))
    return Styled(read_conv(state, f"{name}.conv", halves), weight, bias)


def read_output(state: State) -> Conv:
    """The last layer; its columns are filled up to one panel."""
    scale, shift = read_scaling(state, "output.0")
    weight = np.asarray(state["output.2.weight"])[:, :, 0, 0]
    outputs, c_in = weight.shape
    columns = np.zeros((c_in, PANEL))
    columns[:, :outputs] = weight.T
    bias = flat(state["output.2.bias"])
    return Conv(c_in, outputs, flat(scale), flat(shift), flat(pack(columns)), bias)


@dataclass(frozen=True)
class PackedNet:
    """All weights: the levels down and up, finest first, and the last layer."""

    down: tuple[Down, ...]
    up: tuple[Up, ...]
    output: Conv

    @property
    def channels(self) -> list[int]:
        """Channels of each level, finest first."""
        return [level.project.c_out for level in self.down]


def pack_net(state: State, halves: bool = False) -> PackedNet:
    """Pack weights by the names of Cellpose 3.

    Parameters
    ----------
    halves : the transformed kernels in bfloat16, which is nearly all of the arithmetic

    Raises
    ------
    WeightsError : a number of channels that the kernels cannot take
    """
    levels = len({n.split(".")[2] for n in state if n.startswith("downsample.down.")})
    check_channels(state, levels)
    down, up = "downsample.down.res_down", "upsample.up.res_up"
    return PackedNet(
        tuple(
            Down(
                read_projection(state, f"{down}_{k}.proj"),
                tuple(read_conv(state, f"{down}_{k}.conv.conv_{t}", halves) for t in range(4)),
            )
            for k in range(levels)
        ),
        tuple(
            Up(
                read_projection(state, f"{up}_{k}.proj"),
                read_conv(state, f"{up}_{k}.conv.conv_0", halves),
                tuple(read_styled(state, f"{up}_{k}.conv.conv_{t}", halves) for t in (1, 2, 3)),
            )
            for k in range(levels)
        ),
        read_output(state),
    )


def check_channels(state: State, levels: int) -> None:
    """Refuse a number of channels that does not fill whole panels. WeightsError names it."""
    for k in range(levels):
        shape = np.shape(state[f"downsample.down.res_down_{k}.conv.conv_0.2.weight"])
        if shape[0] % PANEL or (k and shape[1] % PANEL):
            raise WeightsError(
                f"level {k} of the network has {shape[0]} channels; the fast kernels take "
                f"multiples of {PANEL}, so pass --network exact"
            )
