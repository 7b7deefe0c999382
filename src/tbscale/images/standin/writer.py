"""Write the stand-in of a dataset: its image, and its true labels as a second file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tifffile
from numpy.typing import NDArray

from tbscale.errors import DatasetError
from tbscale.images.datasets import Dataset
from tbscale.images.standin.ometiff import Draw, Drawing, Progress, ome_xml, write_drawing
from tbscale.images.standin.pyramid import halve_by_choice, halve_by_mean
from tbscale.images.standin.stains import Stain, stain_of
from tbscale.images.standin.tissue import TissueSpec, nuclei_count, render_channel, render_labels

Crop = tuple[slice, slice]
_SUFFIXES = (".ome.tif", ".ome.tiff", ".tif", ".tiff")
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class StandIn:
    """What to write: a dataset's imitation of a seed, or part of its channels and its plane."""

    dataset: Dataset
    seed: int = 0
    channels: int | None = None
    crop: Crop | None = None

    def __post_init__(self) -> None:
        """Refuse what the dataset does not have.

        Raises
        ------
        DatasetError : channels, crop or seed out of range
        """
        most = len(self.dataset.channel_names)
        if not 1 <= self.n_channels <= most:
            raise DatasetError(
                f"{self.dataset.name} has {most} channels, so {self.channels} cannot be written; "
                f"pass 1 to {most}"
            )
        if not 0 <= self.seed <= LARGEST_SEED:
            raise DatasetError(f"seed {self.seed} is out of range; pass 0 to {LARGEST_SEED}")
        height, width = self.dataset.shape
        y, x = self.window
        if not (0 <= y.start < y.stop <= height and 0 <= x.start < x.stop <= width):
            raise DatasetError(
                f"crop {y.start}:{y.stop},{x.start}:{x.stop} does not lie in the plane of "
                f"{self.dataset.name}; stay within 0:{height},0:{width}"
            )

    @property
    def n_channels(self) -> int:
        return len(self.dataset.channel_names) if self.channels is None else self.channels

    @property
    def window(self) -> Crop:
        """The part of the plane that is written."""
        if self.crop is not None:
            return self.crop
        return slice(0, self.dataset.shape[0]), slice(0, self.dataset.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) of the file."""
        y, x = self.window
        return y.stop - y.start, x.stop - x.start

    @property
    def pixels(self) -> int:
        """Pixels of all planes that will be drawn, the labels' included."""
        return self.shape[0] * self.shape[1] * (self.n_channels + 1)

    @property
    def tissue(self) -> TissueSpec:
        return self.dataset.stand_in_tissue(self.seed)


def parse_crop(text: str) -> Crop:
    """Read Y0:Y1,X0:X1.

    Raises
    ------
    DatasetError : anything else

    >>> parse_crop("0:512,100:612")
    (slice(0, 512, None), slice(100, 612, None))
    """
    try:
        y, x = ([int(part) for part in axis.split(":")] for axis in text.split(","))
        (y0, y1), (x0, x1) = y, x
    except ValueError:
        raise DatasetError(
            f"{text!r} is not a crop; pass Y0:Y1,X0:X1 in pixels, such as 0:512,100:612"
        ) from None
    return slice(y0, y1), slice(x0, x1)


def labels_path(out: Path) -> Path:
    """Where the true labels of a stand-in lie.

    >>> labels_path(Path("data/exemplar-001.ome.tif")).name
    'exemplar-001-labels.ome.tif'
    """
    for suffix in _SUFFIXES:
        if out.name.lower().endswith(suffix):
            return out.with_name(f"{out.name[: -len(suffix)]}-labels.ome.tif")
    raise DatasetError(f"{out.name!r} is no name for an OME-TIFF; end it in .ome.tif")


def _draw_channel(tissue: TissueSpec, stain: Stain, window: Crop, y: slice, x: slice) -> Any:
    return render_channel(tissue, *_inside(window, y, x), stain)


def _draw_labels(tissue: TissueSpec, window: Crop, y: slice, x: slice) -> NDArray[np.uint32]:
    return render_labels(tissue, *_inside(window, y, x))


