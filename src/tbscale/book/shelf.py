"""The records a book is built from, grouped into the sets that share a profile page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tbscale.bench.command import Crop
from tbscale.bench.machine_slug import machine_slug
from tbscale.bench.records import to_json
from tbscale.bench.reference import CPU, device_of
from tbscale.bench.schema import Record, Repeat
from tbscale.bench.software import commits_before
from tbscale.bench.statistics import Summary, peak_over_plan, step_summaries, wall_summary
from tbscale.book.same_labels import Agreements

SHORT_ID = 12  # hex digits of a record's address; the page states all 64


def engine_on(engine: str, device: str) -> str:
    """An engine, and the device where it is no CPU.

    >>> engine_on("stock", "cpu"), engine_on("stock", "cuda")
    ('stock', 'stock on cuda')
    """
    return engine if device == CPU else f"{engine} on {device}"


@dataclass(frozen=True)
class Entry:
    """One record and where it came from; `published` is false for one measured just now.

    `path` is its file; the notebook that made it lies beside it under the same name. `shared` are
    comparisons of another record with the same labels.
    """

    record: Record
    published: bool = True
    path: Path | None = None
    shared: Agreements = ()

    @property
    def notebook(self) -> Path | None:
        """The executed notebook, if it was kept."""
        beside = self.path.with_suffix(".ipynb") if self.path else None
        return beside if beside is not None and beside.is_file() else None

    def raw_json(self) -> bytes:
        """The file as it was sealed, byte for byte."""
        return self.path.read_bytes() if self.path else to_json(self.record).encode()

    @property
    def address(self) -> str:
        """The name of the record's permanent page: the first 12 hex digits of its id."""
        return self.record.id[:SHORT_ID]

    @property
    def age(self) -> tuple[str, bool, int, str]:
        """Day of creation, then what was measured just now, then by newer code, then the id."""
        record = self.record
        made = commits_before(record.code.commit)
        return (record.created.isoformat(), not self.published, made, record.id)

    @property
    def machine(self) -> str:
        """The short name of the machine."""
        return machine_slug(self.record.machine)

    @property
    def model(self) -> str:
        """The name of the weights, or of the parameter `model`, or a dash."""
        weights = self.record.weights
        return weights.name if weights else str(self.record.parameters.get("model", "–"))

    @property
    def variant(self) -> tuple[str, str, str, bool]:
        """What a newer record must share to replace this one: machine, model, device, place."""
        return (self.machine, self.model, self.device, self.published)

    @property
    def device(self) -> str:
        """Where the network ran: cpu, cuda or mps."""
        return device_of(self.record.parameters)

    @property
    def ran(self) -> str:
        """The engine, and the device where it is no CPU."""
        return engine_on(self.record.engine.name, self.device)

    @property
    def completed(self) -> bool:
        """Whether the plain pass ran to its end."""
        plain = self.record.find_pass("plain")
        return plain is not None and plain.ended == "completed"

    @cached_property
    def wall(self) -> Summary:
        """Wall seconds of the whole run over the measured repeats."""
        return wall_summary(self.record.plain)

    @cached_property
    def steps(self) -> dict[str, Summary]:
        """Wall seconds of each step over the measured repeats."""
        return step_summaries(self.record.plain)

    @property
    def peak_over_plan(self) -> float | None:
        """The largest resident memory over what the plan projected; None without a plan."""
        return peak_over_plan(self.record)

    def step_share(self, step: str) -> float:
        """The median of a step over the median of the whole run; 0 where it never ran."""
        return self.steps[step].median / self.wall.median if step in self.steps else 0.0

    @property
    def peak_rss_bytes(self) -> int:
        """The largest resident memory of the plain pass's whole life."""
        return self.record.plain.peak_rss_bytes

    def typical_repeat(self) -> Repeat:
        """The measured repeat whose wall time is nearest the median."""
        return min(self.record.plain.measured, key=lambda one: abs(one.wall_s - self.wall.median))


