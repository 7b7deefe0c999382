"""Write the labels of a plane to their final file, which appears only when complete."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from tbscale.errors import ImageError
from tbscale.images.labels_out.chunks import LABEL_CHUNK_PX
from tbscale.images.labels_out.codes import TIFF_CODE, ZARR_CODE, Labels
from tbscale.images.labels_out.disk import check_folder, told_if_full
from tbscale.images.labels_out.ome_tiff import stream_ome_tiff
from tbscale.images.labels_out.ome_zarr import write_metadata
from tbscale.images.labels_out.spool import LabelSource, LabelSpool

ZARR_ENDINGS = (".zarr",)  # .ome.zarr too
ALL = slice(None)
TIFF_ENDINGS = (".tif", ".tiff")  # .ome.tif and .ome.tiff too


def partial_path(path: str | Path) -> Path:
    """Where the labels of an unfinished output are collected: hidden, beside it."""
    path = Path(path)
    return path.with_name(f".{path.name}.partial")


def open_label_writer(
    path: str | Path,
    shape: tuple[int, int],
    *,
    chunk_px: int = LABEL_CHUNK_PX,
    pixel_size_um: tuple[float, float] | None = None,
    provenance: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> LabelWriter:
    """Start writing labels; use it in a `with`, or call `finish`.

    Parameters
    ----------
    path : .ome.zarr or .zarr for OME-Zarr 0.5, .ome.tif, .ome.tiff, .tif or .tiff for OME-TIFF
    shape : (Y, X), pixels
    chunk_px : side of the stored chunks, a multiple of 16
    pixel_size_um : (y, x), micrometres, if known
    provenance : what made the labels, JSON values; kept in the output's metadata
    overwrite : replace what is at `path`, at the end
    resume : keep what an unfinished writer of the same output, which could be resumed too, has
        collected; writing so that this is possible takes a little longer

    Raises
    ------
    ImageError : an unknown extension, a `path` that exists, a bad size
    RunError : no such directory, or one that takes no file
    """
    path = Path(path)
    check_label_path(path, overwrite)
    if min(shape) < 1 or chunk_px < 16 or chunk_px % 16:
        raise ImageError(
            f"labels of {shape[0]} x {shape[1]} in chunks of {chunk_px} px cannot be written; "
            "pass at least one pixel and chunks of a multiple of 16"
        )
    return LabelWriter(path, shape, chunk_px, pixel_size_um, provenance or {}, overwrite, resume)


def check_label_path(path: Path, overwrite: bool = False) -> None:
    """Refuse a path that labels cannot be written to, before any work is done.

    Raises
    ------
    ImageError : an unknown extension, a `path` that exists
    RunError : no such directory, or one that takes no file
    """
    if not path.name.lower().endswith(ZARR_ENDINGS + TIFF_ENDINGS):
        raise ImageError(
            f"{path} has no extension of a label file; end it in .ome.zarr or .ome.tif"
        )
    check_folder(path.parent)
    if not overwrite:
        _refuse_existing(path)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise ImageError(f"{path} exists; remove it, or choose another name")


class LabelWriter:
    """Takes labels block by block; see `open_label_writer`.

    Blocks may come in any order and from several threads. Leaving the `with` after an error
    removes what was collected, unless the writer was opened to resume. What a killed process
    leaves is under `partial_path`.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int],
        chunk_px: int,
        pixel_size_um: tuple[float, float] | None,
        provenance: Mapping[str, Any],
        overwrite: bool,
        resume: bool,
    ) -> None:
        self.path = path
        self.shape = shape
        self._pixel_size_um = pixel_size_um
        self._provenance = dict(provenance)
        self._overwrite = overwrite
        self._resume = resume
        self._is_zarr = path.name.lower().endswith(ZARR_ENDINGS)
        code = ZARR_CODE if self._is_zarr else TIFF_CODE
        self._spool = LabelSpool(partial_path(path), shape, chunk_px, resume, code)
        self._is_open = True

    def write(self, y: slice, x: slice, labels: NDArray[Any]) -> None:
        """Replace the labels of a region, which must lie inside the plane."""
        self._spool.write(y, x, labels)

    def write_from(self, source: LabelSource, y: slice = ALL, x: slice = ALL) -> None:
        """Replace the labels of a region by those of a source, which several threads read.

        The source is asked for the part of each stored chunk, in an order that completes those of
        the pyramid soon, and may give memory of its own: the part is not kept. Nothing is copied
        where that is C-contiguous uint32 and a whole chunk; see `LabelSource` for the border.
        """
        self._spool.write_from(source, y, x)

    def merge(self, y: slice, x: slice, labels: NDArray[Any]) -> None:
        """Set the labels of a region where they are not 0, and leave the other pixels.

        For blocks whose cells reach beyond their core: no two blocks own one pixel, so the
        order does not matter, and doing a block again changes nothing.
        """
        self._spool.merge(y, x, labels)

    def read(self, y: slice, x: slice) -> Labels:
        """The labels written to a region so far; not while another thread writes there."""
        return self._spool.read(y, x)

    def annotate(self, facts: Mapping[str, Any]) -> None:
        """Add to the provenance that the output's metadata will hold, JSON values."""
        self._provenance |= facts

    def finish(self) -> Path:
        """Build the pyramid, write the final form and give it its name.

        Memory: a few chunks, whatever the plane. A crash before the end leaves nothing at
        `path`, and finishing again works.
        """
        if not self._is_open:
            raise ImageError(f"{self.path} was finished or aborted; open a new writer")
        if not self._overwrite:
            _refuse_existing(self.path)
        levels = self._spool.build_pyramid()
        if self._is_zarr:
            name = self.path.name.removesuffix(".zarr").removesuffix(".ome")
            spooled = self._spool.directory
            write_metadata(spooled, len(levels), name, self._pixel_size_um, self._provenance)
            _replace(spooled, self.path)
        else:
            complete = self._complete_path()
            with told_if_full(self.path):
                stream_ome_tiff(
                    complete, levels, self._spool.chunk_px, self._pixel_size_um, self._provenance
                )
            _replace(complete, self.path)
            shutil.rmtree(self._spool.directory)
        self._is_open = False
        return self.path

    def _complete_path(self) -> Path:
        return self.path.with_name(f".{self.path.name}.complete")

    def abort(self) -> None:
        """Remove what was collected; nothing appears at `path`."""
        self._complete_path().unlink(missing_ok=True)
        self._spool.drop()
        self._is_open = False

    def __enter__(self) -> LabelWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_open:
            return
        if error is None:
            try:
                self.finish()
            except BaseException:
                if not self._resume:
                    self.abort()
                raise
        elif not self._resume:
            self.abort()


def _replace(complete: Path, path: Path) -> None:
    """Give a complete file or directory its final name, in place of what has it."""
    if not (path.is_dir() and not path.is_symlink()):
        complete.replace(path)
        return
    old = path.with_name(f".{path.name}.old")  # a directory that is not empty cannot be replaced
    if old.exists():
        shutil.rmtree(old)
    path.rename(old)
    complete.rename(path)
    shutil.rmtree(old)
