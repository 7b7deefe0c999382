"""Plan, normalise, flows, labels, out of core; the only import of torch and cellpose."""

from tbscale.engine.weights import embedded_weights

__all__ = ["embedded_weights"]