@dataclass(frozen=True)
class ProfileSet:
    """Records of one engine on one device, of one region of one plane, oldest first."""

    dataset: str
    origin: str
    crop: Crop | None
    engine: str
    device: str
    entries: tuple[Entry, ...]

    @property
    def slug(self) -> str:
        """The name of the page: dataset, origin, region if not all, engine, device if no CPU."""
        region = [] if self.crop is None else ["crop", *map(str, self.crop)]
        device = [] if self.device == CPU else [self.device]
        return "-".join([self.dataset, self.origin, *region, self.engine, *device]).lower()

    @property
    def ran(self) -> str:
        """The engine, and the device where it is no CPU."""
        return engine_on(self.engine, self.device)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all its records."""
        return frozenset(entry.record.id for entry in self.entries)

    @property
    def title(self) -> str:
        """The heading of the page."""
        what = self.dataset if self.origin == "real" else f"{self.dataset}, stand-in"
        part = "" if self.crop is None else ", a region"
        return f"{what}{part}: {self.ran}"

    @property
    def current(self) -> tuple[Entry, ...]:
        """The newest record of each machine, model and device, newest first."""
        newest = {entry.variant: entry for entry in self.entries}
        return tuple(sorted(newest.values(), key=lambda one: one.age, reverse=True))

    @property
    def leading(self) -> Entry:
        """The record that the page shows first: published, completed, newest, in this order."""
        return max(self.current, key=lambda one: (one.published, one.completed, one.age))

    @property
    def shown(self) -> tuple[Entry, ...]:
        """The leading record, then those measured here and not yet published."""
        return self.shown_on(None)

    def shown_on(self, machine: str | None) -> tuple[Entry, ...]:
        """The record of a machine, or the leading one; then those measured here."""
        there = [one for one in self.current if one.published and one.machine == machine]
        first = max(there, key=lambda one: (one.completed, one.age), default=self.leading)
        here = (one for one in self.current if not one.published)
        return tuple({one.record.id: one for one in (first, *here)}.values())


@dataclass(frozen=True)
class Shelf:
    """All records of a book, oldest first, each id once."""

    entries: tuple[Entry, ...]

    @cached_property
    def profile_sets(self) -> tuple[ProfileSet, ...]:
        """Records with a plain pass, grouped by plane, region, engine and device."""
        groups: dict[tuple[str, str, Crop | None, str, str], list[Entry]] = {}
        for entry in self.entries:
            if entry.record.find_pass("plain") is not None:
                data = entry.record.dataset
                engine = entry.record.engine.name
                key = (data.name, data.origin, data.crop, engine, entry.device)
                groups.setdefault(key, []).append(entry)
        sets = [ProfileSet(*key, tuple(group)) for key, group in groups.items()]
        return tuple(sorted(sets, key=lambda one: one.slug))

    def profile(self, dataset: str, engine: str, origin: str | None = None) -> Entry | None:
        """The leading record of a whole plane on a CPU, real before stand-in; None without one."""
        found = [
            one
            for one in self.profile_sets
            if (one.dataset, one.engine, one.crop, one.device) == (dataset, engine, None, CPU)
            and origin in (None, one.origin)
        ]
        return min(found, key=lambda one: one.origin).leading if found else None

    def on_accelerators(self) -> tuple[Entry, ...]:
        """The leading completed records of whole planes whose network ran on no CPU."""
        sets = [one for one in self.profile_sets if one.crop is None and one.device != CPU]
        return tuple(one.leading for one in sets if one.leading.completed)

    def set_of(self, entry: Entry) -> ProfileSet | None:
        """The profile set that holds a record, if any."""
        wanted = entry.record.id
        holders = (one for one in self.profile_sets if wanted in one.ids)
        return next(holders, None)

    def headline(self) -> tuple[Entry, ...]:
        """For each whole plane, engine and device one record, all of an image of one machine.

        Seconds of different machines do not stand beside each other, so that of an image's
        machines which measured most engines speaks, and no other; the newest, where two measured
        as many. What was measured here and is not published comes beside it.
        """
        wholes = [(one, self._speaking(one)) for one in self.profile_sets if one.crop is None]
        return tuple(
            entry
            for one, machine in wholes
            for entry in one.shown_on(machine)
            if machine is None or entry.machine == machine or not entry.published
        )

    def _speaking(self, one: ProfileSet) -> str | None:
        """The machine that speaks for an image on a device; None where nothing is published."""
        plane = (one.dataset, one.origin, one.crop, one.device)
        peers = [
            entry
            for other in self.profile_sets
            if (other.dataset, other.origin, other.crop, other.device) == plane
            for entry in other.current
            if entry.published
        ]
        engines: dict[str, set[str]] = {}
        for entry in peers:
            engines.setdefault(entry.machine, set()).add(entry.record.engine.name)
        best = max(peers, key=lambda one: (len(engines[one.machine]), one.age), default=None)
        return None if best is None else best.machine

    def of_experiment(self, name: str) -> tuple[Entry, ...]:
        """Records of one experiment, oldest first."""
        return tuple(entry for entry in self.entries if entry.record.experiment == name)

    def newest_of(self, experiment: str) -> Entry | None:
        """The newest record of one experiment; None where there is none."""
        return next(reversed(self.of_experiment(experiment)), None)
