"""The Cellpose 3 network of convolutions, one image a thread.

Structure and order of the layers are those of Cellpose 3.1.1.3 (`resnet_torch.CPnet`); only the
arithmetic of a convolution differs. What a tile gives does not depend on the other tiles of its
batch, nor on the number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.fastnet.gemm import PANEL, ROWS, pack
from tbscale.engine.fastnet.layers import (
    ADDING,
    ADDING_ENLARGED,
    ALONE,
    ENLARGED,
    PLAIN,
    SPREAD,
    SUM,
    convolve,
    convolve_few,
    finish,
    halve,
    mean_of,
    project,
)
from tbscale.engine.fastnet.vectors import aligned
from tbscale.engine.fastnet.winograd import IN_PX, PLACES, transform_kernel
from tbscale.errors import WeightsError

Floats = NDArray[np.float32]
State = Mapping[str, NDArray[Any]]

BATCHNORM_EPS = 1e-5  # of the reference's layers
OUTPUTS = 3
PADDING_PX = 8  # three halvings
# tiles of 4 x 4 outputs transformed together: their places fit the second cache with few
# channels, and share the reading of the kernels with many
TILES_AT_ONCE = {32: 24, 64: 48, 128: 96, 256: 96}


@dataclass(frozen=True)
class Conv:
    """A convolution with the scaling before it. Kernels are packed, transformed where 3 x 3."""

    c_in: int
    c_out: int
    scale: Floats
    shift: Floats
    kernel: Floats
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


def flat(array: NDArray[Any]) -> Floats:
    """A flat float32 copy that starts a cache line."""
    out = aligned((array.size,))
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


def read_conv(state: State, name: str) -> Conv:
    """A scaling, a cut at zero and a convolution of 3 x 3."""
    scale, shift = read_scaling(state, f"{name}.0")
    weight = np.asarray(state[f"{name}.2.weight"], np.float64)
    c_out, c_in = weight.shape[:2]
    if c_in % PANEL:  # the first layer: windows instead of transforms
        kernel = pack(weight.transpose(2, 3, 1, 0).reshape(9 * c_in, c_out))
    else:
        kernel = np.stack([pack(place) for place in transform_kernel(weight)])
    bias = state[f"{name}.2.bias"]
    return Conv(c_in, c_out, flat(scale), flat(shift), flat(kernel), flat(bias))


def read_projection(state: State, name: str) -> Conv:
    """A scaling and a convolution of 1 x 1, made one: there is no cut between them."""
    scale, shift = read_scaling(state, f"{name}.0")
    weight = np.asarray(state[f"{name}.1.weight"], np.float64)[:, :, 0, 0]
    bias = np.asarray(state[f"{name}.1.bias"], np.float64) + weight @ shift
    kernel = pack((weight * scale).T)
    nothing = np.zeros(0, np.float32)
    return Conv(weight.shape[1], weight.shape[0], nothing, nothing, flat(kernel), flat(bias))


def read_styled(state: State, name: str) -> Styled:
    """A convolution with style."""
    weight, bias = (np.asarray(state[f"{name}.full.{part}"]) for part in ("weight", "bias"))
    return Styled(read_conv(state, f"{name}.conv"), weight, bias)


def read_output(state: State) -> Conv:
    """The last layer; its columns are filled up to one panel."""
    scale, shift = read_scaling(state, "output.0")
    weight = np.asarray(state["output.2.weight"])[:, :, 0, 0]
    outputs, c_in = weight.shape
    columns = np.zeros((c_in, PANEL))
    columns[:, :outputs] = weight.T
    bias = flat(state["output.2.bias"])
    return Conv(c_in, outputs, flat(scale), flat(shift), flat(pack(columns)), bias)


class Workspace:
    """The memory of one thread, for images of one size; float32, reused from layer to layer."""

    def __init__(self, shape: tuple[int, int], channels: list[int]) -> None:
        height, width = shape
        self.shape = shape
        sizes = [(height >> k) * (width >> k) * c for k, c in enumerate(channels)]
        self.skip = [aligned((size,)) for size in sizes]
        self.inner = aligned((max(sizes),))
        self.even = aligned((max(sizes),))
        self.odd = aligned((max(sizes),))
        # a level enlarged into the next, a halved image, and the deepest level
        self.small = aligned((max(max(sizes) // 4, sizes[-1]),))
        widest = max(max(TILES_AT_ONCE.get(c, ROWS), ROWS) * c for c in channels)
        self._v, self._m = (
            aligned((PLACES * (2 * widest + SPREAD),)),
            aligned((PLACES * (widest + SPREAD),)),
        )
        self._patch = aligned((IN_PX * IN_PX * 2 * max(channels),))
        self._ones = np.ones(2 * max(channels), np.float32)
        self._zeros = np.zeros(2 * max(channels), np.float32)
        self.lines = aligned((max(width * 9 * 8, PANEL * ROWS * (max(channels) + PANEL)),))

    def for_conv(self, c_out: int) -> tuple[Any, ...]:
        """What `convolve` works in."""
        tiles = TILES_AT_ONCE.get(c_out, ROWS)
        return self._v, self._m, self._patch, self._ones, self._zeros, tiles


class WinogradNetwork:
    """The network with its weights transformed and packed; see `Network`.

    Parameters
    ----------
    state : the weights by the names of Cellpose 3, as numpy arrays
    threads : images worked on at the same time

    Raises
    ------
    WeightsError : a number of channels that the kernels cannot take
    """

    def __init__(self, state: State, threads: int) -> None:
        levels = len({n.split(".")[2] for n in state if n.startswith("downsample.down.")})
        self._check(state, levels)
        down, up = "downsample.down.res_down", "upsample.up.res_up"
        self._down = [
            Down(
                read_projection(state, f"{down}_{k}.proj"),
                tuple(read_conv(state, f"{down}_{k}.conv.conv_{t}") for t in range(4)),
            )
            for k in range(levels)
        ]
        self._up = [
            Up(
                read_projection(state, f"{up}_{k}.proj"),
                read_conv(state, f"{up}_{k}.conv.conv_0"),
                tuple(read_styled(state, f"{up}_{k}.conv.conv_{t}") for t in (1, 2, 3)),
            )
            for k in range(levels)
        ]
        self._output = read_output(state)
        self._channels = [level.project.c_out for level in self._down]
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="network")
        self._spaces: list[Workspace] = []

    @staticmethod
    def _check(state: State, levels: int) -> None:
        for k in range(levels):
            shape = np.shape(state[f"downsample.down.res_down_{k}.conv.conv_0.2.weight"])
            if shape[0] % PANEL or (k and shape[1] % PANEL):
                raise WeightsError(
                    f"level {k} of the network has {shape[0]} channels; the fast kernels take "
                    f"multiples of {PANEL}, so pass --network exact"
                )

    def __call__(self, tiles: Floats) -> Floats:
        """Map tiles float32 (n, C, Y, X) to float32 (n, 3, Y, X); Y and X multiples of 8."""
        shape = (tiles.shape[2], tiles.shape[3])
        while len(self._spaces) < self._threads or self._spaces[0].shape != shape:
            if self._spaces and self._spaces[0].shape != shape:
                self._spaces.clear()
            self._spaces.append(Workspace(shape, self._channels))
        out = np.empty((len(tiles), OUTPUTS, *shape), np.float32)

        def work(thread: int) -> None:
            for k in range(thread, len(tiles), self._threads):
                self._run(tiles[k], out[k], self._spaces[thread])

        list(self._pool.map(work, range(min(self._threads, len(tiles)))))
        return out

    def _run(self, tile: Floats, out: Floats, space: Workspace) -> None:
        """One image, from top to bottom and up again."""
        height, width = space.shape
        image = flat(tile.transpose(1, 2, 0))
        for k, level in enumerate(self._down):
            size = (height >> k, width >> k)
            if k:
                channels = self._channels[k - 1]
                image = space.small
                halve(space.skip[k - 1], size[0] * 2, size[1] * 2, channels, image)
            self._descend(level, image, size, space, space.skip[k])
        style = self._style(space)
        x = space.skip[-1]
        for k in reversed(range(len(self._up))):
            size = (height >> k, width >> k)
            enlarged = k < len(self._up) - 1
            x = self._ascend(self._up[k], x, enlarged, size, style, space, space.skip[k])
        conv = self._output
        finish(
            x, height * width, conv.c_in, conv.scale, conv.shift, conv.kernel, conv.bias,
            conv.c_out, space.lines, out.reshape(-1),
        )  # fmt: skip

    def _descend(
        self, level: Down, x: Floats, size: tuple[int, int], space: Workspace, out: Floats
    ) -> None:
        """x = project(x) + conv(conv(x)); x = x + conv(conv(x)), into `out`."""
        pixels, conv = size[0] * size[1], level.convs
        first = conv[0]
        if first.c_in % PANEL:
            convolve_few(
                x, *size, first.c_in, first.scale, first.shift, first.kernel, first.bias,
                first.c_out, space.inner, space.lines,
            )  # fmt: skip
        else:
            self._convolve(first, PLAIN, x, x, size, first.shift, ALONE, x, space.inner, space)
        one = level.project
        project(x, pixels, one.c_in, one.kernel, one.bias, one.c_out, out)
        self._convolve(conv[1], PLAIN, space.inner, x, size, conv[1].shift, ADDING, out, out, space)
        self._convolve(conv[2], PLAIN, out, x, size, conv[2].shift, ALONE, out, space.inner, space)
        self._convolve(conv[3], PLAIN, space.inner, x, size, conv[3].shift, ADDING, out, out, space)

    def _style(self, space: Workspace) -> Floats:
        """Mean of each channel of the deepest level, as a unit vector."""
        channels = self._channels[-1]
        mean = np.empty(channels, np.float32)
        mean_of(space.skip[-1], space.skip[-1].size // channels, channels, mean)
        return np.asarray(mean / np.sqrt(np.sum(mean**2)), np.float32)

    def _ascend(
        self,
        level: Up,
        x: Floats,
        enlarged: bool,
        size: tuple[int, int],
        style: Floats,
        space: Workspace,
        skip: Floats,
    ) -> Floats:
        """x = project(x) + conv(conv(x) + skip); x = x + conv(conv(x)); returns where x is.

        An enlarged x is projected small: repeating pixels and a product of channels commute.
        """
        pixels = size[0] * size[1] // (4 if enlarged else 1)
        read, add = (ENLARGED, ADDING_ENLARGED) if enlarged else (PLAIN, ADDING)
        out = space.even if x is space.odd else space.odd
        first, (one, two, three) = level.first, level.styled
        self._convolve(first, read, x, x, size, first.shift, ALONE, x, space.inner, space)
        side = level.project
        project(x, pixels, side.c_in, side.kernel, side.bias, side.c_out, space.small)
        shift = one.shift(style)
        self._convolve(one.conv, SUM, space.inner, skip, size, shift, add, space.small, out, space)
        shift = two.shift(style)
        self._convolve(two.conv, PLAIN, out, x, size, shift, ALONE, x, space.inner, space)
        shift = three.shift(style)
        self._convolve(three.conv, PLAIN, space.inner, x, size, shift, ADDING, out, out, space)
        return out

    @staticmethod
    def _convolve(
        conv: Conv,
        read: int,
        x: Floats,
        y: Floats,
        size: tuple[int, int],
        shift: Floats,
        add: int,
        residual: Floats,
        out: Floats,
        space: Workspace,
    ) -> None:
        convolve(
            read, x, y, *size, conv.c_in, conv.scale, shift, conv.kernel, conv.bias, conv.c_out,
            add, residual, out, space.for_conv(conv.c_out),
        )  # fmt: skip
