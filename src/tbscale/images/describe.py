"""Say what an image holds, and what segmenting one plane of it would need."""

from __future__ import annotations

import math
from typing import Any

from tbscale.errors import ImageError
from tbscale.images.image import Image, Level

# Peak of stock Cellpose 3.1.1.3 on the CPU over the 10,101 x 9,666 pixels of LUNG-1-LN_40X, its
# stand-in: 8.31 GiB, record f1e94c43. Cells and settings move it, and what the libraries take
# themselves weighs more on a smaller plane.
STOCK_BYTES_PER_PIXEL = 91
SCRATCH_BYTES_PER_PIXEL = 25  # flow 8, foreground 1, sinks 8, labels of blocks 4, of the plane 4
LABEL_BYTES_PER_PIXEL = 4  # uint32, before compression
PYRAMID_FACTOR = 4 / 3  # 1 + 1/4 + 1/16 + ...


def describe_image(image: Image) -> dict[str, Any]:
    """Facts of an image as JSON values; lengths in pixels, sizes in bytes.

    `segment_problem` is the sentence with which a segmentation without further arguments would
    end, or None where it would start.
    """
    return {
        "path": str(image.path),
        "kind": image.kind,
        "axes": image.axes,
        "shape": list(image.shape),
        "dtype": str(image.dtype),
        "size_z": image.size_z,
        "size_t": image.size_t,
        "is_photograph": image.is_photograph,
        "pixel_size_um": list(image.pixel_size_um) if image.pixel_size_um else None,
        "channels": [{"index": c.index, "name": c.name} for c in image.channels],
        "levels": [_level_facts(level) for level in image.levels],
        "segment_needs_bytes": needs_bytes(image.levels[0].shape),
        "segment_problem": _problem(image),
        "notes": list(image.notes),
    }


def _level_facts(level: Level) -> dict[str, Any]:
    return {
        "index": level.index,
        "shape": list(level.shape),
        "chunk_shape": list(level.chunk_shape),
        "codec": level.codec,
        "stored_bytes": level.stored_bytes,
        "memory_bytes": level.memory_bytes,
    }


def _problem(image: Image) -> str | None:
    """Why `image.plane()` fails, None if it does not."""
    try:
        image.plane()
    except ImageError as error:
        return str(error)
    return None


def needs_bytes(shape: tuple[int, int]) -> dict[str, int]:
    """Bytes that segmenting a plane of `shape` (Y, X) needs, by what for.

    Scratch and output are upper bounds: both are compressed, and background compresses away.

    >>> needs_bytes((1000, 1000))["stock_memory"]
    91000000
    """
    pixels = math.prod(shape)
    return {
        "stock_memory": STOCK_BYTES_PER_PIXEL * pixels,
        "scratch_at_most": SCRATCH_BYTES_PER_PIXEL * pixels,
        "output_at_most": math.ceil(LABEL_BYTES_PER_PIXEL * pixels * PYRAMID_FACTOR),
    }


def segment_needs(shape: tuple[int, int]) -> list[tuple[str, str]]:
    """The same in words: (what, how much), one for each line to show."""
    needs = needs_bytes(shape)
    return [
        (
            "memory, stock Cellpose 3",
            f"about {format_bytes(needs['stock_memory'])} ({STOCK_BYTES_PER_PIXEL} bytes a pixel, "
            "measured on a plane of 10,101 x 9,666; more a pixel on a small one)",
        ),
        ("scratch on disk, tbscale", f"at most {format_bytes(needs['scratch_at_most'])}"),
        ("output on disk", f"at most {format_bytes(needs['output_at_most'])}"),
    ]


def format_bytes(count: int) -> str:
    """Bytes in words of three digits, by powers of 1024.

    >>> format_bytes(512), format_bytes(1536), format_bytes(9 * 1024**3)
    ('512 B', '1.50 KiB', '9.00 GiB')
    """
    if count < 1024:
        return f"{count} B"
    power = min(int(math.log2(count) // 10), 4)
    value = count / 1024**power
    digits = max(0, 2 - int(math.log10(value)))
    return f"{value:.{digits}f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def format_image(image: Image, needs: list[tuple[str, str]]) -> str:
    """The description as lines of text.

    Parameters
    ----------
    needs : lines on what a segmentation needs, from `segment_needs` and the engine's plan
    """
    lines = [str(image.path), *_head(image), "channels"]
    lines += [f"  {channel.index:>4}  {channel.name}" for channel in image.channels]
    lines += ["levels", *_table([_level_row(level) for level in image.levels])]
    lines += ["to segment one plane of level 0", *_table([list(need) for need in needs])]
    problem = _problem(image)
    if problem is not None:
        lines.append(f"before that: {problem}")
    lines += [f"note: {note}" for note in image.notes]
    return "\n".join(lines)


def _head(image: Image) -> list[str]:
    lengths = " x ".join(f"{n:,}" for n in image.shape)
    size = "not stated"
    if image.pixel_size_um is not None:
        size = "{:g} x {:g} um (Y x X)".format(*image.pixel_size_um)
    return _table(
        [
            ["kind", image.kind],
            ["axes", f"{image.axes} = {lengths}, {image.dtype}"],
            ["pixel size", size],
        ]
    )


def _level_row(level: Level) -> list[str]:
    return [
        f"{level.index:>4}",
        "{:,} x {:,}".format(*level.shape),
        "chunks of {:,} x {:,}".format(*level.chunk_shape),
        level.codec,
        f"{format_bytes(level.stored_bytes)} on disk",
        f"{format_bytes(level.memory_bytes)} in memory",
    ]


def _table(rows: list[list[str]]) -> list[str]:
    """Rows with their columns aligned, two spaces apart."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        ("  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]
