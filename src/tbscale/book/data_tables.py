"""Tables about the datasets, from the registry that `tbscale data` uses."""

from __future__ import annotations

from tbscale.book import formats
from tbscale.book.markdown import cell, code, number, table, text
from tbscale.images.datasets import DATASETS, Dataset

GB = 1e9
DASH = "–"


def _stored(one: Dataset) -> str:
    return f"{formats.three_digits(one.stored_bytes / GB)}{formats.NBSP}GB"


def datasets_table() -> str:
    """Geometry of the datasets; sizes on disk are those of the originals, approximate."""
    rows = [
        [
            cell(one.name),
            formats.shape(one.shape),
            str(len(one.channel_names)),
            DASH if one.pixel_size_um is None else f"{one.pixel_size_um:g}{formats.NBSP}µm",
            _stored(one),
            formats.memory(2 * one.shape[0] * one.shape[1]),
        ]
        for one in DATASETS.values()
    ]
    columns = [
        text("dataset"),
        number("plane (Y, X)"),
        number("channels"),
        number("pixel, about"),
        number("stored, about"),
        number("one channel"),
    ]
    return table(columns, rows)


def sources_table() -> str:
    """Where each dataset comes from and what to cite."""
    rows = [
        [
            cell(one.name),
            f"{cell(one.reference)}, doi [{one.doi}](https://doi.org/{one.doi})",
            cell(one.licence or "not stated where we looked; see the source"),
            f"Synapse {code(one.synapse_folder)}, file {code(one.file)}",
        ]
        for one in DATASETS.values()
    ]
    return table([text(name) for name in ("dataset", "cite", "licence", "file")], rows)


def tissue_table() -> str:
    """What each stand-in imitates."""
    rows = [
        [
            cell(name),
            f"{low:g} to {high:g}{formats.NBSP}px",
            formats.count(round(one.tissue.nuclei_per_megapixel)),
            formats.share(one.tissue.empty_share),
            formats.share(one.tissue.stroma_share),
        ]
        for name, one in DATASETS.items()
        for low, high in [one.tissue.diameter_px]
    ]
    headings = ("nuclei across", "per megapixel", "bare glass", "elongated")
    return table([text("stand-in of"), *(number(one) for one in headings)], rows)
