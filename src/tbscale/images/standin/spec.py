"""What a synthetic tissue is: every number that its appearance depends on."""

from __future__ import annotations

import math
from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class TissueSpec:
    """A whole plane of synthetic tissue, described but not drawn.

    Lengths are in pixels, light in camera counts unless a factor of `brightness` is meant.

    Attributes
    ----------
    seed, shape : the same pair and parameters always give the same plane; shape is (Y, X)
    diameter_px : smallest and largest diameter of a nucleus (of the circle of equal area)
    nuclei_per_megapixel : mean inside the tissue, glass not counted
    elongation : smallest and largest ratio of the axes
    roughness : 0 for ellipses, 0.15 for strongly irregular outlines
    giant_share, giant_scale : share of nuclei that are so many times wider
    stroma_share : share of the tissue with elongated, aligned nuclei
    empty_share : share of the frame that is bare glass
    density_variation : 0 for even tissue, 1 for packed patches beside sparse ones
    patch_px : size of the patches of the density field
    overlap : how far neighbours may interpenetrate, as a share of the sum of their radii
    overlap_light : share of the covered nucleus's light that shines through
    brightness, brightness_spread : counts of a median nucleus; sigma of its logarithm
    condensed_share : share of small, very bright nuclei (mitotic, apoptotic)
    blur_px, defocus_px : sigma of the optics; extra sigma of the deepest nuclei
    dome, ring, texture, spots : factors: falling off to the edge, bright rim, chromatin, foci
    texture_px : grain of the chromatin
    background, haze : counts on glass; further factor of `brightness` in dense tissue
    ghosts_per_megapixel : nuclei far out of focus, visible but not labelled
    debris_per_megapixel : specks, fibres and blobs, not labelled
    uneven_light, field_px : loss at the corners of a camera field (share); width of a field
    shot_gain, read_noise : counts of variance per count; counts
    quantum, full_scale : step of the digitiser; saturation, both in counts
    """

    seed: int
    shape: tuple[int, int]
    diameter_px: Range = (10.0, 17.0)
    nuclei_per_megapixel: float = 1500.0
    elongation: Range = (1.0, 1.6)
    roughness: float = 0.06
    giant_share: float = 0.0
    giant_scale: float = 2.0
    stroma_share: float = 0.2
    empty_share: float = 0.3
    density_variation: float = 0.7
    patch_px: float = 600.0
    overlap: float = 0.15
    overlap_light: float = 0.4
    brightness: float = 9000.0
    brightness_spread: float = 0.3
    condensed_share: float = 0.01
    blur_px: float = 1.0
    defocus_px: float = 1.0
    dome: float = 0.25
    ring: float = 0.15
    texture: float = 0.12
    spots: float = 0.0
    texture_px: float = 3.0
    background: float = 300.0
    haze: float = 0.12
    ghosts_per_megapixel: float = 150.0
    debris_per_megapixel: float = 12.0
    uneven_light: float = 0.12
    field_px: int = 1040
    shot_gain: float = 2.0
    read_noise: float = 12.0
    quantum: int = 1
    full_scale: int = 65535

    @property
    def largest_radius_px(self) -> float:
        """The longest half axis that a nucleus can have, before its outline is roughened."""
        scale = self.giant_scale if self.giant_share > 0 else 1.0
        return 0.5 * self.diameter_px[1] * scale * math.sqrt(self.steepest)

    @property
    def steepest(self) -> float:
        """The largest ratio of axes; nuclei of the stroma are longer than the others."""
        return self.elongation[1] * (1.4 if self.stroma_share > 0 else 1.0)
