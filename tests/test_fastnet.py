"""The Winograd kernels against torch's convolutions, and the network against Cellpose's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tbscale.bench.experiments.winograd_points import POINTS, rounding
from tbscale.engine.fastnet.gemm import PANEL, ROWS, multiply, pack, pack_halves
from tbscale.engine.fastnet.halves import round_halves, widen_halves
from tbscale.engine.fastnet.instructions import has_bfloat16, has_matrix_units
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
    project,
)
from tbscale.engine.fastnet.network import WinogradNetwork
from tbscale.engine.fastnet.packing import flat
from tbscale.engine.fastnet.vectors import ALIGN_BYTES, aligned
from tbscale.engine.fastnet.winograd import FAR, IN_PX, NEAR, PLACES, transform_kernel
from tbscale.engine.flat_tiles import FlatTilesOnce
from tbscale.engine.network import FastNetwork, TorchNetwork, make_network
from tbscale.engine.training.loop import make_network as make_cpnet
from tbscale.engine.weights import resolve_model
from tbscale.errors import PlanError, WeightsError

RELATIVE = 2e-5  # float32 sums of at most 576 products
# eight bits a number, enlarged by the transforms; 0.03 was the largest of 2,000 examples
RELATIVE_HALVES = 0.06


def work_for(c_in, c_out, tiles, multiplied=np.float32):
    widest = max(tiles, ROWS)
    return (
        aligned((PLACES * (widest * c_in + SPREAD),), multiplied),
        aligned((PLACES * (widest * c_out + SPREAD),)),
        aligned((IN_PX * IN_PX * max(c_in, c_out),)),
        np.ones(c_in, np.float32),
        np.zeros(c_in, np.float32),
        tiles,
    )


def enlarge(x):
    return x.repeat(2, axis=0).repeat(2, axis=1)


def reference(x, scale, shift, weight, bias):
    """(Y, X, C) float64: scale, shift, cut at zero, convolve."""
    lit = np.maximum(x * scale + shift, 0).transpose(2, 0, 1)[np.newaxis]
    y = functional.conv2d(
        torch.from_numpy(lit), torch.from_numpy(weight), torch.from_numpy(bias), padding=1
    )
    return y.numpy()[0].transpose(1, 2, 0)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 15).map(lambda n: 2 * n),
    width=st.integers(1, 15).map(lambda n: 2 * n),
    c_in=st.sampled_from([1, 2]).map(lambda n: n * PANEL),
    c_out=st.sampled_from([1, 2]).map(lambda n: n * PANEL),
    read=st.sampled_from([PLAIN, SUM, ENLARGED]),
    add=st.sampled_from([ALONE, ADDING, ADDING_ENLARGED]),
    tiles=st.integers(1, 40),
    halves=st.booleans(),
)
def test_convolution_equals_torch(seed, height, width, c_in, c_out, read, add, tiles, halves):
    rng = np.random.default_rng(seed)
    size = (height // 2, width // 2) if read == ENLARGED else (height, width)
    x, y = rng.normal(size=(2, *size, c_in))
    rest_size = (height // 2, width // 2) if add == ADDING_ENLARGED else (height, width)
    rest = rng.normal(size=(*rest_size, c_out))
    scale, shift = rng.normal(size=(2, c_in))
    weight = rng.normal(size=(c_out, c_in, 3, 3)) / np.sqrt(9 * c_in)
    bias = rng.normal(size=c_out)
    out = aligned((height * width * c_out,))
    pack_one, number = (pack_halves, np.uint16) if halves else (pack, np.float32)
    u = flat(np.stack([pack_one(place) for place in transform_kernel(weight)]), number)
    convolve(
        read, flat(x), flat(y), height, width, c_in, flat(scale), flat(shift), u, flat(bias),
        c_out, add, flat(rest), out, work_for(c_in, c_out, tiles, number),
    )  # fmt: skip
    seen = {PLAIN: x, SUM: x + y, ENLARGED: enlarge(x)}[read]
    expected = reference(seen, scale, shift, weight, bias)
    if add != ALONE:
        expected = expected + (enlarge(rest) if add == ADDING_ENLARGED else rest)
    error = np.abs(out.reshape(expected.shape) - expected).max()
    limit = RELATIVE_HALVES if halves else RELATIVE
    assert error <= limit * max(1.0, np.abs(expected).max())


def test_residual_may_be_the_output_itself():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(9, 14, PANEL))
    weight = rng.normal(size=(PANEL, PANEL, 3, 3)) / 12
    u = flat(np.stack([pack(place) for place in transform_kernel(weight)]))
    one, none = np.ones(PANEL, np.float32), np.zeros(PANEL, np.float32)
    rest = flat(rng.normal(size=x.shape))
    apart, within = aligned((rest.size,)), flat(rest)
    for residual, out in ((rest, apart), (within, within)):
        convolve(
            PLAIN, flat(x), flat(x), 9, 14, PANEL, one, none, u, none, PANEL, ADDING, residual,
            out, work_for(PANEL, PANEL, 5),
        )  # fmt: skip
    np.testing.assert_array_equal(within, apart)
    assert np.abs(within - rest).max() > 0.1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(ROWS, 5 * ROWS), st.integers(1, 70))
def test_product_equals_numpy(seed, rows, depth):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(rows, depth)), rng.normal(size=(depth, 2 * PANEL))
    out = aligned((rows * 2 * PANEL,))
    multiply(flat(a), 0, depth, rows, flat(pack(b)), 0, depth, 2 * PANEL, out, 0, 2 * PANEL)
    assert np.abs(out.reshape(rows, -1) - a @ b).max() < 1e-4


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(ROWS, 5 * ROWS), st.integers(1, 35))
def test_product_of_halves_equals_numpy_on_the_rounded_numbers(seed, rows, pairs):
    rng = np.random.default_rng(seed)
    depth = 2 * pairs
    a, b = rng.normal(size=(rows, depth)), rng.normal(size=(depth, 2 * PANEL))
    out = aligned((rows * 2 * PANEL,))
    left = flat(round_halves(a), np.uint16)
    multiply(left, 0, depth, rows, flat(pack_halves(b), np.uint16), 0, depth, 2 * PANEL,
             out, 0, 2 * PANEL)  # fmt: skip
    expected = widen_halves(round_halves(a)).astype(float) @ widen_halves(round_halves(b))
    assert np.abs(out.reshape(rows, -1) - expected).max() < 1e-4


def test_halves_round_as_torch_does():
    rng = np.random.default_rng(2)
    values = (rng.normal(size=10_000) * 10.0 ** rng.integers(-20, 20, 10_000)).astype(np.float32)
    ties = (np.arange(0x3F80_0000, 0x3F90_0000, 0x8000, dtype=np.uint32)).view(np.float32)
    for numbers in (values, ties, -ties):
        expected = torch.from_numpy(numbers).to(torch.bfloat16).float().numpy()
        np.testing.assert_array_equal(widen_halves(round_halves(numbers)), expected)


@pytest.mark.parametrize("pixels", [1, ROWS - 1, ROWS, ROWS + 1, 24 * ROWS, 24 * ROWS + 1, 1000])
def test_projection_equals_numpy(pixels):
    rng = np.random.default_rng(pixels)
    x, weight = rng.normal(size=(pixels, PANEL)), rng.normal(size=(PANEL, PANEL))
    bias, out = rng.normal(size=PANEL), aligned((pixels * PANEL,))
    project(flat(x), pixels, PANEL, flat(pack(weight)), flat(bias), PANEL, out)
    assert np.abs(out.reshape(pixels, -1) - (x @ weight + bias)).max() < 1e-4


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_convolution_of_few_channels_equals_torch(channels):
    rng = np.random.default_rng(channels)
    x = rng.normal(size=(18, 26, channels))
    scale, shift = rng.normal(size=(2, channels))
    weight, bias = rng.normal(size=(PANEL, channels, 3, 3)), rng.normal(size=PANEL)
    out = aligned((18 * 26 * PANEL,))
    packed = flat(pack(weight.transpose(2, 3, 1, 0).reshape(9 * channels, PANEL)))
    convolve_few(
        flat(x), 18, 26, channels, flat(scale), flat(shift), packed, flat(bias), PANEL, out,
        aligned((26 * 9 * channels,)),
    )  # fmt: skip
    expected = reference(x, scale, shift, weight, bias)
    assert np.abs(out.reshape(expected.shape) - expected).max() < 1e-4


@pytest.mark.parametrize("pixels", [40, PANEL * ROWS, PANEL * ROWS + 7, 5 * PANEL * ROWS])
def test_last_layer_equals_numpy(pixels):
    rng = np.random.default_rng(pixels)
    x, weight = rng.normal(size=(pixels, PANEL)), rng.normal(size=(PANEL, 3))
    scale, shift = rng.normal(size=(2, PANEL))
    columns = np.zeros((PANEL, PANEL))
    columns[:, :3] = weight
    bias, out = rng.normal(size=3), aligned((3 * pixels,))
    finish(
        flat(x), pixels, PANEL, flat(scale), flat(shift), flat(pack(columns)), flat(bias), 3,
        aligned((PANEL * ROWS * 2 * PANEL,)), out,
    )  # fmt: skip
    expected = np.maximum(x * scale + shift, 0) @ weight + bias
    assert np.abs(out.reshape(3, pixels) - expected.T).max() < 1e-4


def test_the_points_are_those_that_round_least():
    assert min(POINTS, key=lambda pair: rounding(*pair)) == (NEAR, FAR)


def test_memory_starts_cache_lines():
    assert all(aligned((n,)).ctypes.data % ALIGN_BYTES == 0 for n in (1, 7, 1000))


@pytest.fixture(scope="module")
def random_cpnet():
    """Cellpose's network with weights that leave no symmetry."""
    torch.manual_seed(3)
    net = make_cpnet().eval()
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2.0)
            elif name.endswith(("running_mean", "bias")):
                value.normal_(0, 0.3)
    return net


