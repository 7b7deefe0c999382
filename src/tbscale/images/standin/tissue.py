"""Synthetic tissue: any window of a plane of any size, with its true labels.

A window equals the crop of the whole plane, whatever else is drawn: every random choice hangs
on a place, not on an order. One window of 1024 x 1024 pixels takes some 20 MiB and a tenth of a
second; nothing but a table of label ids (4 bytes a bin of nuclei) grows with the plane.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tbscale.images.standin.draw import (
    draw_labels,
    draw_light,
    dress,
    largest_extent_px,
    look_of,
    texture,
)
from tbscale.images.standin.fields import fields_of, nodes_of, stream_seed
from tbscale.images.standin.optics import add_clutter, camera_of, expose
from tbscale.images.standin.placement import (
    X,
    Y,
    bins_around,
    label_ids,
    layout_of,
    nuclei_count,
    settle,
)
from tbscale.images.standin.spec import TissueSpec
from tbscale.images.standin.stains import (
    MAX_SHIFT_PX,
    NUCLEAR,
    Stain,
    paint_marker,
    rim_px,
    shift_px,
    stain_of,
    stained_spec,
)
from tbscale.images.standin.variety import training_spec


def nuclei_in(spec: TissueSpec, y: slice, x: slice, stain: Stain = NUCLEAR) -> NDArray[np.float64]:
    """List the nuclei that can touch a window, in the order of their labels; float64 (n, 16)."""
    layout, fields = layout_of(spec), fields_of(spec)
    far = largest_extent_px(spec, rim_px(spec, stain)) + MAX_SHIFT_PX
    r0, r1, c0, c1 = bins_around(layout, y, x, far)
    found = settle(layout, fields, r0, r1, c0, c1)
    look = look_of(spec, stream_seed(spec.seed, 4))
    nuclei: NDArray[np.float64] = dress(look, layout, found, label_ids(spec), r0, c0)
    down, right = shift_px(spec, stain)
    nuclei[:, Y] += down
    nuclei[:, X] += right
    return nuclei


def render_labels(spec: TissueSpec, y: slice, x: slice) -> NDArray[np.uint32]:
    """Draw the true labels of a window: uint32 (Y, X), 0 = background, ids of the whole plane.

    >>> spec = TissueSpec(seed=1, shape=(200, 300))
    >>> labels = render_labels(spec, slice(0, 200), slice(0, 300))
    >>> int(labels.max()) == nuclei_count(spec)
    True
    """
    shape = (y.stop - y.start, x.stop - x.start)
    near, labels = np.ones(shape, np.float32), np.zeros(shape, np.uint32)
    draw_labels(nuclei_in(spec, y, x), y.start, x.start, near, labels)
    return labels


def _draw_stain(spec: TissueSpec, y: slice, x: slice, stain: Stain) -> NDArray[np.float32]:
    light = np.zeros((y.stop - y.start, x.stop - x.start), np.float32)
    nuclei = nuclei_in(spec, y, x, stain)
    if stain.kind == "nucleus":
        look = look_of(spec, stream_seed(spec.seed, 4))
        draw_light(look, nuclei, texture(), y.start, x.start, light)
    else:
        paint_marker(spec, stain, nuclei, y.start, x.start, light)
    return light


def render_channel(
    spec: TissueSpec, y: slice, x: slice, stain: Stain = NUCLEAR
) -> NDArray[np.uint16]:
    """Draw one channel of a window: uint16 (Y, X), camera counts.

    The default is the nuclear stain of the first cycle, on which `render_labels` lies exactly.
    """
    fields = fields_of(spec)
    light = _draw_stain(spec, y, x, stain)
    lit = stained_spec(spec, stain)
    add_clutter(lit, fields, y, x, stain.cycle, light)
    out = np.empty(light.shape, np.uint16)
    camera = camera_of(lit, stream_seed(spec.seed, 100_000 + stain.channel))
    expose(camera, light, nodes_of(fields, y, x), y.start, x.start, out)
    return out


__all__ = [
    "NUCLEAR",
    "Stain",
    "TissueSpec",
    "nuclei_count",
    "render_channel",
    "render_labels",
    "stain_of",
    "training_spec",
]
