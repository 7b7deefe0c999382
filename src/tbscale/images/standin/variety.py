"""Random tissue of every kind, to train a network on."""

from __future__ import annotations

import numpy as np

from tbscale.images.standin.spec import TissueSpec


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _diameters(rng: np.random.Generator) -> tuple[float, float]:
    """Mostly one size with its spread, at times everything between 8 and 40 px."""
    if rng.random() < 0.15:
        return float(rng.uniform(8, 14)), float(rng.uniform(28, 40))
    middle = _log_uniform(rng, 10, 32)
    spread = rng.uniform(0.1, 0.35)
    return max(8.0, middle * (1 - spread)), min(40.0, middle * (1 + spread))


def training_spec(rng: np.random.Generator, shape: tuple[int, int]) -> TissueSpec:
    """Draw a random tissue: sizes, shapes, density, optics, light and noise all vary widely.

    Parameters
    ----------
    rng : consumed; the same state gives the same spec
    shape : (Y, X), pixels

    Examples
    --------
    >>> spec = training_spec(np.random.default_rng(0), (256, 256))
    >>> 8 <= spec.diameter_px[0] <= spec.diameter_px[1] <= 40
    True
    """
    low, high = _diameters(rng)
    mean = 0.5 * (low + high)
    cover = rng.uniform(0.35, 0.8) if rng.random() < 0.5 else _log_uniform(rng, 0.03, 0.4)
    tissue = rng.random() < 0.6
    eight_bit = rng.random() < 0.4
    brightness = _log_uniform(rng, 800, 14000)
    flat = rng.random() < 0.3
    return TissueSpec(
        seed=int(rng.integers(1 << 62)),
        shape=shape,
        diameter_px=(low, high),
        nuclei_per_megapixel=cover * 1e6 / (0.25 * np.pi * mean * mean),
        elongation=(1.0, float(rng.choice([rng.uniform(1.1, 1.5), rng.uniform(1.4, 3.0)]))),
        roughness=float(rng.choice([rng.uniform(0, 0.1), rng.uniform(0.08, 0.2)])),
        giant_share=float(rng.choice([0.0, 0.0, rng.uniform(0.01, 0.06)])),
        giant_scale=float(rng.uniform(1.5, 2.6)),
        stroma_share=float(rng.uniform(0, 0.5)) if tissue else 0.0,
        empty_share=float(rng.uniform(0, 0.4)) if tissue else 0.0,
        density_variation=float(rng.uniform(0.1, 0.95)),
        patch_px=_log_uniform(rng, 120, 800),
        overlap=float(rng.uniform(0.02, 0.3)),
        overlap_light=float(rng.uniform(0.1, 1.0)),
        brightness=brightness,
        brightness_spread=float(rng.uniform(0.08, 0.55)),
        condensed_share=float(rng.choice([0.0, rng.uniform(0.0, 0.05)])),
        blur_px=min(_log_uniform(rng, 0.5, 3.0), 0.14 * mean),
        defocus_px=min(float(rng.uniform(0, 4)), 0.2 * mean),
        dome=float(rng.uniform(0.0, 0.6)),
        ring=float(rng.uniform(-0.1, 0.5)) if not flat else 0.0,
        texture=float(rng.choice([rng.uniform(0.02, 0.2), rng.uniform(0.15, 0.4)])),
        spots=float(rng.choice([0.0, 0.0, rng.uniform(0.1, 1.2)])),
        texture_px=_log_uniform(rng, 1.0, 6.0),
        background=float(rng.uniform(0, 0.3) * brightness),
        haze=float(rng.choice([rng.uniform(0, 0.05), rng.uniform(0, 0.6)])),
        ghosts_per_megapixel=float(rng.choice([0.0, rng.uniform(0, 400), rng.uniform(0, 1600)])),
        debris_per_megapixel=float(rng.choice([rng.uniform(0, 20), rng.uniform(0, 150)])),
        uneven_light=float(rng.uniform(0, 0.5)),
        field_px=int(rng.integers(300, 1500)),
        shot_gain=brightness * _log_uniform(rng, 1e-5, 1e-2),
        read_noise=brightness * _log_uniform(rng, 1e-3, 0.06),
        quantum=max(1, int(brightness / rng.uniform(30, 180))) if eight_bit else 1,
        full_scale=int(min(65535, brightness * rng.uniform(1.5, 6))),
    )
