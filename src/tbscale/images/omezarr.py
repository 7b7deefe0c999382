"""Open OME-Zarr images, 0.5 (Zarr 3) and 0.4 (Zarr 2), with or without shards.

A label image is an image too. Source: OME-Zarr specification 0.4 and 0.5.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

from tbscale.errors import ImageError
from tbscale.images.damage import one_line
from tbscale.images.image import Image, Level
from tbscale.images.omezarr_metadata import Multiscale, parse_multiscale
from tbscale.images.plane import ByteCount, Plane, region_bounds

METADATA_FILES = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")

Pixels = zarr.Array[Any]


class CountingStore(WrapperStore[LocalStore]):
    """A read-only directory that counts the bytes of chunks read from it."""

    def __init__(self, store: LocalStore, count: ByteCount | None = None) -> None:
        super().__init__(store)
        self.count = ByteCount() if count is None else count

    def with_read_only(self, read_only: bool = False) -> CountingStore:
        """The same count over the store with another mode."""
        return CountingStore(self._store.with_read_only(read_only), self.count)

    def _note(self, key: str, data: Buffer | None) -> Buffer | None:
        if data is not None and key.rsplit("/", 1)[-1] not in METADATA_FILES:
            self.count.add(len(data))
        return data

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The bytes at `key`, counted."""
        return self._note(key, await super().get(key, prototype, byte_range))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """The bytes of each range, counted."""
        wanted = list(key_ranges)
        found = await super().get_partial_values(prototype, wanted)
        return [self._note(key, data) for (key, _), data in zip(wanted, found, strict=True)]


@dataclass(frozen=True)
class ZarrPlane:
    """The Y and X of an array at fixed indices along its other axes."""

    path: Path
    pixels: Pixels
    fixed: tuple[int, ...]
    count: ByteCount

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X), pixels."""
        return self.pixels.shape[-2], self.pixels.shape[-1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in the byte order of this machine."""
        return np.dtype(self.pixels.dtype).newbyteorder("=")

    @property
    def chunk_shape(self) -> tuple[int, int]:
        """(Y, X) of a chunk (inside a shard, where there are shards), pixels."""
        return _chunk_shape(self.pixels)

    @property
    def beside_bytes(self) -> int:
        """Bytes of a decoded chunk that are of other channels or planes."""
        chunk = self.pixels.chunks
        return (prod(chunk) - chunk[-2] * chunk[-1]) * self.dtype.itemsize

    @property
    def bytes_read(self) -> int:
        """Bytes of the chunks read so far."""
        return self.count.total

    def read(self, y: slice, x: slice) -> NDArray[Any]:
        """Pixels of the region; absent chunks are the array's fill value."""
        y0, y1, x0, x1 = region_bounds(self.shape, y, x)
        region: tuple[int | slice, ...] = (*self.fixed, slice(y0, y1), slice(x0, x1))
        try:
            found = self.pixels[region]
        except Exception as error:  # codecs raise what they like
            raise ImageError(
                f"{self.path}: a chunk in region {y0}:{y1},{x0}:{x1} cannot be read "
                f"({one_line(error)}); copy or export the image again"
            ) from error
        return np.array(found, dtype=self.dtype, order="C").reshape(y1 - y0, x1 - x0)


def open_omezarr(path: Path) -> Image:
    """Open a directory that is an OME-Zarr image, or that holds one as bioformats2raw writes.

    Raises
    ------
    ImageError : no Zarr group; a plate or a list of labels; broken metadata or arrays
    """
    with _said_in_one_sentence(path):
        group = zarr.open_group(LocalStore(path, read_only=True), mode="r")
        place, multiscale = parse_multiscale(path, group)
        source = ZarrSource(path, path / place, multiscale)
    top = source.arrays[0]
    return Image(
        path=path,
        kind=f"OME-Zarr {multiscale.version}",
        axes=multiscale.axes,
        shape=tuple(top.shape),
        dtype=np.dtype(top.dtype).newbyteorder("="),
        channels=multiscale.channels(tuple(top.shape)),
        size_z=multiscale.length("Z", top.shape),
        size_t=multiscale.length("T", top.shape),
        is_photograph=False,
        pixel_size_um=multiscale.pixel_size_um,
        notes=(*multiscale.notes, *multiscale.name_notes(tuple(top.shape)), *source.notes),
        source=source,
    )


