"""Tiles of one value are computed once, and no number changes."""

import numpy as np
import pytest

from tbscale.engine.flat_tiles import KEPT, FlatTilesOnce, find_flat
from tbscale.engine.network import FastNetwork, make_network
from tbscale.engine.weights import resolve_model


class Counting:
    uses, grade = "a sum of each tile", "near"

    def __init__(self):
        self.seen = []

    def __call__(self, tiles):
        self.seen += [tile[:, 0, 0].tolist() for tile in tiles]
        total = tiles.sum(axis=(1, 2, 3))[:, None, None, None]
        return np.broadcast_to(total, (len(tiles), 3, *tiles.shape[2:])).astype(np.float32)


def tiles_of(*values):
    out = np.zeros((len(values), 2, 16, 16), np.float32)
    for tile, value in zip(out, values, strict=True):
        tile[0] = np.random.default_rng(0).random((16, 16)) if value is None else value
    return out


def test_flat_tiles_are_asked_about_once():
    inner = Counting()
    network = FlatTilesOnce(inner)
    tiles = tiles_of(None, 0, 0, 0.5, None, 0)
    np.testing.assert_array_equal(network(tiles), Counting()(tiles))
    assert len(inner.seen) == 4, "two with structure, and two values"
    np.testing.assert_array_equal(network(tiles_of(0, 0.5)), Counting()(tiles_of(0, 0.5)))
    assert len(inner.seen) == 4
    assert (network.uses, network.grade) == (inner.uses, inner.grade)


def test_few_answers_are_kept():
    network = FlatTilesOnce(Counting())
    for value in range(3 * KEPT):
        network(tiles_of(value))
    assert len(network._answers) == KEPT


def test_one_bit_makes_a_tile_not_flat():
    tiles = tiles_of(1.0, 1.0, 0.0)
    tiles[1, 1, 9, 9] = np.nextafter(np.float32(0), np.float32(1))
    tiles[2, 0, 3, 3] = -0.0
    assert find_flat(tiles).tolist() == [True, False, False]


@pytest.mark.parametrize("value", [0.0, -0.31, 2.5])
def test_the_fast_network_says_the_same_of_a_flat_tile_in_any_company(value):
    plain, once = (
        FastNetwork(resolve_model("embedded")),
        make_network(resolve_model("embedded"), "cpu", "fast"),
    )
    rng = np.random.default_rng(1)
    tiles = rng.random((3, 2, 64, 64), np.float32)
    tiles[1] = value
    np.testing.assert_array_equal(once(tiles), plain(tiles))
    np.testing.assert_array_equal(once(tiles[1:2])[0], plain(tiles)[1])
