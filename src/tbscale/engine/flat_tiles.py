"""Compute a tile without structure once: mosaics are padded with zeros, and so are frames.

Nothing is guessed: the network is asked, and its answer kept. That is exact for a network whose
output for a tile depends on this tile alone, whatever lies beside it in the batch; so it is for
`FastNetwork`, and not for the reference, whose kernels are chosen by the size of the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tbscale.engine.network import DescribedNetwork

Tiles = NDArray[np.float32]
KEPT = 4  # answers; the padding of a plane has one value


class FlatTilesOnce:
    """A network that keeps its answers to tiles of one value; see the module.

    Parameters
    ----------
    network : its output for a tile depends on that tile alone
    """

    def __init__(self, network: DescribedNetwork) -> None:
        self._network = network
        self._answers: dict[bytes, Tiles] = {}
        self.uses, self.grade = network.uses, network.grade

    def __call__(self, tiles: Tiles) -> Tiles:
        """See `Network`."""
        flat = find_flat(tiles)
        if not flat.any():
            return self._network(tiles)
        out = np.empty((len(tiles), 3, *tiles.shape[2:]), np.float32)
        if not flat.all():
            out[~flat] = self._network(tiles[~flat])
        for k in np.flatnonzero(flat):
            out[k] = self._answer(tiles[k])
        return out

    def _answer(self, tile: Tiles) -> Tiles:
        """What the network says of one tile of one value, kept or computed."""
        key = np.array(tile.shape).tobytes() + tile[:, 0, 0].tobytes()
        if key not in self._answers:
            while len(self._answers) >= KEPT:
                del self._answers[next(iter(self._answers))]
            self._answers[key] = self._network(tile[np.newaxis])[0]
        return self._answers[key]


def find_flat(tiles: Tiles) -> NDArray[np.bool_]:
    """Which tiles hold one value a channel, to the last bit; bool (n,).

    Parameters
    ----------
    tiles : float32 (n, C, Y, X)
    """
    bits = np.ascontiguousarray(tiles).view(np.uint32)
    found: NDArray[np.bool_] = (bits == bits[:, :, :1, :1]).all(axis=(1, 2, 3))
    return found
