"""Records on disk: content ids, validation, old versions, saving and loading.

A record's id is the SHA-256 of its canonical JSON without the id: sorted keys, no spaces, ASCII.
The id is checked against the file as it lies on disk, before any migration, so an edited record
is refused and an old one keeps its address.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tbscale.bench.machine_slug import machine_slug
from tbscale.bench.schema import SCHEMA_VERSION, Record
from tbscale.errors import RecordError

Json = dict[str, Any]
NOT_RECORDS = ("schema", "local")  # folders under results/ that `load_records` leaves alone

# version -> function that turns a document of that version into one of the next; none yet
MIGRATIONS: dict[int, Callable[[Json], Json]] = {}


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """The bytes whose hash is the id: sorted keys, no spaces, ASCII, no NaN."""
    text = json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return text.encode("ascii")


def content_id(document: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a document, its own `id` left out."""
    body = {key: value for key, value in document.items() if key != "id"}
    return hashlib.sha256(canonical_json(body)).hexdigest()


def seal(document: Mapping[str, Any]) -> Record:
    """Make a valid record of a document without id (or with a stale one).

    Raises
    ------
    RecordError : the document does not fit the schema
    """
    draft = _validate({**document, "id": "0" * 64}, "the new record")
    body = draft.model_dump(mode="json")
    return _validate({**body, "id": content_id(body)}, "the new record")


def to_json(record: Record) -> str:
    """The text of a record's file: indented, long number lists kept on one line each."""
    return _indented(record.model_dump(mode="json")) + "\n"


def parse_record(text: str, source: str) -> Record:
    """Read, check and, where needed, migrate one record; `source` names it in messages.

    Raises
    ------
    RecordError : not JSON, edited after it was sealed, of a newer version, or not valid
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise RecordError(f"{source} is not JSON ({error}); restore the file") from None
    if not isinstance(document, dict):
        raise RecordError(f"{source} holds no record; restore the file")
    _check_id(document, source)
    return _validate(migrate(document, source), source)


def migrate(document: Json, source: str) -> Json:
    """Bring a document of an older schema version to the present one, step by step."""
    version = document.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise RecordError(f"{source} states no schema_version; it is not a record")
    if version > SCHEMA_VERSION:
        raise RecordError(
            f"{source} has schema version {version}, this tbscale reads up to {SCHEMA_VERSION}; "
            "update tbscale"
        )
    while version < SCHEMA_VERSION:
        if version not in MIGRATIONS:
            raise RecordError(f"{source} has schema version {version}, which no migration knows")
        document = MIGRATIONS[version](document)
        version += 1
    return document


def load_record(path: Path) -> Record:
    """Read one record file. RecordError where it is missing, edited or not valid."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"cannot read {path} ({error.strerror}); check the path") from None
    return parse_record(text, str(path))


def record_files(folder: Path) -> list[Path]:
    """Every record file under `folder`, sorted; `schema/` and `local/` directly below are not."""
    return [
        path
        for path in sorted(folder.rglob("*.json"))
        if path.relative_to(folder).parts[0] not in NOT_RECORDS
    ]


def load_records(folder: Path) -> list[Record]:
    """Every record under `folder`, in the order of their paths; one bad file fails all.

    `schema/` and `local/` directly below `folder` are left out.
    """
    return [load_record(path) for path in record_files(folder)]


def record_path(record: Record, folder: Path) -> Path:
    """Where a record belongs: `<dataset>/<engine>-<machine>-<id8>.json` under `folder`."""
    name = f"{record.engine.name}-{machine_slug(record.machine)}-{record.id[:8]}.json"
    return folder / record.dataset.name / name


def save_record(record: Record, folder: Path) -> Path:
    """Write a record under its own name; never overwrites another, never leaves a part."""
    path = record_path(record, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(to_json(record), encoding="utf-8")
    part.replace(path)
    return path


def json_schema() -> Json:
    """The JSON Schema of the present version."""
    schema = Record.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _check_id(document: Json, source: str) -> None:
    stated, actual = document.get("id"), content_id(document)
    if stated != actual:
        raise RecordError(
            f"{source} was changed after it was sealed (id {str(stated)[:8]}, content "
            f"{actual[:8]}); restore the file or measure again"
        )


def _validate(document: Json, source: str) -> Record:
    try:
        return Record.model_validate_json(json.dumps(document, allow_nan=False), strict=True)
    except (ValidationError, ValueError) as error:
        raise RecordError(f"{source} is not a valid record: {_first_problem(error)}") from None


def _first_problem(error: ValueError) -> str:
    """One clause of a validation error: where, and what is wrong there."""
    if not isinstance(error, ValidationError):
        return str(error)
    problems = error.errors(include_url=False)
    where = ".".join(str(part) for part in problems[0]["loc"]) or "the record"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {problems[0]['msg']}{more}"


def _indented(value: object, indent: int = 0) -> str:
    """Readable JSON: objects on many lines, lists of plain values on one."""
    pad = "  " * (indent + 1)
    if isinstance(value, dict) and value:
        lines = [f"{pad}{json.dumps(k)}: {_indented(v, indent + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + "\n" + "  " * indent + "}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        lines = [f"{pad}{_one_line(item, indent + 1)}" for item in value]
        return "[\n" + ",\n".join(lines) + "\n" + "  " * indent + "]"
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def _one_line(value: object, indent: int) -> str:
    """Small flat objects (spans, table lines) stay on one line."""
    if isinstance(value, dict) and not any(isinstance(v, dict | list) for v in value.values()):
        return json.dumps(value, ensure_ascii=True, allow_nan=False)
    return _indented(value, indent)
