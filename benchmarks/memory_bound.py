"""Set the memory that runs take beside what was projected, each in a fresh process.

    python benchmarks/memory_bound.py                 # wide, tall and square planes, fake network
    python benchmarks/memory_bound.py --network exact # or fast or half: a real one, on small planes
    python benchmarks/memory_bound.py --out FILE.json # keep the table

The fake network climbs towards bright spots, so that nearly every pixel is foreground and cells
are as dense as the plan assumes. `used` is the peak beyond what the process held before the run,
and is set beside the projection without the runtime, so that no slack of one covers the other.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tbscale.engine.network import Network
    from tbscale.engine.request import Request
    from tbscale.engine.weights import Weights

PITCH_PX = 20  # between spots: 2,500 cells a megapixel
FAKE_BYTES_PER_TILE_PX = 160
SHAPES = ((300, 27000), (27000, 300), (1500, 9000), (2500, 2500))
SMALL_SHAPES = ((300, 6000), (900, 900))
MIB = 2**20


@dataclass(frozen=True)
class Outcome:
    """One run: sizes in bytes."""

    shape: tuple[int, int]
    channels: int
    core_px: int
    network: str
    cells: int
    runtime: int
    projected_runtime: int
    used: int
    projected_used: int
    peak: int
    projected_peak: int


def spots(rows: slice, width: int) -> NDArray[np.uint16]:
    """Rows of a plane of bright spots on a grid, uint16 (rows, width)."""
    y, x = (
        np.cos(2 * np.pi * np.arange(a, b) / PITCH_PX)
        for a, b in ((rows.start, rows.stop), (0, width))
    )
    return (30000 + 10000 * y[:, None] + 10000 * x).astype(np.uint16)


def write_image(path: Path, shape: tuple[int, int], channels: int) -> None:
    """A tiled, compressed TIFF of spots, written a row of tiles at a time."""

    def tiles() -> object:
        for _ in range(channels):
            for y in range(0, shape[0], 512):
                band = np.zeros((512, -(-shape[1] // 512) * 512), np.uint16)
                band[: min(512, shape[0] - y), : shape[1]] = spots(
                    slice(y, min(y + 512, shape[0])), shape[1]
                )
                yield from (band[:, x : x + 512] for x in range(0, shape[1], 512))

    with tifffile.TiffWriter(path) as tif:
        tif.write(
            tiles(), shape=(channels, *shape), dtype="uint16", tile=(512, 512),
            compression="zlib", metadata={"axes": "CYX"},
        )  # fmt: skip


class Climber:
    """A network that flows towards brighter pixels; float32 (n, 2, h, w) to (n, 3, h, w)."""

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        dy, dx = np.gradient(tiles[:, 0], axis=(1, 2))
        length = np.sqrt(dy * dy + dx * dx) + np.float32(1e-3)
        return np.stack([5 * dy / length, 5 * dx / length, tiles[:, 0] - np.float32(0.02)], axis=1)


def peak_bytes() -> int:
    """Largest resident memory of this process since `forget_peak`. Linux."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if "VmHWM" in line)) * 1024


