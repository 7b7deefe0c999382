"""Labels that were compared once are compared for every record that has the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    found: dict[tuple[str, str], Agreements] = {}
    for record in records:
        compared = tuple(one for one in own_agreements(record) if one.grade != "bit")
        if compared and record.result:
            found.setdefault((record.dataset.sha256, record.result.labels_sha256), compared)
    return [_shared(record, found) for record in records]


def _shared(record: Record, found: Mapping[tuple[str, str], Agreements]) -> Agreements:
    if record.result is None or own_agreements(record):
        return ()
    return found.get((record.dataset.sha256, record.result.labels_sha256), ())
