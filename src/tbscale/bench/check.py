"""Look at one record before it is published: valid, what it would say, what stands beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tbscale.bench.machine_slug import machine_slug
from tbscale.bench.records import load_record, record_path
from tbscale.bench.redact import Finding, Privacy, find_private
from tbscale.bench.schema import Record
from tbscale.bench.statistics import wall_summary

GIB = 1024**3


@dataclass(frozen=True)
class Checked:
    """A record that is valid, what is still private in it, and its published peers."""

    record: Record
    private: list[Finding]
    peers: list[Record]

    @property
    def publishable(self) -> bool:
        """Whether nothing private is left."""
        return not self.private


def check_record(path: Path, published: Iterable[Record]) -> Checked:
    """Validate a record file and find its published peers: same dataset and engine.

    Raises
    ------
    RecordError : missing, edited or not valid
    """
    record = load_record(path)
    private = find_private(record.model_dump(mode="json"), Privacy.of_this_machine())
    peers = [
        one
        for one in published
        if one.id != record.id
        and one.dataset.name == record.dataset.name
        and one.dataset.crop == record.dataset.crop
        and one.engine.name == record.engine.name
    ]
    return Checked(record, private, peers)


def report_lines(checked: Checked) -> list[str]:
    """The check as text: facts, what would be published, privacy, peers."""
    return [
        *_facts(checked.record),
        *_privacy(checked.private),
        *_peers(checked.record, checked.peers),
    ]


def _facts(record: Record) -> list[str]:
    data, machine = record.dataset, record.machine
    cores, ram = machine.cpu.logical_cores, machine.memory.total_bytes / GIB
    commit = record.code.commit or "unknown"
    lines = [
        f"valid record {record.id}, schema version {record.schema_version}",
        "this would be published, and nothing else of your machine or image:",
        f"  image     {data.name} ({data.origin}), {data.shape[0]} x {data.shape[1]} pixels, "
        f"channel {data.channel} ({data.channel_name}), {data.dtype}",
        f"  engine    {record.engine.name} {record.engine.versions}",
        f"  machine   {machine.cpu.model}, {cores} cores, {ram:.0f} GiB, "
        f"{', '.join(gpu.name for gpu in machine.gpus) or 'no GPU'}, {machine.os}, "
        f"{machine.storage.kind} storage ({machine.storage.filesystem})",
        f"  load      {machine.load_before.cpu_share:.0%} of CPU before, "
        f"{machine.load_after.cpu_share:.0%} after",
        f"  code      {commit[:12]}{', changed since' if record.code.dirty else ''}",
        f"  command   {record.command}",
        f"  as        results/{record_path(record, Path()).as_posix()}",
    ]
    return lines + [_pass_line(record, one.instrument) for one in record.passes] + _result(record)


def _pass_line(record: Record, instrument: str) -> str:
    one = record.find_pass(instrument)
    if one is None or not one.measured:
        return f"  {instrument:13} ended: {one.ended if one else 'absent'}"
    wall = wall_summary(one)
    unstable = ", unstable" if wall.unstable else ""
    overhead = "" if one.overhead_ratio is None else f", {one.overhead_ratio:.2f} times plain"
    return (
        f"  {instrument:13} {wall.median:.2f} s (spread {wall.spread:.2f} s over {wall.n}"
        f"{unstable}), peak {one.peak_rss_bytes / 1e9:.2f} GB{overhead}"
    )


def _result(record: Record) -> list[str]:
    if record.result is None:
        return ["  result    none"]
    lines = [f"  result    {record.result.cells} cells, labels {record.result.labels_sha256[:12]}"]
    for one in record.result.agreements:
        ap = ", ".join(f"{value:.3f} at {key}" for key, value in one.ap.items())
        lines.append(f"  agreement {one.grade} with {one.reference}; AP {ap}")
    return lines


def _privacy(findings: list[Finding]) -> list[str]:
    if not findings:
        return ["nothing private found: no home folder, user name, host name or folder"]
    lines = [f"  {one.where}: {one.found!r} should be {one.becomes!r}" for one in findings]
    return ["private, do not publish; measure again to have it redacted:", *lines]


def _peers(record: Record, peers: list[Record]) -> list[str]:
    if not peers:
        return [f"no published record of {record.dataset.name} with {record.engine.name} yet"]
    return ["beside the published records of the same image and engine:"] + [
        _peer_line(record, peer) for peer in peers
    ]


def _peer_line(record: Record, peer: Record) -> str:
    name = f"  {peer.id[:8]} on {machine_slug(peer.machine)}:"
    own, other = record.find_pass("plain"), peer.find_pass("plain")
    if own is None or other is None or not own.measured or not other.measured:
        return f"{name} one of the two did not complete"
    ratio = wall_summary(own).median / wall_summary(other).median
    peak = own.peak_rss_bytes / other.peak_rss_bytes
    return (
        f"{name} {ratio:.2f} times its wall time, {peak:.2f} times its peak, {_same(record, peer)}"
    )


def _same(record: Record, peer: Record) -> str:
    if record.dataset.sha256 != peer.dataset.sha256:
        return "other pixels"
    if record.weights != peer.weights:
        return "same pixels, other weights"
    if record.result is None or peer.result is None:
        return "no labels to compare"
    equal = record.result.labels_sha256 == peer.result.labels_sha256
    return "same cells" if equal else f"other cells ({peer.result.cells} there)"