def state_of(net):
    return {name: value.detach().numpy() for name, value in net.state_dict().items()}


def tiles_of(count, height, width, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 2, height, width)).astype(np.float32)


@pytest.mark.parametrize("size", [(64, 64), (48, 112), (16, 16), (16, 32), (224, 16)])
def test_network_equals_cellpose(random_cpnet, size):
    tiles = tiles_of(3, *size)
    with torch.no_grad():
        expected = random_cpnet.double()(torch.from_numpy(tiles).double())[0].numpy()
    random_cpnet.float()
    found = WinogradNetwork(state_of(random_cpnet), 2)(tiles)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_tile_does_not_depend_on_its_batch_or_on_threads(random_cpnet):
    tiles = tiles_of(5, 48, 64)
    one, two = (WinogradNetwork(state_of(random_cpnet), threads) for threads in (1, 2))
    together = two(tiles)
    np.testing.assert_array_equal(together, one(tiles))
    np.testing.assert_array_equal(together[3:4], two(tiles[3:4]))


def test_size_of_tiles_may_change(random_cpnet):
    network = WinogradNetwork(state_of(random_cpnet), 1)
    first = network(tiles_of(1, 48, 64))
    network(tiles_of(1, 32, 32))
    np.testing.assert_array_equal(network(tiles_of(1, 48, 64)), first)


