"""Plan, normalise, flows, labels, out of core; the only import of torch and cellpose.

`embedded_weights`, `compute_masks` and `segment` are imported when they are first asked for, so
that planning and measuring need not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tbscale.engine.masks import compute_masks
    from tbscale.engine.segmentation import segment
    from tbscale.engine.weights import embedded_weights

__all__ = ["compute_masks", "embedded_weights", "segment"]

_HOMES = {"compute_masks": "masks", "embedded_weights": "weights", "segment": "segmentation"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
