"""Machine facts: read, never typed, nothing private; files of the system are imitated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest
from tiny import write_tiny

from tbscale.bench import machine
from tbscale.bench import measure as measuring
from tbscale.bench.experiments.lab import open_lab
from tbscale.bench.machine_slug import machine_slug, slug_words
from tbscale.bench.measure import Request
from tbscale.bench.redact import Privacy, find_private
from tbscale.bench.schema import Load
from tbscale.engine.cgroup import cgroup_left_bytes
from tbscale.errors import RunError

IDLE = Load(load_1min=0.0, cpu_share=0.0)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_facts_of_this_machine(tmp_path: Path) -> None:
    facts = machine.read_machine(tmp_path, IDLE, IDLE)
    assert facts.cpu.model
    assert facts.cpu.logical_cores >= 1
    assert facts.memory.total_bytes > 2**28
    assert facts.storage.filesystem != ""
    assert find_private(facts.model_dump(mode="json"), Privacy.of_this_machine()) == []
    assert f"-{facts.cpu.logical_cores}c-" in machine_slug(facts)


def test_load_is_a_share() -> None:
    assert 0 <= machine.read_load().cpu_share <= 1


def test_shared_caches_count_once_and_instructions_not_at_all(tmp_path: Path) -> None:
    for core in (0, 1):
        for index, (level, kind, size, shared) in enumerate(
            [
                ("1", "Data", "48K", str(core)),
                ("1", "Instruction", "32K", str(core)),
                ("3", "Unified", "32M", "0-1"),
            ]
        ):
            folder = tmp_path / f"cpu{core}" / "cache" / f"index{index}"
            write(folder / "level", level)
            write(folder / "type", kind)
            write(folder / "size", size)
            write(folder / "shared_cpu_list", shared)
    assert machine.cache_bytes(1, tmp_path) == 2 * 48 * 1024
    assert machine.cache_bytes(3, tmp_path) == 32 * 1024**2
    assert machine.cache_bytes(2, tmp_path) is None


def test_the_tightest_enclosing_cgroup_binds(tmp_path: Path) -> None:
    listing = tmp_path / "cgroup"
    write(listing, "0::/outer/inner\n")
    write(tmp_path / "outer" / "memory.max", "1000000\n")
    write(tmp_path / "outer" / "inner" / "memory.max", "max\n")
    write(tmp_path / "outer" / "inner" / "cpu.max", "150000 100000\n")
    assert machine.cgroup_limits(tmp_path, listing) == (1_000_000, 1.5)


def test_cgroup_version_1(tmp_path: Path) -> None:
    listing = tmp_path / "cgroup"
    write(listing, "4:memory:/job\n3:cpu,cpuacct:/job\n")
    write(tmp_path / "memory" / "job" / "memory.limit_in_bytes", "2000000\n")
    write(tmp_path / "memory" / "memory.limit_in_bytes", "9223372036854771712\n")
    write(tmp_path / "cpu" / "job" / "cpu.cfs_quota_us", "-1\n")
    write(tmp_path / "cpu" / "job" / "cpu.cfs_period_us", "100000\n")
    assert machine.cgroup_limits(tmp_path, listing) == (2_000_000, None)


def test_no_cgroup_is_no_limit(tmp_path: Path) -> None:
    assert machine.cgroup_limits(tmp_path, tmp_path / "absent") == (None, None)


@pytest.mark.parametrize(
    ("filesystem", "kind"), [("nfs4", "network"), ("tmpfs", "memory"), ("lustre", "network")]
)
def test_storage_that_the_file_system_tells(tmp_path: Path, filesystem: str, kind: str) -> None:
    assert machine.storage_kind("server:/x", filesystem, tmp_path) == kind


@pytest.mark.parametrize(
    ("model", "slug"),
    [
        ("AMD EPYC 7763 64-Core Processor", "amd-epyc-7763-64"),
        ("Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz", "intel-xeon-platinum-8370c"),
        ("Apple M3 Pro", "apple-m3-pro"),
        ("", "unknown"),
    ],
)
def test_slugs_are_short_and_plain(model: str, slug: str) -> None:
    assert slug_words(model) == slug


def test_what_a_cgroup_leaves_is_its_limit_less_what_cannot_be_dropped(tmp_path: Path) -> None:
    listing = tmp_path / "cgroup"
    write(listing, "0::/outer/inner\n")
    write(tmp_path / "outer" / "memory.max", "1000\n")
    write(tmp_path / "outer" / "memory.current", "700\n")
    write(tmp_path / "outer" / "memory.stat", "anon 400\ninactive_file 200\n")
    write(tmp_path / "outer" / "inner" / "memory.max", "max\n")
    assert cgroup_left_bytes(tmp_path, listing) == 500
    write(tmp_path / "outer" / "inner" / "memory.max", "300\n")
    assert cgroup_left_bytes(tmp_path, listing) == 300
    write(listing, "4:memory:/job\n")
    write(tmp_path / "memory" / "job" / "memory.limit_in_bytes", "2000\n")
    write(tmp_path / "memory" / "job" / "memory.usage_in_bytes", "2500\n")
    assert cgroup_left_bytes(tmp_path, listing) == 0
    assert cgroup_left_bytes(tmp_path, tmp_path / "absent") is None


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A driver with one accelerator, whose memory it does not tell."""

    def refuse(_: object) -> object:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    for name, answer in {
        "nvmlInit": None,
        "nvmlShutdown": None,
        "nvmlDeviceGetCount": 1,
        "nvmlDeviceGetHandleByIndex": 0,
        "nvmlSystemGetDriverVersion": b"550.1",
        "nvmlDeviceGetName": "Made Up 1",
    }.items():
        monkeypatch.setattr(pynvml, name, lambda *_, answer=answer: answer)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", refuse)
    machine.read_gpus.cache_clear()
    yield monkeypatch
    machine.read_gpus.cache_clear()


def test_accelerators_are_what_the_driver_says(driver: pytest.MonkeyPatch) -> None:
    driver.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda _: SimpleNamespace(total=2**34))
    gpu = machine.read_gpus()
    assert [(one.name, one.memory_bytes, one.driver) for one in gpu] == [
        ("Made Up 1", 2**34, "550.1")
    ]


def test_a_driver_that_does_not_answer_is_said_before_anything_is_measured(
    tmp_path: Path, driver: pytest.MonkeyPatch
) -> None:
    def pass_(*_: object, **__: object) -> None:
        pytest.fail("a pass ran")

    driver.setattr(measuring, "run_pass", pass_)
    image = write_tiny(tmp_path / "tiny.ome.tif", 64)
    with pytest.raises(RunError, match="does not say what it drives"):
        measuring.measure(Request(image=str(image), out=str(tmp_path / "out")))
    with pytest.raises(RunError, match="does not say what it drives"), open_lab():
        pytest.fail("a lab opened")
