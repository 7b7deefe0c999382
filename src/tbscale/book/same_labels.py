"""Labels that were compared once are compared for every record that has the same."""

from __future__ import annotations

from collections.abc import Sequence

from tbscale.bench.schema import Agreement, Record

Agreements = tuple[Agreement, ...]


def own_agreements(record: Record) -> Agreements:
    """How a record's labels stand to those of other records, not to true labels."""
    result = record.result
    return tuple(one for one in result.agreements if one.reference_record) if result else ()


def shared_agreements(records: Sequence[Record]) -> list[Agreements]:
    """For each record without comparisons of its own, those of another with the same labels.

    A checksum of labels is one of their partition, so the grade `bit`, which says that ids are
    equal too, is not shared.
    """
    found: dict[tuple[str, str] | None, Agreements] = {}
    for record in records:
        compared = tuple(one for one in own_agreements(record) if one.grade != "bit")
        if compared:
            found.setdefault(_partition(record), compared)
    return [() if own_agreements(one) else found.get(_partition(one), ()) for one in records]


def _partition(record: Record) -> tuple[str, str] | None:
    """What records of the same partition of the same pixels share; None without labels."""
    return (record.dataset.sha256, record.result.labels_sha256) if record.result else None
