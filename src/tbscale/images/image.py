"""An open image: its channels and levels, and the rules by which one plane is picked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from tbscale.errors import ImageError
from tbscale.images.plane import Plane

SEGMENTABLE_KINDS = "biuf"  # NumPy kinds: bool, signed, unsigned, real


@dataclass(frozen=True)
class Channel:
    """One channel; `name` is the metadata's, or `channel_<index>` where there is none."""

    index: int
    name: str


@dataclass(frozen=True)
class Level:
    """One pyramid level, 0 = full resolution.

    `stored_bytes` and `memory_bytes` are those of all planes of the level together.
    """

    index: int
    shape: tuple[int, int]
    chunk_shape: tuple[int, int]
    codec: str
    stored_bytes: int
    memory_bytes: int


class Source(Protocol):
    """What a file format provides; indices are checked before they get here."""

    n_levels: int

    def levels(self) -> tuple[Level, ...]:
        """Facts of each level; may walk the whole file's index."""
        ...

    def plane(self, level: int, channel: int, z: int, t: int) -> Plane:
        """The plane at these indices."""
        ...

    def close(self) -> None:
        """Close the file; planes stay readable."""
        ...


@dataclass
class Image:
    """An image file or store, open for reading planes.

    Attributes
    ----------
    path : the file or store
    kind : "OME-TIFF", "TIFF" or "OME-Zarr 0.5" and the like
    axes, shape : as stored, one letter for each length; T, Z, C, Y, X, S (samples of a pixel)
    dtype : of the pixels
    channels : every channel; the samples of a pixel, and pages whose axis has no name, count
    size_z, size_t : planes along z and t
    is_photograph : pixels are colours (RGB and the like), so a channel must be chosen
    pixel_size_um : (y, x) in micrometres, or None where the file does not say
    notes : sentences on what the file's metadata gets wrong and what was done about it
    """

    path: Path
    kind: str
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    channels: tuple[Channel, ...]
    size_z: int
    size_t: int
    is_photograph: bool
    pixel_size_um: tuple[float, float] | None
    notes: tuple[str, ...]
    source: Source

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """Every pyramid level, full resolution first."""
        return self.source.levels()

    def plane(
        self,
        channel: int | str | None = None,
        level: int = 0,
        z: int | None = None,
        t: int | None = None,
    ) -> Plane:
        """One plane, lazily.

        Parameters
        ----------
        channel : index from 0, or a name (see `pick_channel`); None is channel 0, except that
            a photograph has no such default
        level : pyramid level, 0 = full resolution
        z, t : index from 0; may be absent where there is only one

        Raises
        ------
        ImageError : no such channel, level, z or t; values that cannot be segmented
        """
        if self.dtype.kind not in SEGMENTABLE_KINDS:
            raise ImageError(
                f"{self.path} holds {self.dtype} values, and a plane must hold bool, integer or "
                "real ones; save a real quantity, such as the magnitude as float32, and pass that"
            )
        index = self._default_channel() if channel is None else self.pick_channel(channel)
        if not 0 <= level < self.source.n_levels:
            raise ImageError(
                f"{self.path} has no level {level}; pass a level {_choice(self.source.n_levels)}"
            )
        z_index, t_index = self._pick("z", z, self.size_z), self._pick("t", t, self.size_t)
        return self.source.plane(level, index, z_index, t_index)

    def pick_channel(self, channel: int | str) -> int:
        """Index of a channel given by index or by name.

        A text of digits is an index, as from a command line; where it is also another channel's
        name, say `index:1` or `name:1`.

        Raises
        ------
        ImageError : no such index or name, or a name that several channels have
        """
        if isinstance(channel, str):
            return self._pick_text(channel)
        if not 0 <= channel < len(self.channels):
            raise ImageError(
                f"{self.path} has no channel {channel}; pass a channel "
                f"{_choice(len(self.channels))} or a name ({self._names()})"
            )
        return int(channel)

    def _pick_text(self, text: str) -> int:
        if text.startswith("name:"):
            return self._pick_name(text.removeprefix("name:"))
        number = text.removeprefix("index:")
        if not (number.isascii() and number.isdigit()):
            return self._pick_name(text)
        others = [c.index for c in self.channels if c.name == text and c.index != int(number)]
        if others:
            raise ImageError(
                f"{self.path} has a channel named {text!r} at index {others[0]}, so {text} may "
                f"mean two channels; pass name:{text} or index:{text}"
            )
        return self.pick_channel(int(number))

    def _pick_name(self, name: str) -> int:
        found = [c.index for c in self.channels if c.name == name]
        if not found:
            raise ImageError(
                f"{self.path} has no channel named {name!r}; pass one of {self._names()}"
            )
        if len(found) > 1:
            raise ImageError(
                f"{self.path} has {len(found)} channels named {name!r}; pass the index, one of "
                f"{', '.join(map(str, found))}"
            )
        return found[0]

    def _default_channel(self) -> int:
        if self.is_photograph:
            raise ImageError(
                f"{self.path} is a colour photograph ({self._names()}); pass the channel to "
                f"segment, {_choice(len(self.channels))}"
            )
        return 0

    def _pick(self, axis: str, index: int | None, size: int) -> int:
        if index is None:
            if size == 1:
                return 0
            raise ImageError(
                f"{self.path} has {size} planes along {axis}; pass {axis} {_choice(size)}"
            )
        if not 0 <= index < size:
            raise ImageError(f"{self.path} has no {axis} {index}; pass {axis} {_choice(size)}")
        return int(index)

    def _names(self) -> str:
        shown = [repr(c.name) for c in self.channels[:50]]
        return ", ".join(shown) + (", ..." if len(self.channels) > 50 else "")

    def close(self) -> None:
        """Close the file; planes stay readable."""
        self.source.close()

    def __enter__(self) -> Image:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _choice(size: int) -> str:
    """Words for an index below `size`: '0', '0 or 1', '0 to 11'."""
    return "0" if size == 1 else "0 or 1" if size == 2 else f"0 to {size - 1}"


def name_channels(names: list[str]) -> tuple[Channel, ...]:
    """Channels in order; an empty name becomes `channel_<index>`."""
    return tuple(Channel(i, name or f"channel_{i}") for i, name in enumerate(names))
