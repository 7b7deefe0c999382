"""Facts of this machine, read from the system and never typed; nothing private among them."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path
from typing import Any, Literal

import cpuinfo
import psutil

from tbscale.bench.schema import Cpu, Gpu, Load, Machine, Memory, Storage
from tbscale.engine.cgroup import cgroup_limits, read_lines
from tbscale.errors import RunError

# instruction sets that change how fast the arithmetic of a segmentation runs
FLAGS = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "avx_vnni",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
    "neon",
    "asimd",
    "sve",
    "bf16",
)
LOAD_INTERVAL_S = 0.5
NETWORK_FILESYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "9p", "fuse.sshfs"}
)
MEMORY_FILESYSTEMS = frozenset({"tmpfs", "ramfs"})
StorageKind = Literal["ssd", "hdd", "network", "memory", "virtual", "unknown"]


def read_machine(image: Path, before: Load, after: Load) -> Machine:
    """Everything a record says of the machine; `image` tells which storage was used."""
    return Machine(
        cpu=read_cpu(),
        memory=read_memory(),
        storage=read_storage(image),
        gpus=read_gpus(),
        os=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        load_before=before,
        load_after=after,
    )


def read_load() -> Load:
    """How busy the machine is now; takes half a second.

    Every measurement begins with it, so what could not be put into a record is said here: after
    the last pass it would lose the record.

    Raises
    ------
    RunError : as `read_gpus`
    """
    read_gpus()
    load_1min = psutil.getloadavg()[0] if hasattr(psutil, "getloadavg") else None
    share = psutil.cpu_percent(interval=LOAD_INTERVAL_S) / 100
    return Load(load_1min=load_1min, cpu_share=min(1.0, share))


@functools.cache
def _cpu_info() -> dict[str, Any]:
    return dict(cpuinfo.get_cpu_info())  # takes about a second


def read_cpu() -> Cpu:
    """The processor. Caches are sums over all cores, as /sys or py-cpuinfo says."""
    info = _cpu_info()
    flags = set(info.get("flags", []))
    frequency = psutil.cpu_freq()
    return Cpu(
        model=str(info.get("brand_raw") or platform.processor() or platform.machine()),
        physical_cores=psutil.cpu_count(logical=False),
        logical_cores=psutil.cpu_count() or 1,
        flags=tuple(name for name in FLAGS if name in flags),
        max_mhz=float(frequency.max) if frequency is not None and frequency.max > 0 else None,
        cache_l1d_bytes=cache_bytes(1) or _info_bytes(info, "l1_data_cache_size"),
        cache_l2_bytes=cache_bytes(2) or _info_bytes(info, "l2_cache_size"),
        cache_l3_bytes=cache_bytes(3) or _info_bytes(info, "l3_cache_size"),
    )


def _info_bytes(info: dict[str, Any], key: str) -> int | None:
    value = info.get(key)
    return value if isinstance(value, int) and value > 0 else None


def cache_bytes(level: int, root: Path = Path("/sys/devices/system/cpu")) -> int | None:
    """Data or unified cache of one level, each shared cache counted once; None if unknown."""
    sizes: dict[tuple[str, str], int] = {}
    for index in root.glob("cpu[0-9]*/cache/index[0-9]*"):
        try:
            facts = {
                name: (index / name).read_text().strip()
                for name in ("level", "type", "size", "shared_cpu_list")
            }
        except OSError:
            continue
        if facts["level"] == str(level) and facts["type"] != "Instruction":
            sizes[facts["shared_cpu_list"], facts["type"]] = parse_size(facts["size"])
    return sum(sizes.values()) or None


def parse_size(text: str) -> int:
    """Bytes of a size as the kernel writes it.

    >>> parse_size("48K"), parse_size("2M"), parse_size("64")
    (49152, 2097152, 64)
    """
    units = {"K": 1024, "M": 1024**2, "G": 1024**3}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def read_memory() -> Memory:
    """Main memory, and the limits that a control group sets on this process."""
    limit, cpus = cgroup_limits()
    return Memory(
        total_bytes=psutil.virtual_memory().total,
        swap_bytes=psutil.swap_memory().total,
        cgroup_limit_bytes=limit,
        cgroup_cpus=cpus,
    )


def read_storage(path: Path) -> Storage:
    """File system and kind of storage under a path."""
    mount = _mount_of(path)
    if mount is None:
        return Storage(kind="unknown", filesystem="unknown")
    device, filesystem = mount
    return Storage(kind=storage_kind(device, filesystem, path), filesystem=filesystem)


def _mount_of(path: Path) -> tuple[str, str] | None:
    """(device, file system) of the longest mount point that holds a path."""
    resolved = path.resolve()
    found = [
        part
        for part in psutil.disk_partitions(all=True)
        if resolved.is_relative_to(Path(part.mountpoint))
    ]
    if not found:
        return None
    # of mounts stacked on one point the last one is seen
    last = max(enumerate(found), key=lambda item: (len(item[1].mountpoint), item[0]))[1]
    return last.device, last.fstype


def storage_kind(device: str, filesystem: str, path: Path) -> StorageKind:
    """What the bytes lie on, as far as the system says."""
    if filesystem in NETWORK_FILESYSTEMS:
        return "network"
    if filesystem in MEMORY_FILESYSTEMS:
        return "memory"
    queue = _block_queue(path)
    if queue is None:
        return "unknown"
    if Path(device).name.startswith(("vd", "xvd")):
        return "virtual"  # a virtual disk does not know what it is made of
    rotational = read_lines(queue / "rotational")
    return "unknown" if not rotational else "hdd" if rotational[0] == "1" else "ssd"


def _block_queue(path: Path) -> Path | None:
    """/sys folder with the queue of the block device under a path; the disk's for a partition."""
    try:
        number = os.stat(path).st_dev  # noqa: PTH116 - Path.stat follows the same call
    except OSError:
        return None
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    for folder in (device.resolve(), device.resolve().parent):
        if (folder / "queue").is_dir():
            return folder / "queue"
    return None


@functools.cache
def read_gpus() -> tuple[Gpu, ...]:
    """NVIDIA accelerators; empty where there is none or no driver.

    Raises
    ------
    RunError : there is a driver, and it does not say what it drives
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
        return tuple(
            Gpu(
                name=_text(pynvml.nvmlDeviceGetName(handle)),
                memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
                driver=driver,
            )
            for handle in handles
        )
    except pynvml.NVMLError as error:
        raise RunError(
            f"the NVIDIA driver does not say what it drives ({error}), and a record must; mend "
            "the driver, or hide it from this process"
        ) from error
    finally:
        pynvml.nvmlShutdown()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
