"""The half of a chunk is every second pixel of it, whichever way it is stored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_files import cells

from tbscale.images.labels_out import every_second
from tbscale.images.labels_out.every_second import SPARE_PX, in_lines, put_half

SIDES = st.one_of(st.integers(1, 12), st.integers(1, 300))


@settings(max_examples=300, deadline=None)
@given(height=SIDES, width=SIDES, how=st.integers(0, 4), at=st.integers(0, 40), seed=st.integers())
def test_halves_are_every_second_pixel(
    height: int, width: int, how: int, at: int, seed: int
) -> None:
    rng = np.random.default_rng(abs(seed))
    wide = rng.integers(0, 2**32, (2 * height, 2 * width), np.uint32)
    labels = (
        wide[:height, :width].copy(),
        wide[:height, :width],
        wide[:height, 1 : 1 + width],
        wide[::2, ::2],
        np.asfortranarray(wide[:height, :width]),
    )[how]
    expected = labels[::2, ::2]
    y, x = at % 5, at if at % 2 else at // 2 * 16  # now and then at a line of the cache
    sides = expected.shape[0] + y + 2, -(-(expected.shape[1] + x + 1) // 16) * 16
    out = in_lines(np.full(sides[0] * sides[1] + SPARE_PX, 7, np.uint32), sides[0] * sides[1])
    out = out.reshape(sides)
    here = slice(y, y + expected.shape[0]), slice(x, x + expected.shape[1])
    put_half(labels, out[here])
    assert np.array_equal(out[here], expected)
    out[here] = 7
    assert (out == 7).all()


def test_large_halves_go_around_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is aligned is stored by the kernel, to the last whole line."""
    asked = []
    kernel = every_second._stream_half
    monkeypatch.setattr(
        every_second, "_stream_half", lambda *places: (asked.append(places[4:]), kernel(*places))
    )
    labels = cells(1023, 1021)
    out = in_lines(np.zeros(512 * 512 + SPARE_PX, np.uint32), 512 * 512).reshape(512, 512)
    put_half(labels, out[:, :511])
    assert asked == [(508, 496)]
    assert np.array_equal(out[:, :511], labels[::2, ::2])
