"""Set labels beside the truth and beside the reference's, where either is known."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tbscale.bench.agreement import THRESHOLDS, Comparison, LabelsOnDisk, compare_labels
from tbscale.bench.records import load_records
from tbscale.bench.schema import Record
from tbscale.engine.weights import cache_folder
from tbscale.errors import RecordError
from tbscale.images.open import open_plane

logger = logging.getLogger(__name__)
Json = dict[str, Any]

REFERENCE_ENGINE, CPU = "stock", "cpu"
EXACT_NETWORK = "exact"
EXACT_ENGINE = "tbscale"  # stands in where the reference ran out of memory: its cells are the same
TRUTH = "true labels of the stand-in"
# settings that two engines share and that decide the labels
DECISIVE = ("diameter", "flow_threshold", "cellprob_threshold", "min_size", "niter")


def device_of(parameters: Mapping[str, Any]) -> str:
    """Where the network of a record ran: cpu, cuda or mps. Experiments without one ran on a CPU."""
    return str(parameters.get("device", CPU))


def is_reference(engine: str, parameters: Mapping[str, Any]) -> bool:
    """Whether the labels of a record are what others are compared with: stock Cellpose on a CPU."""
    return engine == REFERENCE_ENGINE and device_of(parameters) == CPU


def labels_file(sha256: str) -> Path:
    """Where labels are kept on this machine, by the checksum of their partition."""
    return cache_folder() / "labels" / f"{sha256}.tif"


def keep_labels(written: Path, sha256: str) -> Path:
    """Move labels that a pass wrote to where they are kept, and return their path."""
    kept = labels_file(sha256)
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_name(f".{kept.name}.part")
    part.write_bytes(written.read_bytes())  # another file system, perhaps: no rename
    part.replace(kept)
    written.unlink()
    return kept


def is_exact(engine: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a record is of the engine that promises the reference's cells, on a CPU."""
    network = parameters.get("network", EXACT_NETWORK)  # a setting may have chosen another
    return engine == EXACT_ENGINE and network == EXACT_NETWORK and device_of(parameters) == CPU


def find_reference(document: Json, records: Iterable[Record]) -> Record | None:
    """The newest stock record of the same pixels, weights and decisive settings, on a CPU.

    The stock engine itself is compared where it ran elsewhere: a GPU rounds otherwise. Where stock
    gave no labels, those of `EXACT_ENGINE` are the reference of the others.
    """
    engine, parameters = document["engine"]["name"], document["parameters"]
    if document["weights"] is None or is_reference(engine, parameters):
        return None
    same = [
        record
        for record in records
        if record.result is not None
        and record.weights is not None
        and record.weights.sha256 == document["weights"]["sha256"]
        and record.dataset.sha256 == document["dataset"]["sha256"]
        and all(record.parameters.get(k) == document["parameters"].get(k) for k in DECISIVE)
    ]
    wanted = (is_reference,) if is_exact(engine, parameters) else (is_reference, is_exact)
    for chosen in wanted:
        found = [one for one in same if chosen(one.engine.name, one.parameters)]
        if found:
            return max(found, key=lambda record: (record.created, record.id))
    return None


def agree_with_truth(labels: Path, truth: Path, crop: tuple[int, int, int, int] | None) -> Json:
    """Labels beside the known labels of a stand-in, over the region that was segmented."""
    logger.info("labels: compared with %s", TRUTH)
    known = LabelsOnDisk(open_plane(truth), crop)
    compared = compare_labels(LabelsOnDisk(open_plane(labels)), known)
    return agreement(TRUTH, None, compared)


def agree_with_reference(labels: Path, labels_sha256: str, reference: Record) -> Json | None:
    """Labels beside those of a reference's record; None where those are not on this machine.

    Equal checksums need no labels: the partition is the same.
    """
    result = reference.result
    if result is None:
        raise RecordError(f"record {reference.id[:8]} has no result to compare with")
    name = f"{reference.engine.name} engine, record {reference.id[:8]}"
    kept = labels_file(result.labels_sha256)
    if kept.is_file():
        logger.info("labels: compared with those of the %s", name)
        compared = compare_labels(LabelsOnDisk(open_plane(labels)), LabelsOnDisk(open_plane(kept)))
    elif result.labels_sha256 == labels_sha256:
        ap = dict.fromkeys(THRESHOLDS, 1.0)
        compared = Comparison("partition", result.cells, result.cells, 0.0, ap)
    else:
        logger.warning(
            "the labels differ from those of %s, whose labels are not on this machine; "
            "profile that engine here to learn how far",
            name,
        )
        return None
    return agreement(name, reference.id, compared)


def agreement(reference: str, record_id: str | None, compared: Comparison) -> Json:
    """A comparison as a record holds it."""
    return {
        "reference": reference,
        "reference_record": record_id,
        "grade": compared.grade,
        "cells": compared.cells,
        "reference_cells": compared.reference_cells,
        "differing_share": compared.differing_share,
        "ap": {str(threshold): value for threshold, value in compared.ap.items()},
    }


def known_records(folders: Iterable[Path]) -> list[Record]:
    """Every valid record under the folders that exist; a folder with a bad one is passed over."""
    found: list[Record] = []
    for folder in folders:
        if not folder.is_dir():
            continue
        try:
            found += load_records(folder)
        except RecordError as error:
            logger.warning("%s", error)
    return found
