"""tbscale: exact out-of-core Cellpose, and what each of its steps costs."""

__version__ = "0.1.0"