@contextmanager
def _said_in_one_sentence(path: Path) -> Iterator[None]:
    """Turn what zarr raises on a directory that it cannot read into one sentence."""
    try:
        yield
    except ImageError:
        raise
    except zarr.errors.ContainsArrayError:
        raise _an_array(path) from None
    except zarr.errors.NodeNotFoundError as error:
        if (path / ".zgroup").exists() or _node_type(path) == "group":
            raise ImageError(
                f"{path} lists an array that is not there ({error}); copy the image again"
            ) from None
        if (path / ".zarray").exists() or _node_type(path) == "array":
            raise _an_array(path) from None
        raise ImageError(
            f"{path} is a directory and no OME-Zarr image; pass the directory with zarr.json or "
            ".zattrs in it, or a TIFF file"
        ) from None
    except Exception as error:  # metadata may be anything, and breaks in as many ways
        raise ImageError(
            f"{path} cannot be opened as OME-Zarr ({one_line(error)}); "
            "repair its metadata or export it again"
        ) from error


def _an_array(path: Path) -> ImageError:
    return ImageError(
        f"{path} is a Zarr array, not an OME-Zarr image; pass the group that holds it"
    )


def _node_type(path: Path) -> str | None:
    """What the `zarr.json` of a directory says it is, None where there is none."""
    file = path / "zarr.json"
    return json.loads(file.read_text()).get("node_type") if file.exists() else None


@dataclass
class ZarrSource:
    """Planes of one multiscale image; `group` is the directory of its arrays."""

    path: Path
    group: Path
    multiscale: Multiscale
    arrays: list[Pixels] = field(init=False)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        opened = [self._open(place, ByteCount()) for place in self.multiscale.places]
        first = opened[0]
        _check_array(self.path, first, self.multiscale.axes)
        kept = [
            (array, place)
            for array, place in zip(opened, self.multiscale.places, strict=True)
            if self._is_level(array, first)
        ]
        self.arrays = [array for array, _ in kept]
        self._places = [place for _, place in kept]
        self.n_levels = len(kept)
        if self.n_levels < len(opened):
            lost = len(opened) - self.n_levels
            self.notes = (f"{lost} pyramid levels do not hold the same channels: left out",)

    def _open(self, place: str, count: ByteCount) -> Pixels:
        store = CountingStore(LocalStore(self.group, read_only=True), count)
        return zarr.open_array(store, path=place, mode="r")

    def _is_level(self, array: Pixels, first: Pixels) -> bool:
        """Whether an array has all channels and times of the first, in the same type."""
        kept = [i for i, a in enumerate(self.multiscale.axes) if a not in "ZYX"]
        return (
            array.ndim == first.ndim
            and array.dtype == first.dtype
            and all(array.shape[i] == first.shape[i] for i in kept)
        )

    def close(self) -> None:
        """Nothing is held open."""

    def levels(self) -> tuple[Level, ...]:
        """Facts of each level."""
        return tuple(
            Level(
                index,
                (array.shape[-2], array.shape[-1]),
                _chunk_shape(array),
                _codec_name(array),
                _stored_bytes(self.group / place),
                prod(array.shape) * array.dtype.itemsize,
            )
            for index, (array, place) in enumerate(zip(self.arrays, self._places, strict=True))
        )

    def plane(self, level: int, channel: int, z: int, t: int) -> Plane:
        """The plane at these indices; z is that of the level."""
        count = ByteCount()
        array = self._open(self._places[level], count)
        depth = self.multiscale.length("Z", array.shape)
        if z >= depth:
            raise ImageError(
                f"{self.path} has {depth} planes along z at level {level}; pass z below {depth}"
            )
        return ZarrPlane(self.path, array, self.multiscale.fix(channel, z, t, array.shape), count)


def _check_array(path: Path, array: Pixels, axes: str) -> None:
    if array.ndim != len(axes):
        raise ImageError(
            f"{path} lists {len(axes)} axes ({axes}) for an array of {array.ndim}; repair its "
            "metadata or export it again"
        )
    if np.dtype(array.dtype).kind not in "biufc" or prod(array.shape) == 0:
        raise ImageError(
            f"{path} holds {array.dtype} values of shape {array.shape}, which are no pixels; "
            "export it as integers or real numbers"
        )


def _chunk_shape(array: Pixels) -> tuple[int, int]:
    return array.chunks[-2], array.chunks[-1]


def _codec_name(array: Pixels) -> str:
    """Words for compressor and shards, e.g. 'zstd, in shards of 4096 x 4096'."""
    names = []
    for codec in array.compressors:
        facts = codec.to_dict() if hasattr(codec, "to_dict") else codec.get_config()
        name = str(facts.get("name") or facts.get("id"))
        inner = facts.get("configuration", facts)
        method = inner.get("cname") if isinstance(inner, dict) else None
        names.append(f"{name} {getattr(method, 'value', method)}" if method else name)
    words = ", ".join(names) or "none"
    if array.shards is None:
        return words
    return f"{words}, in shards of {array.shards[-2]} x {array.shards[-1]}"


def _stored_bytes(directory: Path) -> int:
    """Bytes of the chunks of an array, metadata left out."""
    files = (p for p in directory.rglob("*") if p.name not in METADATA_FILES and p.is_file())
    return sum(p.stat().st_size for p in files)
