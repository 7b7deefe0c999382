"""Planes in memory, regions, and how one plane of an image is picked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbscale.errors import ImageError
from tbscale.images.image import Channel, Image, Level, name_channels
from tbscale.images.plane import ArrayPlane, Plane, region_bounds


class OnePlane:
    """A source that remembers what it was asked for."""

    n_levels = 3

    def __init__(self) -> None:
        self.asked: tuple[int, int, int, int] | None = None
        self.closed = False

    def levels(self) -> tuple[Level, ...]:
        return ()

    def plane(self, level: int, channel: int, z: int, t: int) -> Plane:
        self.asked = (level, channel, z, t)
        return ArrayPlane(np.zeros((2, 2)))

    def close(self) -> None:
        self.closed = True


def image_of(names: list[str], **changes: object) -> Image:
    image = Image(
        path=Path("some.tif"),
        kind="TIFF",
        axes="CYX",
        shape=(len(names), 2, 2),
        dtype=np.dtype("uint16"),
        channels=name_channels(names),
        size_z=1,
        size_t=1,
        is_photograph=False,
        pixel_size_um=None,
        notes=(),
        source=OnePlane(),
    )
    return replace(image, **changes)


@given(st.data())
def test_a_region_of_an_array_is_its_slice(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    pixels = np.arange(shape[0] * shape[1], dtype=">u2").reshape(shape)
    y0, x0 = (data.draw(st.integers(0, n)) for n in shape)
    y1, x1 = data.draw(st.integers(y0, shape[0])), data.draw(st.integers(x0, shape[1]))
    found = ArrayPlane(pixels).read(slice(y0, y1), slice(x0, x1))
    assert np.array_equal(found, pixels[y0:y1, x0:x1])
    assert found.dtype == np.dtype("uint16")
    assert found.dtype.isnative


@pytest.mark.parametrize(
    "region",
    [
        (slice(0, 5), slice(0, 6)),
        (slice(0, 4), slice(0, 7)),
        (slice(-1, 4), slice(0, 6)),
        (slice(3, 2), slice(0, 6)),
        (slice(0, 4, 2), slice(0, 6)),
        (slice(0, 4), slice(0, 6, -1)),
    ],
)
def test_a_region_must_lie_in_the_plane(region: tuple[slice, slice]) -> None:
    with pytest.raises(ImageError, match="4 x 6"):
        region_bounds((4, 6), *region)


def test_a_read_is_a_copy() -> None:
    pixels = np.zeros((3, 3), np.uint8)
    ArrayPlane(pixels).read(slice(None), slice(None))[:] = 1
    assert not pixels.any()


def test_an_array_that_is_no_plane_is_refused() -> None:
    with pytest.raises(ImageError, match=r"\(3, 4, 5\)"):
        ArrayPlane(np.zeros((3, 4, 5)))


def test_names_are_kept_and_made() -> None:
    assert name_channels(["DNA", ""]) == (Channel(0, "DNA"), Channel(1, "channel_1"))


@pytest.mark.parametrize(
    ("channel", "index"),
    [(0, 0), (2, 2), ("DNA", 0), ("CD4", 2), ("1", 1), ("index:2", 2), ("name:CD4", 2)],
)
def test_a_channel_is_picked_by_index_or_name(channel: int | str, index: int) -> None:
    image = image_of(["DNA", "CD3", "CD4"])
    image.plane(channel, level=2)
    assert isinstance(image.source, OnePlane)
    assert image.source.asked == (2, index, 0, 0)


@pytest.mark.parametrize("channel", [-1, 3, "3", "CD8", "", "name:", "index:7", "²"])
def test_a_channel_that_is_not_there_is_refused(channel: int | str) -> None:
    with pytest.raises(ImageError, match="pass"):
        image_of(["DNA", "CD3", "CD4"]).plane(channel)


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(ImageError, match=r"no channel named 'CD8'; pass one of 'DNA', 'CD3'"):
        image_of(["DNA", "CD3"]).plane("CD8")


def test_a_name_of_several_channels_lists_their_indices() -> None:
    with pytest.raises(ImageError, match=r"2 channels named 'DNA'; pass the index, one of 0, 2"):
        image_of(["DNA", "CD3", "DNA"]).plane("DNA")


def test_digits_that_name_another_channel_are_refused() -> None:
    image = image_of(["1", "2", "3"])
    with pytest.raises(ImageError, match=r"pass name:1 or index:1"):
        image.plane("1")
    assert image.pick_channel("name:1") == 0
    assert image.pick_channel("index:1") == 1
    assert image.pick_channel("0") == 0


def test_digits_that_name_their_own_channel_are_that_channel() -> None:
    assert image_of(["0", "1"]).pick_channel("1") == 1


def test_the_default_is_the_first_channel() -> None:
    image = image_of(["DNA", "CD3"])
    image.plane()
    assert isinstance(image.source, OnePlane)
    assert image.source.asked == (0, 0, 0, 0)


def test_a_photograph_needs_a_channel() -> None:
    image = image_of(["red", "green", "blue"], is_photograph=True)
    with pytest.raises(ImageError, match=r"photograph .* pass the channel to segment, 0 to 2"):
        image.plane()
    assert image.plane(1).shape == (2, 2)


@pytest.mark.parametrize("axis", ["z", "t"])
def test_a_series_needs_an_index(axis: str) -> None:
    image = image_of(["DNA"], **{f"size_{axis}": 5})
    with pytest.raises(ImageError, match=f"5 planes along {axis}; pass {axis} 0 to 4"):
        image.plane()
    with pytest.raises(ImageError, match=f"no {axis} 5; pass {axis} 0 to 4"):
        image.plane(**{axis: 5})
    image.plane(**{axis: 4})
    assert isinstance(image.source, OnePlane)
    assert image.source.asked == (0, 0, *((4, 0) if axis == "z" else (0, 4)))


def test_a_level_that_is_not_there_is_refused() -> None:
    with pytest.raises(ImageError, match="no level 3; pass a level 0 to 2"):
        image_of(["DNA"]).plane(level=3)


def test_complex_values_are_refused() -> None:
    with pytest.raises(ImageError, match=r"complex64 .* magnitude as float32"):
        image_of(["DNA"], dtype=np.dtype("complex64")).plane()


def test_leaving_the_with_closes_the_file() -> None:
    image = image_of(["DNA"])
    with image as opened:
        assert opened is image
    assert isinstance(image.source, OnePlane)
    assert image.source.closed
