"""Which vector instructions this CPU has, by the names that LLVM gives them."""

from __future__ import annotations

from llvmlite import binding


def lanes_of(features: dict[str, bool]) -> int:
    """float32 numbers in the widest vector of a CPU with these LLVM features.

    >>> lanes_of({"avx512f": True, "avx2": True}), lanes_of({"avx2": True}), lanes_of({})
    (16, 8, 4)
    """
    if features.get("avx512f"):
        return 16
    return 8 if features.get("avx") else 4


FEATURES: dict[str, bool] = dict(binding.get_host_cpu_features())
LANES = lanes_of(FEATURES)
# sums of two products of bfloat16 numbers, in vectors as wide as the others
HAS_PAIRS = LANES == 16 and bool(FEATURES.get("avx512bf16"))


def has_matrix_units() -> bool:
    """Whether this CPU multiplies tiles of bfloat16 numbers, which torch knows how to use."""
    return bool(FEATURES.get("amx-bf16"))


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 numbers faster than float32 ones."""
    return HAS_PAIRS or has_matrix_units()
