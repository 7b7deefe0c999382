"""Which vector instructions numba compiles for, by the names that LLVM gives them.

They are the CPU's, unless numba's own variables (`NUMBA_CPU_NAME`, `NUMBA_CPU_FEATURES`,
`NUMBA_ENABLE_AVX`) say otherwise. Numba keys its cache by the same.
"""

from __future__ import annotations

from numba import config
from numba.core.codegen import get_host_cpu_features


def target_features() -> dict[str, bool]:
    """Every instruction that LLVM knows, and whether kernels may use it."""
    given = config.CPU_FEATURES
    text = get_host_cpu_features() if given is None else given
    return {one[1:]: one.startswith("+") for one in text.split(",") if one}


def lanes_of(features: dict[str, bool]) -> int:
    """float32 numbers in the widest vector of a CPU with these LLVM features.

    >>> lanes_of({"avx512f": True, "avx2": True}), lanes_of({"avx2": True}), lanes_of({})
    (16, 8, 4)
    """
    if features.get("avx512f"):
        return 16
    return 8 if features.get("avx") else 4


FEATURES = target_features()
LANES = lanes_of(FEATURES)
# sums of two products of bfloat16 numbers, in vectors as wide as the others
HAS_PAIRS = LANES == 16 and bool(FEATURES.get("avx512bf16"))


def has_matrix_units() -> bool:
    """Whether this CPU multiplies tiles of bfloat16 numbers, which torch knows how to use."""
    return bool(FEATURES.get("amx-bf16"))


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 numbers faster than float32 ones."""
    return HAS_PAIRS or has_matrix_units()
