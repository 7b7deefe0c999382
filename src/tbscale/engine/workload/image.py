"""The region that a job reads, and the facts that identify it."""

from __future__ import annotations

import hashlib
from typing import Any

from tbscale.engine.workload.job import Job
from tbscale.errors import ImageError
from tbscale.images.image import Image
from tbscale.images.open import open_image
from tbscale.images.plane import Plane

HASH_ROWS = 1024


def job_region(job: Job, plane: Plane) -> tuple[slice, slice]:
    """The job's crop as slices, or the whole plane. ImageError where it leaves the plane."""
    height, width = plane.shape
    if job.crop is None:
        return slice(0, height), slice(0, width)
    y0, y1, x0, x1 = job.crop
    if not (0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width):
        raise ImageError(
            f"the crop {y0}:{y1},{x0}:{x1} does not lie in the plane of {height} x {width} "
            "pixels (Y x X); pass Y0:Y1,X0:X1 inside it"
        )
    return slice(y0, y1), slice(x0, x1)


def image_facts(job: Job) -> dict[str, Any]:
    """What a record says of the plane; reads the region once more to hash its pixels."""
    with open_image(job.image) as image:
        plane = image.plane(job.channel, job.level)
        index = _channel_index(image, job)
        rows, columns = job_region(job, plane)
        size = image.pixel_size_um
        return {
            "shape": list(plane.shape),
            "level": job.level,
            "channel": index,
            "channel_name": image.channels[index].name,
            "channels": len(image.channels),
            "crop": None if job.crop is None else list(job.crop),
            "dtype": str(plane.dtype),
            "pixel_size_um": None if size is None else float(size[1]),
            "sha256": pixels_sha256(plane, rows, columns),
        }


def _channel_index(image: Image, job: Job) -> int:
    return 0 if job.channel is None else image.pick_channel(job.channel)


def pixels_sha256(plane: Plane, rows: slice, columns: slice) -> str:
    """SHA-256 of a region's pixels, C order, little-endian; reads some rows at a time."""
    digest = hashlib.sha256()
    little_endian = plane.dtype.newbyteorder("<")
    for y0 in range(rows.start, rows.stop, HASH_ROWS):
        pixels = plane.read(slice(y0, min(y0 + HASH_ROWS, rows.stop)), columns)
        digest.update(pixels.astype(little_endian, copy=False).tobytes())
    return digest.hexdigest()
