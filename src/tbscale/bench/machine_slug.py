"""A short name for a kind of machine, made of what matters and nothing private."""

from __future__ import annotations

import re

from tbscale.bench.schema import Machine
from tbscale.bench.schema_machine import Cpu

GIB = 1024**3
# words of a CPU's name that do not tell two machines apart
FILLERS = frozenset({"cpu", "processor", "core", "cores", "with", "tm", "r", "genuine"})


def machine_slug(machine: Machine) -> str:
    """CPU, vectors, logical cores, memory in GiB, and the first accelerator if there is one.

    The vectors are named because a virtual machine hides which processor of a family it runs on.

    >>> slug_words("AMD EPYC 7763 64-Core Processor")
    'amd-epyc-7763-64'
    """
    parts = [
        slug_words(machine.cpu.model),
        *(slug_words(name) for name in widest_vectors(machine.cpu)),
        f"{machine.cpu.logical_cores}c",
        f"{round(machine.memory.total_bytes / GIB)}gib",
    ]
    parts += [slug_words(gpu.name) for gpu in machine.gpus[:1]]
    return "-".join(parts)


def widest_vectors(cpu: Cpu) -> list[str]:
    """The widest vector instructions that the record names; empty where it names none."""
    for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("sve", "SVE"), ("neon", "NEON")):
        if flag in cpu.flags:
            return [name]
    return []


def slug_words(text: str) -> str:
    """Lower-case words joined by hyphens, fillers and the clock rate left out."""
    text = re.sub(r"\((r|tm|c)\)", " ", text.lower())
    text = re.sub(r"@.*$", " ", text)
    words = [word for word in re.split(r"[^a-z0-9]+", text) if word and word not in FILLERS]
    return "-".join(words)[:40].strip("-") or "unknown"