def forget_peak() -> int:
    """Start a new peak; returns what is resident now, bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def limit_memory(more_bytes: int) -> None:
    """Let this process map `more_bytes` of writable private memory beyond what it has. Linux.

    RLIMIT_DATA counts what is mapped, so it binds before the memory is touched; RLIMIT_AS would
    count the libraries' files and reserved address space too.
    """
    status = Path("/proc/self/status").read_text()
    now = int(next(line.split()[1] for line in status.splitlines() if "VmData" in line)) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (now + more_bytes, now + more_bytes))


class Wasteful:
    """A network that keeps some memory for itself, to show that a limit binds."""

    def __init__(self, inner: Network, waste_bytes: int) -> None:
        self._inner = inner
        self._waste = np.ones(waste_bytes, np.uint8)

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._inner(tiles)


def run_once(
    image: Path, channels: int, core_px: int, name: str, limited: bool, waste_bytes: int
) -> Outcome:
    """Segment in this process, after a small run that loads every library and kernel.

    Parameters
    ----------
    limited : let the second run map no more than its projection without the runtime
    waste_bytes : memory that its network takes for nothing
    """
    from cellpose import models  # noqa: F401, part of the runtime of every network

    from tbscale.engine.cells import Rules
    from tbscale.engine.network import make_network
    from tbscale.engine.network_memory import NetworkMemory
    from tbscale.engine.projection import RUNTIME_BYTES
    from tbscale.engine.request import Request
    from tbscale.engine.run import Settings
    from tbscale.engine.segmentation import segment

    fake = name == "fake"

    def make(weights: Weights, device: str) -> Network:
        inner = Climber() if fake else make_network(weights, device, name)
        return Wasteful(inner, waste_bytes) if limited else inner

    settings = Settings(rules=Rules(flow_threshold=3.0))  # checked, and all kept
    with tempfile.TemporaryDirectory(dir=image.parent) as folder:
        write_image(Path(folder) / "first.tif", (64, 64), channels)
        for k, path in enumerate((Path(folder) / "first.tif", image)):
            request = Request(
                path, Path(folder) / f"{k}.ome.tif", 0, 1 if channels > 1 else None,
                model="embedded", settings=settings, core_px=core_px or None,
                network="exact" if fake else name,
                network_memory=NetworkMemory(FAKE_BYTES_PER_TILE_PX) if fake else None,
            )  # fmt: skip
            held = forget_peak()
            if k and limited:
                limit_memory(projected_bytes(request) - RUNTIME_BYTES)
            result = segment(request, make_network=make)
    peak, projected = peak_bytes(), result.plan.projection.peak_bytes
    return Outcome(
        result.plan.shape, channels, result.plan.core_px, name, result.cell_count, held,
        RUNTIME_BYTES, peak - held, projected - RUNTIME_BYTES, peak, projected,
    )  # fmt: skip


def projected_bytes(request: Request) -> int:
    """The peak that the plan of a request projects."""
    from tbscale.engine.request import open_planes, plan_request
    from tbscale.images.open import open_image

    with open_image(request.image) as opened:
        return plan_request(request, open_planes(opened, request)).projection.peak_bytes


def run_apart(
    folder: Path, shape: tuple[int, int], channels: int, core_px: int, network: str
) -> Outcome:
    """Write the image, and segment it in a fresh process."""
    image = folder / f"{shape[0]}x{shape[1]}x{channels}.tif"
    if not image.exists():
        write_image(image, shape, channels)
    command = [sys.executable, __file__, "--once", str(image), "--network", network]
    command += ["--channels", str(channels), "--core-px", str(core_px)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    facts = json.loads(ended.stdout.splitlines()[-1])
    return Outcome(**{**facts, "shape": tuple(facts["shape"])})


def cases(network: str) -> list[tuple[tuple[int, int], int, int]]:
    """(shape, channels, core_px) of each run."""
    shapes = SHAPES if network == "fake" else SMALL_SHAPES
    return [(shape, 1, 2048) for shape in shapes] + [(shapes[0], 2, 256), (shapes[-1], 1, 512)]


def holds(one: Outcome) -> bool:
    """Whether the run stayed within its projection, with the runtime and without."""
    return one.used <= one.projected_used and one.peak <= one.projected_peak


def line(one: Outcome) -> str:
    """One row of the table."""
    pairs = {
        "runtime": (one.runtime, one.projected_runtime),
        "used": (one.used, one.projected_used),
        "peak": (one.peak, one.projected_peak),
    }
    sizes = "  ".join(f"{k} {a / MIB:5.0f} <= {b / MIB:5.0f}" for k, (a, b) in pairs.items())
    what = f"{one.shape[0]:>6} x {one.shape[1]:<6} {one.channels} {one.core_px:>5} {one.network:<6}"
    return f"{what} {one.cells:>8} cells  {sizes} MiB  {'holds' if holds(one) else 'BROKEN'}"


def main() -> int:
    """Run all cases; the exit status is 1 where a peak is above its projection."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--network", choices=("fake", "exact", "fast", "half"), default="fake")
    parser.add_argument("--out", type=Path, help="write the outcomes as JSON")
    parser.add_argument(
        "--once", type=Path, help="segment this image here; used by the script itself"
    )
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--core-px", type=int, default=0)
    parser.add_argument("--limited", action="store_true", help="under a hard limit")
    parser.add_argument("--waste-mib", type=int, default=0, help="memory taken for nothing")
    chosen = parser.parse_args()
    if chosen.once:
        one = run_once(
            chosen.once,
            chosen.channels,
            chosen.core_px,
            chosen.network,
            chosen.limited,
            chosen.waste_mib * MIB,
        )
        sys.stdout.write(json.dumps(asdict(one)) + "\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="tbscale-memory-") as folder:
        outcomes = []
        for shape, channels, core_px in cases(chosen.network):
            outcomes.append(run_apart(Path(folder), shape, channels, core_px, chosen.network))
            sys.stdout.write(line(outcomes[-1]) + "\n")
            sys.stdout.flush()
    if chosen.out:
        chosen.out.write_text(json.dumps([asdict(one) for one in outcomes], indent=2) + "\n")
    return int(not all(map(holds, outcomes)))


if __name__ == "__main__":
    sys.exit(main())
