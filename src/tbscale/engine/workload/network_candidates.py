"""Time what can run the network on this CPU, in interleaved rounds, in a fresh process.

    python -m tbscale.engine.workload.network_candidates REQUEST.json RESULT.json

The request is {"candidates": [...], "tiles": 8, "tile_px": 224, "rounds": 5, "threads": 2}; an
empty list means all. Each round gives every candidate the same batch, once to warm up and once on
the clock. Errors are those of the output against the network in float64, relative to its largest
value. Page faults are those of the timed batch. Runtimes that are not installed are left out and
named: `pip install 'tbscale[runtimes]'`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils import mkldnn

from tbscale.engine.allocator import can_keep_freed, keep_freed
from tbscale.engine.network import FastNetwork, TorchNetwork, has_compiler
from tbscale.engine.network_memory import layer_bytes
from tbscale.engine.weights import EMBEDDED, load_model, resolve_model
from tbscale.engine.workload.threads import fix_threads
from tbscale.images.standin.tissue import render_channel, training_spec

Json = dict[str, Any]
Floats = NDArray[np.float32]
Run = Callable[[Floats], Floats]

REFERENCE = "reference"
KEPT = "reference-memory-kept"
SEED = 11
CHECKED_TILES = 2  # the network in float64 is slow


def draw_tiles(count: int, side_px: int) -> Floats:
    """Tiles of synthetic tissue, normalised; float32 (count, 2, side, side), second input empty."""
    out = np.zeros((count, 2, side_px, side_px), np.float32)
    whole = slice(0, side_px)
    for k in range(count):
        spec = training_spec(np.random.default_rng((SEED, k)), (side_px, side_px))
        image = render_channel(spec, whole, whole).astype(np.float32)
        low, high = np.percentile(image, (1, 99))
        out[k, 0] = (image - low) / max(high - low, 1)
    return out


def reference() -> Run:
    """As the reference runs on a CPU: to oneDNN's layout before every batch."""
    net = load_model(resolve_model(EMBEDDED)).net.eval()

    def run(tiles: Floats) -> Floats:
        with torch.no_grad():
            net.mkldnn = True
            prepared = mkldnn.to_mkldnn(net)  # type: ignore[no-untyped-call]
            return np.asarray(prepared(torch.from_numpy(tiles))[0].numpy(), np.float32)

    return run


def by_torch(bfloat16: bool, compiled: bool) -> Callable[[], Run]:
    """Torch with `channels_last`."""
    return lambda: TorchNetwork(resolve_model(EMBEDDED), "cpu", "half", bfloat16, compiled)


class _OutputAlone(torch.nn.Module):
    """The network without the style and the inner tensors among its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.net = load_model(resolve_model(EMBEDDED)).net.eval()
        self.net.mkldnn = False

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Flow and cell logit alone."""
        out: torch.Tensor = self.net(tiles)[0]
        return out


def export(folder: Path, tiles: Floats) -> Path:
    """Write the network as an ONNX file for batches of this shape."""
    path = folder / "network.onnx"
    torch.onnx.export(
        _OutputAlone(), (torch.from_numpy(tiles),), path, input_names=["tiles"], dynamo=False
    )
    return path


def onnx_runtime(tiles: Floats, threads: int, eight_bit: bool) -> Run:
    """ONNX Runtime on the exported graph; in 8 bits by its static quantisation."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = export(Path(folder), tiles)
        if eight_bit:
            path = quantise(path, tiles)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    return lambda batch: session.run(None, {"tiles": batch})[0]


def quantise(path: Path, tiles: Floats) -> Path:
    """Write the graph in 8 bits, calibrated on the tiles themselves: the best case."""
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        left = 1

        def get_next(self) -> dict[str, Floats] | None:
            self.left -= 1
            return {"tiles": tiles} if self.left == 0 else None

    out = path.with_name("quantised.onnx")
    quantization.quantize_static(path, out, Reader())
    return out


def openvino_runtime(tiles: Floats, threads: int, precision: str) -> Run:
    """OpenVINO on the exported graph."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        model = openvino.convert_model(str(export(Path(folder), tiles)))
    config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
    compiled = openvino.compile_model(model, "CPU", config)
    return lambda batch: np.asarray(compiled(batch)[0], np.float32)


