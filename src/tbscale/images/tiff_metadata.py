"""What a TIFF says of its axes, channels and pixel size, and where that contradicts its pages."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import tifffile

from tbscale.errors import ImageError
from tbscale.images.image import Channel, name_channels
from tbscale.images.omexml import MICROMETRES, OmeImage, parse_ome

PHOTOGRAPHS = ("RGB", "YCBCR", "CIELAB", "ICCLAB", "ITULAB", "SEPARATED")
COLOURS = ("red", "green", "blue", "alpha")
# resolution tags are often those of a screen or printer (72 to 600 dpi are 353 to 42 um)
LARGEST_PIXEL_UM = 40.0


@dataclass(frozen=True)
class SeriesFacts:
    """What `tbscale.images.image.Image` needs to know of a series."""

    axes: str
    shape: tuple[int, ...]
    channels: tuple[Channel, ...]
    size_z: int
    size_t: int
    is_photograph: bool
    pixel_size_um: tuple[float, float] | None
    notes: tuple[str, ...]


def describe_series(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path
) -> SeriesFacts:
    """Axes, channels and pixel size of a series, and notes on what does not agree.

    Raises
    ------
    ImageError : the series' axes do not end in whole pages of Y and X
    """
    notes: list[str] = []
    ome = _ome_image(tif, notes)
    axes, shape = _axes(series, ome, notes)
    _check_axes(axes, shape, series.keyframe, path)
    lengths = dict(zip(axes, shape, strict=True))
    if ome is not None and not _agrees(ome, lengths, series, notes):
        ome = None
    listed = sum(page is not None for s in tif.series for page in s)
    if series.kind == "ome" and not series.is_multifile and listed < len(tif.pages):
        notes.append(
            f"the OME-XML lists {listed} of the file's {len(tif.pages)} pages: the others are "
            "left out"
        )
    if len(tif.series) > 1:
        notes.append(f"the file holds {len(tif.series)} images: the first is read")
    is_photograph = _is_photograph(series.keyframe)
    return SeriesFacts(
        axes=axes,
        shape=shape,
        channels=_channels(axes, shape, ome, tif, is_photograph),
        size_z=lengths.get("Z", 1),
        size_t=lengths.get("T", 1),
        is_photograph=is_photograph,
        pixel_size_um=(ome.pixel_size_um if ome else None) or _pixel_size_um(tif, series.keyframe),
        notes=tuple(notes),
    )


def _ome_image(tif: tifffile.TiffFile, notes: list[str]) -> OmeImage | None:
    """The first image of the OME-XML, if there is one that can be read."""
    if not tif.is_ome:
        return None
    try:
        images = parse_ome(tif.ome_metadata)
    except ImageError as error:
        notes.append(f"{error}: the pages alone are read")
        return None
    return images[0] if images else None


def _axes(
    series: tifffile.TiffPageSeries, ome: OmeImage | None, notes: list[str]
) -> tuple[str, tuple[int, ...]]:
    """Axes and shape without those of length 1, save Y and X.

    Where tifffile could not follow the OME-XML but the number of pages is the one it says, the
    pages are taken in its DimensionOrder.
    """
    axes, shape = series.get_axes(squeeze=False), series.get_shape(squeeze=False)
    if ome is not None and series.kind != "ome":
        if axes[0] in "IQ" and "C" not in axes and shape[0] == ome.n_pages:
            order = ome.dimension_order[::-1].replace("X", "").replace("Y", "")
            sizes = {"Z": ome.size_z, "C": ome.size_c_pages, "T": ome.size_t}
            axes = order + axes[1:]
            shape = (*(sizes[a] for a in order), *shape[1:])
            if not ome.lists_pages:
                notes.append("the OME-XML lists no pages: they are taken in its DimensionOrder")
        else:
            notes.append("the OME-XML does not fit the pages: the pages are believed")
    kept = [(a, n) for a, n in zip(axes, shape, strict=True) if n > 1 or a in "YX"]
    return "".join(a for a, _ in kept), tuple(n for _, n in kept)


def _check_axes(axes: str, shape: tuple[int, ...], page: tifffile.TiffPage, path: Path) -> None:
    """Y and X must be whole, once, and inside one page."""
    lengths = dict(zip(axes, shape, strict=True))
    whole = (lengths.get("Y"), lengths.get("X")) == (page.imagelength, page.imagewidth)
    inner = "".join(a for a in axes[axes.find("Y") :] if a in "YXS")
    once = all(axes.count(a) == 1 for a in "YX") and all(axes.count(a) < 2 for a in "TZ")
    if not (whole and once and axes.endswith(inner) and inner in ("YX", "YXS")):
        raise ImageError(
            f"{path} has axes {axes} of lengths {shape} in pages of {page.shape}, and a plane "
            "needs whole pages of Y and X; export it with axes such as CYX"
        )


def _agrees(
    ome: OmeImage, lengths: dict[str, int], series: tifffile.TiffPageSeries, notes: list[str]
) -> bool:
    """Whether OME-XML and pages have the same Y and X; notes what else differs."""
    page = series.keyframe
    if (ome.size_y, ome.size_x) != (page.imagelength, page.imagewidth):
        notes.append(
            f"the OME-XML says {ome.size_y} x {ome.size_x} pixels (Y x X), the pages have "
            f"{page.imagelength} x {page.imagewidth}: the pages are believed"
        )
        return False
    stated = {"float": "float32", "double": "float64", "bit": "bool", "complex": "complex64"}
    name = stated.get(ome.pixel_type, ome.pixel_type)
    if name.removeprefix("double-") != str(page.dtype) and name != "double-complex":
        notes.append(f"the OME-XML says {name}, the pages are {page.dtype}: the pages are believed")
    n_channels = prod(n for a, n in lengths.items() if a not in "TZYX")
    if n_channels != ome.n_channels:
        notes.append(
            f"the OME-XML says {_count(ome.n_channels, 'channel')}, the pages have {n_channels}: "
            "the pages are believed and its names are not used"
        )
    return True


def _count(n: int, word: str) -> str:
    return f"{n} {word}" + ("" if n == 1 else "s")


def _is_photograph(page: tifffile.TiffPage) -> bool:
    """Whether the samples of a pixel are the colours of one picture."""
    try:
        name = tifffile.PHOTOMETRIC(page.photometric).name
    except ValueError:
        return False
    return name in PHOTOGRAPHS and page.samplesperpixel >= 3


def _channels(
    axes: str,
    shape: tuple[int, ...],
    ome: OmeImage | None,
    tif: tifffile.TiffFile,
    is_photograph: bool,
) -> tuple[Channel, ...]:
    """One channel for each index along all axes but T, Z, Y and X, in the file's order."""
    lengths = dict(zip(axes, shape, strict=True))
    n_all = prod(n for a, n in zip(axes, shape, strict=True) if a not in "TZYX")
    n_samples = lengths.get("S", 1)
    n_pages = n_all // n_samples
    names = _imagej_names(tif)
    if ome is not None:
        names = list(ome.channel_names) if ome.n_channels == n_all else []
    if len(names) == n_all and n_samples > 1:
        return name_channels(names)
    if len(names) != n_pages:
        names = [""] * n_pages
    if n_samples == 1:
        return name_channels(names)
    samples = COLOURS if is_photograph and n_samples <= len(COLOURS) else tuple(range(n_samples))
    return name_channels(
        [
            _sample_name(name, i, samples[s], n_pages)
            for i, name in enumerate(names)
            for s in range(n_samples)
        ]
    )


