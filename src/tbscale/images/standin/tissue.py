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
    bins_around,
    label_ids,
    layout_of,
    nuclei_count,
    settle,
)
from tbscale.images.standin.spec import TissueSpec
from tbscale.images.standin.variety import training_spec


def nuclei_in(spec: TissueSpec, y: slice, x: slice) -> NDArray[np.float64]:
    """List the nuclei that can touch a window, in the order of their labels; float64 (n, 16)."""
    layout, fields = layout_of(spec), fields_of(spec)
    r0, r1, c0, c1 = bins_around(layout, y, x, largest_extent_px(spec))
    found = settle(layout, fields, r0, r1, c0, c1)
    look = look_of(spec, stream_seed(spec.seed, 4))
    nuclei: NDArray[np.float64] = dress(look, layout, found, label_ids(spec), r0, c0, 0.0)
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


def render_channel(spec: TissueSpec, y: slice, x: slice) -> NDArray[np.uint16]:
    """Draw the nuclear stain of a window: uint16 (Y, X), camera counts."""
    light = np.zeros((y.stop - y.start, x.stop - x.start), np.float32)
    look, fields = look_of(spec, stream_seed(spec.seed, 4)), fields_of(spec)
    draw_light(look, nuclei_in(spec, y, x), texture(), y.start, x.start, light)
    add_clutter(spec, fields, y, x, light)
    out = np.empty(light.shape, np.uint16)
    camera = camera_of(spec, stream_seed(spec.seed, 5))
    expose(camera, light, nodes_of(fields, y, x), y.start, x.start, out)
    return out


__all__ = ["TissueSpec", "nuclei_count", "render_channel", "render_labels", "training_spec"]
