"""The Cellpose 3 network of convolutions, one image a thread.

Structure and order of the layers are those of Cellpose 3.1.1.3 (`resnet_torch.CPnet`); only the
arithmetic of a convolution differs. What a tile gives does not depend on the other tiles of its
batch, nor on the number of threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tbscale.engine.fastnet.gemm import PANEL, ROWS
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
from tbscale.engine.fastnet.packing import Conv, Down, Floats, State, Up, flat, pack_net
from tbscale.engine.fastnet.vectors import aligned
from tbscale.engine.fastnet.winograd import IN_PX, PLACES

OUTPUTS = 3
# tiles of 4 x 4 outputs transformed together: their places fit the second cache with few
# channels, and share the reading of the kernels with many
TILES_AT_ONCE = {32: 24, 64: 48, 128: 96, 256: 96}


class Workspace:
    """The memory of one thread, for images of one size, reused from layer to layer.

    All is float32, or what a convolution multiplies is bfloat16, in uint16.
    """

    def __init__(
        self, shape: tuple[int, int], inputs: int, channels: list[int], halves: bool
    ) -> None:
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
        multiplied = np.uint16 if halves else np.float32
        self._v = aligned((PLACES * (2 * widest + SPREAD),), multiplied)
        self._m = aligned((PLACES * (widest + SPREAD),))
        self._patch = aligned((IN_PX * IN_PX * 2 * max(channels),))
        self._ones = np.ones(2 * max(channels), np.float32)
        self._zeros = np.zeros(2 * max(channels), np.float32)
        self.lines = aligned((max(width * 9 * inputs, PANEL * ROWS * (max(channels) + PANEL)),))

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
    halves : multiply bfloat16 numbers, and sum them in float32

    Raises
    ------
    WeightsError : a number of channels that the kernels cannot take
    """

    def __init__(self, state: State, threads: int, halves: bool = False) -> None:
        self._net = pack_net(state, halves)
        self._halves = halves
        self._channels = self._net.channels
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="network")
        self._spaces: list[Workspace] = []

    def __call__(self, tiles: Floats) -> Floats:
        """Map tiles float32 (n, C, Y, X) to float32 (n, 3, Y, X); Y and X multiples of 8."""
        shape = (tiles.shape[2], tiles.shape[3])
        threads = min(self._threads, len(tiles))
        if self._spaces and self._spaces[0].shape != shape:
            self._spaces.clear()
        while len(self._spaces) < threads:
            self._spaces.append(Workspace(shape, tiles.shape[1], self._channels, self._halves))
        out = np.empty((len(tiles), OUTPUTS, *shape), np.float32)
        left = iter(range(len(tiles)))  # who is done takes the next: cores differ in speed

        def work(thread: int) -> None:
            for k in left:
                self._run(tiles[k], out[k], self._spaces[thread])

        list(self._pool.map(work, range(threads)))
        return out

    def _run(self, tile: Floats, out: Floats, space: Workspace) -> None:
        """One image, from top to bottom and up again."""
        height, width = space.shape
        image = flat(tile.transpose(1, 2, 0))
        for k, level in enumerate(self._net.down):
            size = (height >> k, width >> k)
            if k:
                channels = self._channels[k - 1]
                image = space.small
                halve(space.skip[k - 1], size[0] * 2, size[1] * 2, channels, image)
            self._descend(level, image, size, space, space.skip[k])
        style = self._style(space)
        x = space.skip[-1]
        for k in reversed(range(len(self._net.up))):
            size = (height >> k, width >> k)
            enlarged = k < len(self._net.up) - 1
            x = self._ascend(self._net.up[k], x, enlarged, size, style, space, space.skip[k])
        conv = self._net.output
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
