"""Stream drawn planes into a tiled OME-TIFF with a pyramid in SubIFDs; bytes never vary.

Chunks are drawn, encoded and halved by a pool of threads, written in order, and forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from tbscale.images.standin.pyramid import (
    CHUNK_PX,
    Halver,
    Pyramid,
    Spool,
    encode,
    level_shapes,
    windows,
)

LARGEST_CLASSIC_BYTES = 2**32 - 2**27  # a classic TIFF addresses 4 GiB; leave room for its index
AHEAD = 12  # chunks in flight for each worker; a finished one is 2 MB, encoded
_OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"

Draw = Callable[[slice, slice], NDArray[Any]]
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Drawing:
    """An image to be written: what it is called, and how each of its channels is drawn.

    `draws` has one function for each channel: (y, x) slices of the plane -> (Y, X) of `dtype`.
    """

    name: str
    description: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    channel_names: Sequence[str]
    draws: Sequence[Draw]
    halve: Halver
    pixel_size_um: float | None

    @property
    def largest_bytes(self) -> int:
        """Size of all levels of all channels before compression."""
        pixels = sum(prod(shape) for shape in level_shapes(self.shape))
        return pixels * len(self.draws) * self.dtype.itemsize


def ome_xml(drawing: Drawing) -> bytes:
    """Describe an image in OME-XML (schema 2016-06), UTF-8: names, sizes, type, pixel size."""
    ElementTree.register_namespace("", _OME)
    ElementTree.register_namespace("xsi", _XSI)
    schema = f"{_OME} {_OME}/ome.xsd"
    root = ElementTree.Element(f"{{{_OME}}}OME", {f"{{{_XSI}}}schemaLocation": schema})
    root.set("Creator", "tbscale")
    image = ElementTree.SubElement(root, f"{{{_OME}}}Image", ID="Image:0", Name=drawing.name)
    ElementTree.SubElement(image, f"{{{_OME}}}Description").text = drawing.description
    pixels = ElementTree.SubElement(image, f"{{{_OME}}}Pixels", _pixels(drawing))
    for n, name in enumerate(drawing.channel_names):
        facts = {"ID": f"Channel:0:{n}", "Name": name, "SamplesPerPixel": "1"}
        ElementTree.SubElement(pixels, f"{{{_OME}}}Channel", facts)
    count = str(len(drawing.draws))
    ElementTree.SubElement(pixels, f"{{{_OME}}}TiffData", IFD="0", PlaneCount=count)
    text = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return bytes(text)


def _pixels(drawing: Drawing) -> dict[str, str]:
    """Attributes of the Pixels element."""
    facts = {
        "ID": "Pixels:0",
        "DimensionOrder": "XYCZT",
        "Type": drawing.dtype.name,
        "BigEndian": "false",
        "SizeX": str(drawing.shape[1]),
        "SizeY": str(drawing.shape[0]),
        "SizeC": str(len(drawing.draws)),
        "SizeZ": "1",
        "SizeT": "1",
    }
    if drawing.pixel_size_um is not None:
        for axis in "XY":
            facts[f"PhysicalSize{axis}"] = f"{drawing.pixel_size_um:g}"
            facts[f"PhysicalSize{axis}Unit"] = "µm"
    return facts


def _make_chunk(draw: Draw, halve: Halver, y: slice, x: slice) -> tuple[bytes, NDArray[Any]]:
    area = draw(y, x)
    return encode(area), halve(area)


def _base_chunks(
    drawing: Drawing, draw: Draw, pool: ThreadPoolExecutor, workers: int, pyramid: Pyramid,
    progress: Progress,
) -> Iterator[bytes]:  # fmt: skip
    """The encoded chunks of level 0 in order; the pyramid is fed as they pass."""
    waiting: deque[tuple[int, int, int, Future[tuple[bytes, NDArray[Any]]]]] = deque()

    def finish() -> bytes:
        row, column, pixels, future = waiting.popleft()
        chunk, half = future.result()
        pyramid.add(row, column, half)
        progress(pixels)
        return chunk

    for row, column, y, x in windows(drawing.shape):
        if len(waiting) >= AHEAD * workers:
            yield finish()
        pixels = (y.stop - y.start) * (x.stop - x.start)
        future = pool.submit(_make_chunk, draw, drawing.halve, y, x)
        waiting.append((row, column, pixels, future))
    while waiting:
        yield finish()


def _write_level(
    tif: tifffile.TiffWriter, drawing: Drawing, shape: tuple[int, int], level: int,
    chunks: Iterator[bytes], description: bytes | None,
) -> None:  # fmt: skip
    size = drawing.pixel_size_um
    per_cm = None if size is None else (1e4 / (size * 2**level),) * 2
    tif.write(
        chunks,
        shape=shape,
        dtype=drawing.dtype,
        tile=(CHUNK_PX, CHUNK_PX),
        compression="adobe_deflate",
        predictor=True,
        photometric="minisblack",
        subfiletype=1 if level else 0,
        subifds=len(level_shapes(shape)) - 1 if level == 0 else None,
        description=description,
        software="tbscale",
        metadata=None,
        resolution=per_cm,
        resolutionunit="CENTIMETER" if per_cm else "NONE",
    )


def _write_channel(
    tif: tifffile.TiffWriter, drawing: Drawing, n: int, pool: ThreadPoolExecutor, workers: int,
    directory: Path, progress: Progress,
) -> None:  # fmt: skip
    shapes = level_shapes(drawing.shape)
    spool = Spool(directory, len(shapes) - 1)
    try:
        pyramid = Pyramid(drawing.shape, drawing.dtype, drawing.halve, spool)
        base = _base_chunks(drawing, drawing.draws[n], pool, workers, pyramid, progress)
        _write_level(tif, drawing, shapes[0], 0, base, ome_xml(drawing) if n == 0 else None)
        for level, shape in enumerate(shapes[1:], 1):
            _write_level(tif, drawing, shape, level, spool.chunks(level - 1), None)
    finally:
        spool.close()


def write_drawing(path: Path, drawing: Drawing, workers: int, progress: Progress) -> None:
    """Write an image, channel by channel; BigTIFF where it might not fit 4 GiB.

    Memory: `AHEAD` chunks for each worker and one row of chunks, whatever the size.

    Parameters
    ----------
    path : written in place; give a temporary name
    workers : threads that draw and encode
    progress : called with the number of level-0 pixels that were written
    """
    big = drawing.largest_bytes > LARGEST_CLASSIC_BYTES
    with (
        ThreadPoolExecutor(workers) as pool,
        tifffile.TiffWriter(path, bigtiff=big, byteorder="<") as tif,
    ):
        for n in range(len(drawing.draws)):
            _write_channel(tif, drawing, n, pool, workers, path.parent, progress)
