"""What the control groups of this process allow."""

from __future__ import annotations

from pathlib import Path


def cgroup_limits(
    root: Path = Path("/sys/fs/cgroup"), listing: Path = Path("/proc/self/cgroup")
) -> tuple[int | None, float | None]:
    """(memory bytes, CPUs) that the control groups of this process allow; None is no limit.

    A limit of an enclosing group binds too, so the smallest on the way up counts (version 2).
    Version 1 keeps memory and cpu in separate trees.
    """
    memory: list[int] = []
    cpus: list[float] = []
    for line in read_lines(listing):
        _, controllers, path = line.split(":", 2)
        for inner in _upwards(path):
            if controllers == "":
                memory += _limit(root / inner / "memory.max")
                cpus += _quota(root / inner / "cpu.max")
            elif "memory" in controllers.split(","):
                memory += _limit(root / "memory" / inner / "memory.limit_in_bytes")
            elif "cpu" in controllers.split(","):
                cpus += _quota_v1(root / "cpu" / inner)
    return min(memory, default=None), min(cpus, default=None)


def cgroup_left_bytes(
    root: Path = Path("/sys/fs/cgroup"), listing: Path = Path("/proc/self/cgroup")
) -> int | None:
    """Memory that the control groups of this process leave it now; None is no limit.

    What a group holds of files can be dropped, so the inactive part of that counts as left.
    """
    left: list[int] = []
    for line in read_lines(listing):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            tree, limit, used, cached = root, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            tree, limit = root / "memory", "memory.limit_in_bytes"
            used, cached = "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        for group in (tree / inner for inner in _upwards(path)):
            for most in _limit(group / limit):
                in_use = sum(int(text) for text in read_lines(group / used) if text.isdigit())
                left.append(max(0, most - max(0, in_use - _statistic(group, cached))))
    return min(left, default=None)


def _upwards(path: str) -> list[Path]:
    """A group and those around it, from the inside to the root of their tree; relative paths.

    >>> [str(group) for group in _upwards("/a/b")]
    ['a/b', 'a', '.']
    """
    inside = Path(path.strip("/"))
    return [inside, *inside.parents]


def _statistic(group: Path, name: str) -> int:
    """One number of a group's `memory.stat`; 0 where it has none."""
    pairs = [line.split() for line in read_lines(group / "memory.stat")]
    return sum(int(value) for key, value in pairs if key == name)


def read_lines(path: Path) -> list[str]:
    """Lines of a small file; none where it cannot be read."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _limit(path: Path) -> list[int]:
    """A memory limit, unless there is none ("max", or version 1's huge number)."""
    values = [int(text) for text in read_lines(path) if text.isdigit()]
    return [value for value in values if value < 1 << 60]


def _quota(path: Path) -> list[float]:
    values = [line.split() for line in read_lines(path)]
    return [int(quota) / int(period) for quota, period in values if quota.isdigit()]


def _quota_v1(folder: Path) -> list[float]:
    quota, period = (
        read_lines(folder / "cpu.cfs_quota_us"),
        read_lines(folder / "cpu.cfs_period_us"),
    )
    if not quota or not period or int(quota[0]) <= 0:
        return []
    return [int(quota[0]) / int(period[0])]
