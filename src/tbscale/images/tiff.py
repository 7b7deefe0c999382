"""Open TIFF and OME-TIFF: which page holds which plane, whatever the metadata claims.

tifffile groups pages into series and levels. Where OME-XML contradicts the pages, the pages are
believed for geometry, and names and pixel size are kept where the counts agree.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from tbscale.errors import ImageError
from tbscale.images.damage import one_line
from tbscale.images.file_bytes import FileBytes
from tbscale.images.image import Image, Level
from tbscale.images.plane import Plane
from tbscale.images.tiff_metadata import describe_series
from tbscale.images.tiff_pages import (
    DecodedPlane,
    Layout,
    RawPlane,
    codec_name,
    is_raw,
    layout_plane,
)


def open_tiff(path: Path) -> Image:
    """Open a TIFF of any kind.

    Of several images in one file the first is taken. Pages of a plain TIFF, whose axis has no
    name, are channels.

    Raises
    ------
    ImageError : not a TIFF, damaged, without images, or with axes that make no plane
    """
    with _collect_warnings() as warnings, _said_if_damaged(path):
        tif = _open_file(path)
        try:
            series = _first_series(tif, path)
            facts = describe_series(tif, series, path)
            source = TiffSource(tif, series, facts.axes, facts.shape, path)
        except BaseException:
            tif.close()
            raise
    return Image(
        path=path,
        kind="OME-TIFF" if tif.is_ome else "TIFF",
        axes=facts.axes,
        shape=facts.shape,
        dtype=np.dtype(series.keyframe.dtype),
        channels=facts.channels,
        size_z=facts.size_z,
        size_t=facts.size_t,
        is_photograph=facts.is_photograph,
        pixel_size_um=facts.pixel_size_um,
        notes=(*facts.notes, *source.notes, *dict.fromkeys(warnings)),
        source=source,
    )


@contextmanager
def _collect_warnings() -> Iterator[list[str]]:
    """Take tifffile's warnings on a file out of the log and into a list."""
    messages: list[str] = []

    def take(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            messages.append("tifffile says: " + record.getMessage().split("> ", 1)[-1])
        return False

    log = logging.getLogger("tifffile")
    log.addFilter(take)
    try:
        yield messages
    finally:
        log.removeFilter(take)


def _open_file(path: Path) -> tifffile.TiffFile:
    try:
        return tifffile.TiffFile(path)
    except tifffile.TiffFileError as error:
        raise ImageError(
            f"{path} is no TIFF that can be read ({error}); pass a TIFF, an OME-TIFF or an "
            "OME-Zarr, such as bfconvert or bioformats2raw write"
        ) from None
    except Exception as error:  # tifffile parses what it is given; damage shows in many ways
        raise ImageError(f"{path} cannot be opened ({one_line(error)}); copy it again") from error


@contextmanager
def _said_if_damaged(path: Path) -> Iterator[None]:
    """Turn whatever tifffile raises on a damaged index into one sentence."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # as above
        raise ImageError(
            f"{path} is a damaged TIFF ({one_line(error)}); copy or export it again"
        ) from error


def _first_series(tif: tifffile.TiffFile, path: Path) -> tifffile.TiffPageSeries:
    series = [s for s in tif.series if prod(s.shape) > 0]
    if not series:
        raise ImageError(f"{path} is a TIFF without an image; export it again")
    first = series[0]
    if first.keyframe.dtype is None:
        raise ImageError(
            f"{path} holds {first.keyframe.bitspersample}-bit samples of format "
            f"{first.keyframe.sampleformat}, which cannot be read; export it as uint16"
        )
    if first.transform is not None:
        raise ImageError(
            f"{path} stores transformed values ({first.kind}); export it as a plain TIFF"
        )
    return first


@dataclass
class TiffSource:
    """Planes of one series of a TIFF; `axes` and `shape` are those of full resolution."""

    tif: tifffile.TiffFile
    series: tifffile.TiffPageSeries
    axes: str
    shape: tuple[int, ...]
    path: Path

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[Path, FileBytes] = {}
        stored = list(self.series.levels)
        self._levels = [level for level in stored if self._is_level(level)]
        self.n_levels = len(self._levels)
        dropped = len(stored) - self.n_levels
        self.notes: tuple[str, ...] = ()
        if dropped:
            self.notes = (f"{dropped} pyramid levels do not hold the same planes: left out",)

    def _is_level(self, level: tifffile.TiffPageSeries) -> bool:
        """Whether a level has all planes of the image, in the same type and order."""
        page = level.keyframe
        size = page.imagelength, page.imagewidth
        same_planes = prod(self._level_shape(level)) == prod(level.shape)
        return bool(same_planes and page.dtype == self.series.keyframe.dtype and min(size) > 0)

    def _level_shape(self, level: tifffile.TiffPageSeries) -> tuple[int, ...]:
        page = level.keyframe
        lengths = {"Y": page.imagelength, "X": page.imagewidth}
        return tuple(lengths.get(a, n) for a, n in zip(self.axes, self.shape, strict=True))

    def close(self) -> None:
        """Close the file; planes have their own handles."""
        self.tif.close()

    def levels(self) -> tuple[Level, ...]:
        """Facts of each level."""
        with _said_if_damaged(self.path):
            return tuple(self._describe(i, level) for i, level in enumerate(self._levels))

    def _describe(self, index: int, level: tifffile.TiffPageSeries) -> Level:
        page = level.keyframe
        layout = layout_plane(page, 0, 0, 0)
        memory_bytes = prod(self._level_shape(level)) * page.dtype.itemsize
        stored_bytes = (
            memory_bytes
            if self._is_one_run(level)
            else sum(sum(p.databytecounts) for p in level if p is not None)
        )
        return Level(
            index, layout.shape, layout.chunk_shape, codec_name(page), stored_bytes, memory_bytes
        )

    def _is_one_run(self, level: tifffile.TiffPageSeries) -> bool:
        """Whether one page stands for several, whose pixels follow it in the file."""
        return bool(level.is_truncated and prod(self._level_shape(level)) > level.keyframe.size)

    def plane(self, level: int, channel: int, z: int, t: int) -> Plane:
        """The plane at these indices."""
        series = self._levels[level]
        shape = self._level_shape(series)
        first = self._first_value(shape, channel, z, t)
        with self._lock, _said_if_damaged(self.path):
            if self._is_one_run(series):
                return self._run_plane(series, first, shape)
            return self._page_plane(series, first)

    def _first_value(self, shape: tuple[int, ...], channel: int, z: int, t: int) -> int:
        """Place of the plane's first value in the whole level, in C order."""
        channel_lengths = tuple(n for a, n in zip(self.axes, shape, strict=True) if a not in "TZYX")
        channel_index = iter(np.unravel_index(channel, channel_lengths) if channel_lengths else ())
        fixed = {"T": t, "Z": z, "Y": 0, "X": 0}
        index = [fixed[a] if a in fixed else int(next(channel_index)) for a in self.axes]
        return int(np.ravel_multi_index(index, shape))

    def _page_plane(self, series: tifffile.TiffPageSeries, first: int) -> Plane:
        """The page that holds a value of the level, and the plane of that page."""
        number, within = divmod(first, series.keyframe.size)
        page = self._full_page(series, number)
        separate, depth, _, _, sample = (int(i) for i in np.unravel_index(within, page.shaped))
        layout = layout_plane(page, separate, depth, sample)
        file = self._file(Path(page.parent.filehandle.path))
        if is_raw(page):
            return _raw_plane(page, layout, file)
        return DecodedPlane(page, layout, file, np.dtype(page.dtype))

    def _full_page(self, series: tifffile.TiffPageSeries, number: int) -> tifffile.TiffPage:
        """The page itself, not a frame that borrows another page's codec and chunks."""
        frame = series[number]
        if frame is None:
            raise ImageError(
                f"{self.path}: page {number} of the image is missing, perhaps with a file that "
                "belongs to this one; put the files of the set together"
            )
        handle = frame.parent.filehandle
        closed = handle.closed
        try:
            if closed:
                handle.open()
            page = frame.aspage()
        finally:
            if closed:
                handle.close()
        if page.shaped != series.keyframe.shaped or page.dtype != series.keyframe.dtype:
            raise ImageError(
                f"{self.path}: page {number} is {page.shape} {page.dtype} where the image is "
                f"{series.keyframe.shape} {series.keyframe.dtype}; pass another channel or level"
            )
        return page

    def _run_plane(
        self, series: tifffile.TiffPageSeries, first: int, shape: tuple[int, ...]
    ) -> Plane:
        """A plane of a file that lists one page and stores all after it, uncompressed."""
        page = series.keyframe
        if series.dataoffset is None or not is_raw(page):
            raise ImageError(
                f"{self.path} lists one page for {prod(shape) // page.size} and does not store "
                "them in one run; export it again"
            )
        sample = first % page.shaped[4]
        height, width = page.imagelength, page.imagewidth
        layout = Layout((height, width), (height, width), (1, 1), 0, 0, sample)
        start = series.dataoffset + (first - sample) * page.dtype.itemsize
        return RawPlane(
            layout, (start,), page.shaped[4], _stored_type(page), page.nodata, self._file(self.path)
        )

    def _file(self, path: Path) -> FileBytes:
        if path not in self._files:
            try:
                self._files[path] = FileBytes(path)
            except OSError as error:
                raise ImageError(f"{path} cannot be read ({error.strerror}); check it") from None
        return self._files[path]


def _raw_plane(page: tifffile.TiffPage, layout: Layout, file: FileBytes) -> RawPlane:
    n_chunks = layout.first + layout.grid[0]
    listed = min(len(page.dataoffsets), len(page.databytecounts))
    if listed < n_chunks:
        raise ImageError(
            f"{file.path} is damaged: page {page.index} lists {listed} strips and its size asks "
            f"for {n_chunks}; export the file again"
        )
    offsets = tuple(
        offset if count else 0
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)
    )
    return RawPlane(layout, offsets, page.shaped[4], _stored_type(page), page.nodata, file)


def _stored_type(page: tifffile.TiffPage) -> np.dtype[Any]:
    """The type of a page's values in the byte order of its file."""
    return np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
