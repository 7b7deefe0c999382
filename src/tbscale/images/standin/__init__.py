"""Stand-ins: seeded synthetic images with the geometry of the datasets and known labels."""

from tbscale.images.standin.spec import TissueSpec
from tbscale.images.standin.stains import NUCLEAR, Stain, stain_of
from tbscale.images.standin.tissue import (
    nuclei_count,
    render_channel,
    render_labels,
    training_spec,
)

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
