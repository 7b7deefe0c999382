"""The machine and software side of a record, and the base of every part."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
Scalar = str | bool | int | float | None


class Part(BaseModel):
    """Base of every part: no unknown field, no change after it was made."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Cpu(Part):
    """The processor, with the instruction sets that change the arithmetic's speed."""

    model: str
    physical_cores: Count | None
    logical_cores: Count
    flags: tuple[str, ...]
    max_mhz: float | None
    cache_l1d_bytes: Bytes | None
    cache_l2_bytes: Bytes | None
    cache_l3_bytes: Bytes | None


class Memory(Part):
    """Main memory, and what a control group leaves of it (null: no limit)."""

    total_bytes: Bytes
    swap_bytes: Bytes
    cgroup_limit_bytes: Bytes | None
    cgroup_cpus: float | None


class Storage(Part):
    """Where the image lay."""

    kind: Literal["ssd", "hdd", "network", "memory", "virtual", "unknown"]
    filesystem: str


class Gpu(Part):
    """One accelerator."""

    name: str
    memory_bytes: Bytes
    driver: str


class Load(Part):
    """How busy the machine was with other work: 1-minute load and share of CPU in use."""

    load_1min: float | None
    cpu_share: Share


class Machine(Part):
    """Where it ran. No host name, no user name."""

    cpu: Cpu
    memory: Memory
    storage: Storage
    gpus: tuple[Gpu, ...]
    os: str
    python: str
    load_before: Load
    load_after: Load


class Threads(Part):
    """Threads that each library was told to use; null where it is not loaded."""

    requested: Count
    torch: Count | None
    numba: Count | None
    opencv: Count | None
    environment: dict[str, str]


class Code(Part):
    """Which state of this package ran; null outside a clone."""

    commit: str | None
    dirty: bool | None
