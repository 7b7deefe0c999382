"""Open an image of any kind that can be read: OME-TIFF, TIFF, OME-Zarr."""

from __future__ import annotations

import logging
from pathlib import Path

from tbscale.errors import ImageError
from tbscale.images.image import Image
from tbscale.images.plane import Plane

logger = logging.getLogger(__name__)


def open_image(path: str | Path, log_notes: bool = True) -> Image:
    """Open an image for reading planes; use it in a `with`, or call `close`.

    Only metadata is read. What the metadata gets wrong is logged, once, and kept in `notes`.

    Parameters
    ----------
    path : a TIFF or OME-TIFF file, or a directory that is an OME-Zarr image (0.4 or 0.5)
    log_notes : log each note as a warning

    Raises
    ------
    ImageError : there is nothing at `path`, or it is neither
    """
    path = Path(path)
    if path.is_dir():
        from tbscale.images.omezarr import open_omezarr

        image = open_omezarr(path)
    elif path.is_file():
        from tbscale.images.tiff import open_tiff

        image = open_tiff(path)
    else:
        raise ImageError(f"there is no file or directory {path}; pass the path of an image")
    for note in image.notes if log_notes else ():
        logger.warning("%s: %s", path, note)
    return image


def open_plane(
    path: str | Path,
    channel: int | str | None = None,
    level: int = 0,
    z: int | None = None,
    t: int | None = None,
) -> Plane:
    """One plane of an image, lazily; see `open_image` and `Image.plane`."""
    with open_image(path) as image:
        return image.plane(channel, level, z, t)
