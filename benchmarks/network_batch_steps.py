"""One batch through the network of the Cellpose that is installed here, in every form it runs in.

Run by network_batch.py, once in the environment of Cellpose 3 and once in that of Cellpose 4; it
imports nothing of tbscale. Writes one line of JSON. Cellpose 4's weights are random, because they
are not at hand; neither time nor memory depends on their values.

    python benchmarks/network_batch_steps.py DEVICE TILES WARM_UPS REPEATS [WEIGHTS]
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

TILE_PX = {3: 224, 4: 256}  # `bsize` of each
Forward = Callable[[torch.Tensor], torch.Tensor]


def allow_tf32(convolutions: bool, products: bool) -> None:
    """Let float32 convolutions and matrix products round their factors to TF32, or not."""
    torch.backends.cudnn.allow_tf32 = convolutions
    torch.backends.cuda.matmul.allow_tf32 = products


def seconds_of(run: Callable[[], Any], device: str, warm_ups: int, repeats: int) -> list[float]:
    """Seconds of each repeat; a GPU has no work left before and after it."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(warm_ups):
        run()
    found = []
    for _ in range(repeats):
        wait()
        started = time.perf_counter()
        run()
        wait()
        found.append(time.perf_counter() - started)
    return found


def measure(forward: Forward, tiles: Any, device: str, warm_ups: int, repeats: int) -> Any:
    """Times of a batch that lies on the device, and of one that travels there and back."""
    there = torch.from_numpy(tiles).to(device)
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with torch.no_grad():
        found: dict[str, Any] = {
            "batch_s": seconds_of(lambda: forward(there), device, warm_ups, repeats)
        }
        if device == "cuda":
            found["gpu_peak_bytes"] = torch.cuda.max_memory_allocated()
        found["with_copies_s"] = seconds_of(
            lambda: forward(torch.from_numpy(tiles).to(device)).float().cpu().numpy(),
            device, min(2, warm_ups), repeats,
        )  # fmt: skip
        return found, forward(there).double().cpu()


def error_of(out: torch.Tensor, exact: torch.Tensor) -> float:
    """Largest difference, as a share of the largest magnitude."""
    return float((out - exact).abs().max() / exact.abs().max())


def load_cellpose3(weights: str, device: str) -> Any:
    """The network of Cellpose 3 with weights from a file that Cellpose reads."""
    from cellpose.resnet_torch import CPnet

    net = CPnet([2, 32, 64, 128, 256], 3, sz=3, mkldnn=False)
    known = net.state_dict()
    state = torch.load(weights, weights_only=True, map_location="cpu")
    net.load_state_dict({name: state[name].to(value.dtype) for name, value in known.items()})
    return net.to(device).eval()


def run_cellpose3(device: str, count: int, warm_ups: int, repeats: int, weights: str) -> Any:
    """CPnet in float32 with and without TF32, and in bfloat16, in both layouts."""
    net, tile_px = load_cellpose3(weights, device), TILE_PX[3]
    tiles = np.random.default_rng(0).random((count, 2, tile_px, tile_px), np.float32)
    tiles[:, 1] = 0  # no second channel
    exact = load_cellpose3(weights, device).double()
    with torch.no_grad():
        truth = exact(torch.from_numpy(tiles).double().to(device))[0].cpu()
    del exact

    def half(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            return net(x)[0]

    found = {}
    for layout, memory_format in (
        ("", torch.contiguous_format),
        (" channels_last", torch.channels_last),
    ):
        net.to(memory_format=memory_format)

        def laid(x: torch.Tensor, kind: Any = memory_format) -> torch.Tensor:
            return x.contiguous(memory_format=kind)

        forms: dict[str, tuple[Forward, bool]] = {
            "float32": (lambda x: net(laid(x))[0], False),
            "bfloat16": (lambda x: half(laid(x)), True),
        }
        if device == "cuda":
            forms["TF32"] = (forms["float32"][0], True)
        for name, (forward, tf32) in forms.items():
            allow_tf32(tf32, False)
            one, out = measure(forward, tiles, device, warm_ups, repeats)
            found[name + layout] = one | {"largest_error": error_of(out, truth)}
    return found, "embedded", tiles


def run_cellpose4(device: str, count: int, warm_ups: int, repeats: int) -> Any:
    """The transformer of Cellpose 4 with random weights, in float32, TF32 and bfloat16."""
    from cellpose.vit import CPSAM

    torch.manual_seed(0)
    with torch.device(device):
        net = CPSAM(dtype=torch.float32)
    net = net.to(device).eval()
    tile_px = TILE_PX[4]
    tiles = np.random.default_rng(0).random((count, 3, tile_px, tile_px), np.float32)
    forms = {"float32": (torch.float32, False), "bfloat16": (torch.bfloat16, True)}
    if device == "cuda":
        forms["TF32"] = (torch.float32, True)
    found: dict[str, Any] = {}
    strict: torch.Tensor | None = None
    for name, (kind, tf32) in forms.items():
        allow_tf32(tf32, tf32)
        net.dtype = kind  # its setter converts the weights
        found[name], out = measure(
            lambda x, kind=kind: net(x.to(kind))[0], tiles, device, warm_ups, repeats
        )
        strict = out if strict is None else strict
        found[name]["error_to_float32"] = error_of(out, strict)
    return found, "random", tiles


def main(words: list[str]) -> None:
    """Measure what is installed and print it."""
    device, (count, warm_ups, repeats) = words[0], map(int, words[1:4])
    installed = version("cellpose")
    with contextlib.redirect_stdout(sys.stderr):  # libraries print
        if installed.startswith("3."):
            forms, weights, tiles = run_cellpose3(device, count, warm_ups, repeats, words[4])
        else:
            forms, weights, tiles = run_cellpose4(device, count, warm_ups, repeats)
    facts = {
        "cellpose": installed,
        "torch": torch.__version__,
        "weights": weights,
        "tile_px": tiles.shape[-1],
        "tiles_shape": tiles.shape,
        "tiles_sha256": hashlib.sha256(tiles.astype("<f4").tobytes()).hexdigest(),
        "forms": forms,
    }
    sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
