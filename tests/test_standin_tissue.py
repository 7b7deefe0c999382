"""Synthetic tissue: windows equal the crop of the whole, labels are dense, light lies on them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbscale.images.standin import (
    NUCLEAR,
    Stain,
    TissueSpec,
    nuclei_count,
    render_channel,
    render_labels,
    stain_of,
    training_spec,
)
from tbscale.images.standin.placement import layout_of
from tbscale.images.standin.stains import MAX_SHIFT_PX, shift_px
from tbscale.images.standin.tissue import nuclei_in

SHAPE = (260, 310)
ALL = slice(0, SHAPE[0]), slice(0, SHAPE[1])
PACKED = TissueSpec(seed=3, shape=SHAPE, nuclei_per_megapixel=4000, patch_px=120)
GIANTS = replace(
    PACKED, nuclei_per_megapixel=1500, giant_share=0.05, giant_scale=3.0, elongation=(1.0, 3.0)
)
SPECS = [PACKED, GIANTS, replace(PACKED, roughness=0.2, defocus_px=4.0, empty_share=0.0)]


def spans(length: int) -> st.SearchStrategy[slice]:
    edges = st.tuples(st.integers(0, length - 1), st.integers(1, length))
    return edges.map(lambda e: slice(min(e[0], e[1] - 1), max(e[0] + 1, e[1])))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SPECS), spans(SHAPE[0]), spans(SHAPE[1]), st.sampled_from([0, 1, 2, 7, 8]))
def test_a_window_equals_the_crop_of_the_whole(
    spec: TissueSpec, y: slice, x: slice, channel: int
) -> None:
    stain = stain_of(channel)
    whole = render_channel(spec, *ALL, stain)
    np.testing.assert_array_equal(render_channel(spec, y, x, stain), whole[y, x])
    np.testing.assert_array_equal(render_labels(spec, y, x), render_labels(spec, *ALL)[y, x])


@pytest.mark.parametrize("seed", range(12))
def test_a_window_equals_the_crop_in_training_variety(seed: int) -> None:
    spec = training_spec(np.random.default_rng(seed), SHAPE)
    y, x = slice(101, 180), slice(33, 290)
    np.testing.assert_array_equal(render_channel(spec, y, x), render_channel(spec, *ALL)[y, x])
    np.testing.assert_array_equal(render_labels(spec, y, x), render_labels(spec, *ALL)[y, x])


@pytest.mark.parametrize("seed", range(25))
def test_labels_are_dense(seed: int) -> None:
    """Every nucleus that is counted is seen, and none else."""
    spec = training_spec(np.random.default_rng(100 + seed), SHAPE)
    labels = render_labels(spec, *ALL)
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(np.unique(labels[labels > 0]), 1 + np.arange(nuclei_count(spec)))


def test_labels_of_a_window_far_inside_keep_the_ids_of_the_plane() -> None:
    spec = TissueSpec(seed=5, shape=(4000, 5000))
    labels = render_labels(spec, slice(3000, 3200), slice(4000, 4300))
    near = nuclei_in(spec, slice(3000, 3200), slice(4000, 4300))
    assert set(np.unique(labels)) - {0} <= {int(each[14]) for each in near}
    assert labels.max() > 1000


def test_the_same_seed_draws_the_same_and_another_seed_another() -> None:
    first, again = render_channel(PACKED, *ALL), render_channel(replace(PACKED), *ALL)
    np.testing.assert_array_equal(first, again)
    assert (render_channel(replace(PACKED, seed=4), *ALL) != first).mean() > 0.5


def test_count_is_what_the_spec_asks_for() -> None:
    spec = TissueSpec(seed=1, shape=(2500, 2500), nuclei_per_megapixel=1500, empty_share=0.3)
    expected = 1500 * 6.25 * 0.7
    assert abs(nuclei_count(spec) - expected) < 0.1 * expected


def test_the_asked_share_of_the_frame_is_empty() -> None:
    spec = TissueSpec(seed=2, shape=(2048, 2048), nuclei_per_megapixel=2500, empty_share=0.3)
    whole = slice(0, 2048), slice(0, 2048)
    filled = render_labels(spec, *whole).reshape(32, 64, 32, 64).any(axis=(1, 3))
    assert 0.2 < 1 - filled.mean() < 0.36  # squares of 64 px, so an edge fills more


def test_diameters_are_what_the_spec_asks_for() -> None:
    spec = TissueSpec(
        seed=1, shape=(1500, 1500), diameter_px=(20, 30), nuclei_per_megapixel=300, overlap=0.0,
        condensed_share=0.0,
    )  # fmt: skip
    areas = np.bincount(render_labels(spec, slice(0, 1500), slice(0, 1500)).ravel())[1:]
    low, middle, high = np.percentile(2 * np.sqrt(areas / np.pi), [10, 50, 90])
    assert 19 < low < middle < high < 31
    assert 24 < middle < 26


def test_packed_nuclei_touch() -> None:
    labels = render_labels(PACKED, *ALL)
    left, right = labels[:, :-1], labels[:, 1:]
    assert ((left != right) & (left > 0) & (right > 0)).sum() > 100


def test_light_lies_on_the_labels() -> None:
    """Inside is brighter than outside, and the outline is where the light has fallen by half."""
    spec = replace(
        PACKED, nuclei_per_megapixel=400, brightness_spread=0.0, haze=0.0, uneven_light=0.0,
        ghosts_per_megapixel=0, debris_per_megapixel=0, dome=0.0, ring=0.0, texture=0.0,
        condensed_share=0.0, defocus_px=0.0, shot_gain=0.0, read_noise=0.0, overlap=0.0,
    )  # fmt: skip
    light = (render_channel(spec, *ALL) - 300.0) / 9000
    inside = render_labels(spec, *ALL) > 0
    assert (light > 0.5)[inside].mean() > 0.97
    assert (light > 0.5)[~inside].mean() < 0.01


def test_no_nucleus_no_label() -> None:
    spec = replace(PACKED, nuclei_per_megapixel=1e-3)
    assert nuclei_count(spec) == 0
    assert render_labels(spec, *ALL).max() == 0
    assert render_channel(spec, *ALL).shape == SHAPE


def test_counts_are_quantised_and_saturate() -> None:
    spec = replace(PACKED, quantum=200, full_scale=7000)
    counts = render_channel(spec, *ALL)
    assert counts.dtype == np.uint16
    assert counts.max() == 7000
    assert not (counts % 200).any()


def test_cycles_are_shifted_a_little_and_the_first_is_not() -> None:
    assert shift_px(PACKED, NUCLEAR) == (0.0, 0.0)
    shifts = [shift_px(PACKED, stain_of(4 * cycle)) for cycle in range(1, 8)]
    assert all(abs(y) <= MAX_SHIFT_PX and abs(x) <= MAX_SHIFT_PX for y, x in shifts)
    assert len(set(shifts)) == len(shifts)


def test_shifted_nuclei_match_when_shifted_back() -> None:
    """The second cycle shows the same nuclei: correlation peaks near the shift."""
    spec = replace(PACKED, read_noise=0.0, shot_gain=0.0, debris_per_megapixel=0)
    first = render_channel(spec, *ALL).astype(float)
    later = render_channel(spec, *ALL, stain_of(4)).astype(float)
    offsets = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)]
    inner = first[4:-4, 4:-4].ravel()
    scores = [np.corrcoef(inner, np.roll(later, o, (0, 1))[4:-4, 4:-4].ravel())[0, 1]
              for o in offsets]  # fmt: skip
    best = offsets[int(np.argmax(scores))]
    y, x = shift_px(spec, stain_of(4))
    assert abs(best[0] + y) <= 0.75
    assert abs(best[1] + x) <= 0.75
    assert max(scores) > 0.95


@pytest.mark.parametrize("channel", [1, 2, 3])
def test_markers_light_up_around_nuclei_of_some_cells(channel: int) -> None:
    stain = stain_of(channel)
    assert stain == Stain(stain.kind, channel)
    light = render_channel(PACKED, *ALL, stain).astype(float)
    labels = render_labels(PACKED, *ALL)
    glass = np.median(light[labels == 0])
    means = np.bincount(labels.ravel(), light.ravel())[1:] / np.bincount(labels.ravel())[1:]
    positive = (means > 2 * glass).mean()
    assert 0 < positive < 1 if stain.kind == "sparse" else positive > 0


def test_reach_covers_the_largest_neighbours() -> None:
    layout = layout_of(GIANTS)
    assert layout.reach * layout.bin_px >= 2 * GIANTS.largest_radius_px


def test_training_specs_are_varied() -> None:
    specs = [training_spec(np.random.default_rng(n), (256, 256)) for n in range(60)]
    sizes = [sum(each.diameter_px) / 2 for each in specs]
    assert min(sizes) < 12
    assert max(sizes) > 25
    assert any(each.giant_share > 0 for each in specs)
    assert any(each.elongation[1] > 2.5 for each in specs)
    assert any(each.quantum > 1 for each in specs)