def test_odd_numbers_of_channels_are_refused():
    state = state_of(make_cpnet())
    name = "downsample.down.res_down_1.conv.conv_0.2.weight"
    state[name] = np.zeros((PANEL + 1, 32, 3, 3), np.float32)
    with pytest.raises(WeightsError, match=rf"{PANEL + 1} channels.*multiples of {PANEL}.*exact"):
        WinogradNetwork(state, 1)


def test_modes_say_what_they_use():
    weights = resolve_model("embedded")
    fast, exact = make_network(weights, mode="fast"), make_network(weights, mode="exact")
    assert isinstance(fast, FlatTilesOnce)
    assert (exact.grade, fast.grade) == ("bit", "near")
    assert "Winograd" in fast.uses
    half = make_network(weights, mode="half")
    assert ("bfloat16" in half.uses) == has_bfloat16()
    assert isinstance(half, FlatTilesOnce) != has_matrix_units()
    assert half.grade == ("ap" if has_bfloat16() else "near")
    with pytest.raises(PlanError, match="no network mode 'quick'; choose exact, fast, half"):
        make_network(weights, mode="quick")


def test_modes_agree_within_their_rounding():
    weights = resolve_model("embedded")
    tiles = tiles_of(2, 64, 64) * np.array([1, 0], np.float32)[:, np.newaxis, np.newaxis]
    exact = make_network(weights)(tiles)
    size = np.abs(exact).max()
    fast = make_network(weights, mode="fast")(tiles)
    assert np.abs(fast - exact).max() < 1e-5 * size
    halves = FastNetwork(weights, halves=True)(tiles)
    assert 0 < np.abs(halves - exact).max() < 0.02 * size
    for bfloat16, limit in ((False, 1e-5), (True, 0.05)):
        other = TorchNetwork(weights, "cpu", "half", bfloat16, compiled=False)(tiles)
        assert np.abs(other - exact).max() < limit * size
