"""Where the network runs: the devices that torch finds on this machine."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from tbscale.errors import RunError

if TYPE_CHECKING:
    import torch


def check_device(name: str) -> torch.device:
    """The torch device of a name. RunError where this machine does not have it."""
    import torch

    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(name, False):
        usable = " or ".join(key for key, value in available.items() if value)
        raise RunError(f"device {name!r} is not available here; pass {usable}")
    return torch.device(name)


def synchroniser(device: torch.device) -> Callable[[], None] | None:
    """What waits for the work queued on a device; None for the CPU, which queues nothing."""
    import torch

    if device.type == "cuda":
        return functools.partial(torch.cuda.synchronize, device)
    if device.type == "mps":
        return torch.mps.synchronize
    return None


def gpu_peak_bytes() -> int | None:
    """Most memory that torch held on a GPU since the last call; None where it used none.

    In float32 and bfloat16 tensors alone: what the driver and its libraries take comes on top.
    """
    import torch

    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    peak = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return peak


def float32_on(device: torch.device) -> str:
    """What float32 means on a device: an NVIDIA GPU may round the factors of a product to TF32."""
    import torch

    rounds = device.type == "cuda" and torch.backends.cudnn.allow_tf32
    return "float32 (convolutions in TF32)" if rounds else "float32"
