"""Time networks alone, in a fresh process: wider and narrower ones, and several averaged.

    python -m tbscale.engine.workload.nets REQUEST.json RESULT.json

The request is {"widths": [[32, 64, 128, 256], ...], "nets": [1, 2, 4], "tiles": 8, "tile_px": 224,
"repeats": 3, "threads": 2}. Weights are random: what a network costs does not depend on them. The
layers, and the averaging of the outputs of several networks, are Cellpose's own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from cellpose.resnet_torch import CPnet
from torch.utils import mkldnn

from tbscale.engine.workload.threads import fix_threads

Json = dict[str, Any]
Net = Callable[[torch.Tensor], torch.Tensor]
INPUTS, OUTPUTS = 2, 3  # cells and nuclei; dy, dx and the cell logit
REFERENCE_WIDTH = (32, 64, 128, 256)
SEED = 0


def random_net(width: tuple[int, ...]) -> tuple[Net, int]:
    """A network with random weights, as `CellposeModel` prepares it on a CPU, and its weights."""
    torch.manual_seed(SEED)
    onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    net = CPnet([INPUTS, *width], OUTPUTS, sz=3, mkldnn=onednn).eval()
    weights = sum(one.numel() for one in net.parameters())
    prepared = mkldnn.to_mkldnn(net) if onednn else net  # type: ignore[no-untyped-call]
    return (lambda tiles: prepared(tiles)[0]), weights


def time_nets(nets: list[Net], tiles: torch.Tensor, repeats: int) -> list[float]:
    """Seconds of each repeat of one batch through every network, outputs averaged."""
    found = []
    with torch.no_grad():
        for number in range(repeats + 1):
            started = time.perf_counter()
            total = nets[0](tiles)
            for net in nets[1:]:
                total = total + net(tiles)
            total = total / len(nets)
            if number:  # the first is a warm-up
                found.append(time.perf_counter() - started)
    return found


def time_all(request: Json) -> list[Json]:
    """Every width, then every number of networks of the reference's width."""
    fix_threads(request["threads"])
    torch.manual_seed(SEED)
    side = request["tile_px"]
    tiles = torch.randn(request["tiles"], INPUTS, side, side)
    out = []
    for width in map(tuple, request["widths"]):
        net, weights = random_net(width)
        seconds = time_nets([net], tiles, request["repeats"])
        out.append({"width": list(width), "nets": 1, "weights": weights, "wall_s": seconds})
    for count in request["nets"]:
        made = [random_net(REFERENCE_WIDTH) for _ in range(count)]
        seconds = time_nets([net for net, _ in made], tiles, request["repeats"])
        weights = sum(one for _, one in made)
        out.append(
            {"width": list(REFERENCE_WIDTH), "nets": count, "weights": weights, "wall_s": seconds}
        )
    return out


def main(arguments: list[str]) -> None:
    """Read the request, write the result."""
    request_path, result_path = map(Path, arguments)
    found = time_all(json.loads(request_path.read_text(encoding="utf-8")))
    result_path.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