def _sample_name(name: str, page: int, sample: str | int, n_pages: int) -> str:
    """Name of a sample: a colour, or `<channel> sample <n>`, after the page where it matters."""
    word = sample if isinstance(sample, str) else f"sample_{sample}"
    prefix = name or (f"page_{page}" if n_pages > 1 else "")
    return f"{prefix} {word}".strip()


def _imagej_names(tif: tifffile.TiffFile) -> list[str]:
    """ImageJ's slice labels, where it wrote them."""
    labels = (tif.imagej_metadata or {}).get("Labels") if tif.is_imagej else None
    return [str(label) for label in labels] if isinstance(labels, list | tuple) else []


def _pixel_size_um(tif: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[float, float] | None:
    """(y, x) in micrometres from the resolution tags, with ImageJ's unit where it says one."""
    unit: Any = {2: "in", 3: "cm"}.get(int(page.resolutionunit))
    if tif.is_imagej:
        unit = str((tif.imagej_metadata or {}).get("unit", unit or ""))
        unit = unit.replace("\\u00B5", "µ")
    factor = MICROMETRES.get(unit)
    per_unit = page.resolution
    if factor is None or not all(value > 0 for value in per_unit):
        return None
    x, y = (factor / value for value in per_unit)
    return (y, x) if max(y, x) <= LARGEST_PIXEL_UM else None
