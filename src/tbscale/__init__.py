"""tbscale: exact out-of-core Cellpose, and what each of its steps costs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tbscale.api import segment

__all__ = ["__version__", "segment"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "segment":  # torch is imported when it is first asked for
        from tbscale.api import segment

        return segment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