def candidates(tiles: Floats, threads: int) -> dict[str, tuple[Callable[[], Run], str | None]]:
    """Every candidate: how to make it, and the package or tool it needs beyond ours."""
    return {
        REFERENCE: (reference, None),
        KEPT: (reference, "glibc"),
        "winograd": (lambda: FastNetwork(resolve_model(EMBEDDED)), None),
        "winograd-bfloat16": (lambda: FastNetwork(resolve_model(EMBEDDED), True), None),
        "channels-last": (by_torch(False, False), None),
        "channels-last-bfloat16": (by_torch(True, False), None),
        "compiled": (by_torch(False, True), "compiler"),
        "compiled-bfloat16": (by_torch(True, True), "compiler"),
        "onnx-runtime": (lambda: onnx_runtime(tiles, threads, False), "onnxruntime"),
        "onnx-runtime-int8": (lambda: onnx_runtime(tiles, threads, True), "onnxruntime"),
        "openvino": (lambda: openvino_runtime(tiles, threads, "f32"), "openvino"),
        "openvino-bfloat16": (lambda: openvino_runtime(tiles, threads, "bf16"), "openvino"),
    }


def is_here(need: str | None) -> bool:
    """Whether what a candidate needs is installed."""
    if need is None:
        return True
    if need == "glibc":
        return can_keep_freed()
    return has_compiler() if need == "compiler" else importlib.util.find_spec(need) is not None


def in_float64(tiles: Floats) -> NDArray[np.float64]:
    """The network's output without rounding worth a mention."""
    net = _OutputAlone().double()
    with torch.no_grad():
        return np.asarray(net(torch.from_numpy(tiles).double()).numpy(), np.float64)


@contextlib.contextmanager
def memory_of(name: str, tiles: Floats) -> Iterator[None]:
    """Freed memory is kept for the one candidate that is about it."""
    kept_bytes = layer_bytes(len(tiles), tiles.shape[-1])
    with keep_freed(kept_bytes) if name == KEPT else contextlib.nullcontext():
        yield


def time_batch(name: str, run: Run, tiles: Floats) -> tuple[float, int]:
    """Seconds a tile and page faults of one batch, after another that warms up."""
    with memory_of(name, tiles):
        run(tiles)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        started = time.perf_counter()
        run(tiles)
        tile_s = (time.perf_counter() - started) / len(tiles)
        return tile_s, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults


def time_all(request: Json) -> Json:
    """Prepare the candidates, then time them round by round."""
    threads = request["threads"]
    fix_threads(threads)
    tiles = draw_tiles(request["tiles"], request["tile_px"])
    known = candidates(tiles, threads)
    wanted = [n for n in known if n in (request["candidates"] or known)]
    left_out = [n for n in wanted if not is_here(known[n][1])]
    exact = in_float64(tiles[:CHECKED_TILES])
    runs: dict[str, Run] = {}
    found: dict[str, Json] = {}
    for name in (n for n in wanted if n not in left_out):
        started = time.perf_counter()
        runs[name] = known[name][0]()
        with memory_of(name, tiles):
            out = runs[name](tiles)
        ready_s = time.perf_counter() - started
        error = np.abs(out[:CHECKED_TILES] - exact)
        found[name] = {
            "ready_s": ready_s,
            "largest_error": float(error.max() / np.abs(exact).max()),
            "rms_error": float(np.sqrt((error**2).mean()) / np.abs(exact).max()),
            "tile_s": [],
            "faults": [],
        }
    for _ in range(request["rounds"]):
        for name, run in runs.items():
            tile_s, faults = time_batch(name, run, tiles)
            found[name]["tile_s"].append(tile_s)
            found[name]["faults"].append(faults)
    return {"candidates": found, "left_out": left_out}


def main(arguments: list[str]) -> None:
    """Read the request, write the result."""
    request_path, result_path = map(Path, arguments)
    found = time_all(json.loads(request_path.read_text(encoding="utf-8")))
    result_path.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
