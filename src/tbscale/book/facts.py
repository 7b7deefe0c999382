"""What a record says about its data, parameters, machine and versions, as pairs for a table."""

from __future__ import annotations

from tbscale.bench.schema import Cpu, Machine, Record
from tbscale.book import formats
from tbscale.book.markdown import cell, code
from tbscale.book.tables import DASH, origin_badge

Pairs = list[tuple[str, str]]
SHORT_HASH = 16


def _maybe_bytes(value: int | None) -> str:
    return DASH if value is None else formats.memory(value)


def _hash(value: str) -> str:
    return code(value[:SHORT_HASH] + "…")


def dataset_facts(record: Record) -> Pairs:
    """Image, plane, channel, pixels."""
    data = record.dataset
    channel = f"{data.channel}" + (f" ({cell(data.channel_name)})" if data.channel_name else "")
    region = "the whole plane" if data.crop is None else "y {} to {}, x {} to {}".format(*data.crop)
    size = DASH if data.pixel_size_um is None else f"{data.pixel_size_um:g}{formats.NBSP}µm"
    return [
        ("image", f"{cell(data.name)} {origin_badge(record)}"),
        ("plane (Y, X)", formats.shape(data.shape)),
        ("region read", region),
        ("channel", f"{channel} of {data.channels}"),
        ("level", str(data.level)),
        ("type", code(data.dtype)),
        ("pixel size", size),
        ("sha256 of the pixels", _hash(data.sha256)),
    ]


def parameter_facts(record: Record) -> Pairs:
    """Every parameter as it was passed, and the weights."""
    pairs = [(code(name), code(value)) for name, value in sorted(record.parameters.items())]
    if record.weights is not None:
        pairs.append(("weights", f"{cell(record.weights.name)}, {_hash(record.weights.sha256)}"))
    return pairs


def machine_facts(machine: Machine) -> Pairs:
    """Processor, memory, storage, accelerators, and how busy it was."""
    loads = (machine.load_before, machine.load_after)
    return [
        ("CPU", cell(machine.cpu.model)),
        ("cores", _cores(machine.cpu)),
        ("caches L1d, L2, L3", _caches(machine.cpu)),
        ("instructions", cell(" ".join(machine.cpu.flags) or DASH)),
        ("memory", formats.memory(machine.memory.total_bytes)),
        ("memory limit", _maybe_bytes(machine.memory.cgroup_limit_bytes)),
        ("CPU limit", cell(machine.memory.cgroup_cpus or DASH)),
        ("storage", f"{machine.storage.kind}, {cell(machine.storage.filesystem)}"),
        ("accelerators", cell(", ".join(gpu.name for gpu in machine.gpus) or "none")),
        ("system", f"{cell(machine.os)}, {cell(machine.python)}"),
        ("busy before, after", ", ".join(formats.share(one.cpu_share) for one in loads)),
    ]


def _cores(cpu: Cpu) -> str:
    physical = "" if cpu.physical_cores is None else f" ({cpu.physical_cores} physical)"
    return f"{cpu.logical_cores}{physical}"


def _caches(cpu: Cpu) -> str:
    levels = (cpu.cache_l1d_bytes, cpu.cache_l2_bytes, cpu.cache_l3_bytes)
    return ", ".join(_maybe_bytes(level) for level in levels)


def software_facts(record: Record) -> Pairs:
    """Versions of everything that took part, and the state of this package."""
    versions = {**record.software, **record.engine.versions}
    pairs = [(cell(name), cell(version)) for name, version in sorted(versions.items())]
    code_state = record.code
    commit = DASH if code_state.commit is None else code(code_state.commit[:12])
    changed = " with uncommitted changes" if code_state.dirty else ""
    return [*pairs, ("tbscale commit", commit + changed)]


def result_facts(record: Record) -> Pairs:
    """Cells, checksum of the labels, agreement with references."""
    result = record.result
    if result is None:
        return [("result", "none: no pass completed")]
    pairs = [
        ("cells", formats.count(result.cells)),
        ("foreground", f"{formats.count(result.foreground_pixels)}{formats.NBSP}px"),
        ("sha256 of the labels", code(result.labels_sha256)),
    ]
    for one in result.agreements:
        scores = ", ".join(f"{value:.3f} at {threshold}" for threshold, value in one.ap.items())
        words = f"grade {code(one.grade)}, {formats.share(one.differing_share)} of pixels differ"
        pairs.append(
            (f"against {cell(one.reference)}", words + (f"; AP {scores}" if scores else ""))
        )
    return pairs
