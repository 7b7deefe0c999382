"""What each network holds while it works, for the projection; every size in bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tbscale.engine.allocator import can_keep_freed

LAYER_CHANNELS = 32  # of a layer at full resolution, in every network that Cellpose offers


def layer_bytes(tiles: int, tile_px: int) -> int:
    """What a layer's output at full resolution takes, for a batch of square tiles.

    >>> layer_bytes(8, 224) // 2**20
    49
    """
    return tiles * tile_px**2 * LAYER_CHANNELS * 4


@dataclass(frozen=True)
class NetworkMemory:
    """What a network holds while it works.

    Attributes
    ----------
    bytes_per_tile_px : activations for each pixel of a tile that is worked on
    fixed_bytes : beyond the weights as they are stored
    tiles_at_once : None is the whole batch
    gaps_per_tile_px : what it holds more where freed memory is kept: the room between arrays of
        different sizes; 0 where nothing is gained by keeping it
    """

    bytes_per_tile_px: int
    fixed_bytes: int = 0
    tiles_at_once: int | None = None
    gaps_per_tile_px: int = 0

    def gaps_bytes(self, tile_px: int, batch_size: int) -> int:
        """What keeping freed memory takes, for a batch of tiles of `tile_px` pixels each."""
        return batch_size * tile_px * self.gaps_per_tile_px

    def bytes(self, tile_px: int, batch_size: int) -> int:
        """For a batch of tiles of `tile_px` pixels each."""
        at_once = min(self.tiles_at_once or batch_size, batch_size)
        return self.fixed_bytes + at_once * tile_px * self.bytes_per_tile_px


# each is measured by `benchmarks/memory_bound.py --network NAME`
EXACT_MEMORY = NetworkMemory(1900, gaps_per_tile_px=1000 if can_keep_freed() else 0)
FAST_BYTES_PER_TILE_PX = 1000  # one thread's workspace
FAST_FIXED_BYTES = 160 * 2**20  # kernels and transformed weights


def network_memory(mode: str, threads: int, device: str = "cpu") -> NetworkMemory:
    """What the network of a mode holds.

    `half` on a CPU holds what `fast` does, or less; through torch, not measured, it is taken to
    hold what `exact` does.

    Parameters
    ----------
    mode : exact, fast or half
    threads : images that `fast` works on at the same time
    device : anything but a CPU has memory of its own, and nothing is gained by keeping ours
    """
    if device != "cpu":
        return replace(EXACT_MEMORY, gaps_per_tile_px=0)
    from tbscale.engine.fastnet.instructions import (
        has_matrix_units,  # numba, which a plan may not need
    )

    if mode == "fast" or (mode == "half" and not has_matrix_units()):
        return NetworkMemory(FAST_BYTES_PER_TILE_PX, FAST_FIXED_BYTES, threads)
    return EXACT_MEMORY