def _inside(window: Crop, y: slice, x: slice) -> Crop:
    """A part of a window in the coordinates of the plane."""
    top, left = window[0].start, window[1].start
    return slice(top + y.start, top + y.stop), slice(left + x.start, left + x.stop)


def image_drawing(what: StandIn) -> Drawing:
    """The image of a stand-in, ready to be written."""
    data, tissue, window = what.dataset, what.tissue, what.window
    draws: list[Draw] = [
        partial(_draw_channel, tissue, stain_of(n), window) for n in range(what.n_channels)
    ]
    return Drawing(
        f"{data.name} stand-in", _describe(what, "Synthetic image"), what.shape,
        np.dtype(np.uint16), data.channel_names[: what.n_channels], draws, halve_by_mean,
        data.pixel_size_um,
    )  # fmt: skip


def labels_drawing(what: StandIn) -> Drawing:
    """The true labels of a stand-in, ready to be written."""
    return Drawing(
        f"{what.dataset.name} stand-in labels", _describe(what, "True labels of a synthetic image"),
        what.shape, np.dtype(np.uint32), ["labels"],
        [partial(_draw_labels, what.tissue, what.window)], halve_by_choice,
        what.dataset.pixel_size_um,
    )  # fmt: skip


def _describe(what: StandIn, kind: str) -> str:
    y, x = what.window
    return (
        f"{kind}: stand-in of {what.dataset.name}, seed {what.seed}, "
        f"region {y.start}:{y.stop},{x.start}:{x.stop} of its plane. No pixel is measured."
    )


def _refuse_to_replace(path: Path, drawing: Drawing) -> None:
    """The same stand-in may be written again; nothing else is overwritten."""
    if not path.exists():
        return
    try:
        with tifffile.TiffFile(path) as tif:
            described = tif.pages.first.description
    except tifffile.TiffFileError:
        described = ""
    if described == ome_xml(drawing).decode():
        return
    what = "another stand-in" if "stand-in of " in described else "no stand-in"
    raise DatasetError(f"{path} exists and is {what}; remove it, or pass another --out")


def _clear_litter(path: Path) -> None:
    """Remove what a run that was killed left beside `path`."""
    for litter in path.parent.glob(f".{path.name}.*.partial"):
        pid = litter.name.removesuffix(".partial").rpartition(".")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            litter.unlink(missing_ok=True)


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _told_in_one_sentence(out: Path) -> Iterator[None]:
    """Turn what a disk refuses into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            reason, remedy = "no room is left", "free some, or give another folder by --out"
        else:
            reason, remedy = error.strerror or str(error), "give a folder to write in by --out"
        raise DatasetError(f"cannot write {out}: {reason}; {remedy}") from error


def write_stand_in(
    what: StandIn, out: Path, workers: int | None = None, progress: Progress | None = None
) -> Path:
    """Write image and labels, both complete or neither; return the labels' path.

    Takes under 1 GiB of memory at any size. The same arguments give the same bytes.

    Parameters
    ----------
    out : the image, an OME-TIFF; the labels lie beside it, `labels_path(out)`
    workers : threads; by default one for each core that the process may use
    progress : called with numbers of pixels that add up to `what.pixels`

    Raises
    ------
    DatasetError : the files cannot be written there, or others are there already; the same may be
    """
    labels = labels_path(out)
    threads = workers or _cores()
    tell = progress or (lambda pixels: None)
    parts = [path.with_name(f".{path.name}.{os.getpid()}.partial") for path in (out, labels)]
    drawings = [image_drawing(what), labels_drawing(what)]
    with _told_in_one_sentence(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(out))
        for path, drawing in zip((out, labels), drawings, strict=True):
            _refuse_to_replace(path, drawing)
            _clear_litter(path)
        nuclei_count(what.tissue)  # numbers the labels once, before the threads need them
        try:
            for part, drawing in zip(parts, drawings, strict=True):
                write_drawing(part, drawing, threads, tell)
            parts[1].replace(labels)
            parts[0].replace(out)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)
    return labels
