"""Records: ids, validation, old versions, redaction, statistics."""

from __future__ import annotations

import json
import types
import typing
from pathlib import Path

import pytest
from made_up import made_up_document, made_up_record
from pydantic import BaseModel

from tbscale.bench import records, schema, statistics
from tbscale.bench.quantities import QUANTITIES, scope_of
from tbscale.errors import RecordError


def test_round_trip_keeps_everything(tmp_path: Path) -> None:
    record = made_up_record()
    path = records.save_record(record, tmp_path)
    assert records.load_record(path) == record
    assert records.load_records(tmp_path) == [record]


def test_name_is_dataset_engine_machine_and_id(tmp_path: Path) -> None:
    record = made_up_record()
    path = records.save_record(record, tmp_path)
    assert path.relative_to(tmp_path) == Path(
        f"made-up/stock-imaginary-9000-avx-512-2c-16gib-{record.id[:8]}.json"
    )


def test_id_is_the_hash_of_the_rest() -> None:
    record = made_up_record()
    document = json.loads(records.to_json(record))
    assert document["id"] == records.content_id(document)
    reordered = dict(reversed(document.items()))
    assert records.content_id(reordered) == record.id


def test_an_edited_record_is_refused(tmp_path: Path) -> None:
    path = records.save_record(made_up_record(), tmp_path)
    document = json.loads(path.read_text())
    document["passes"][0]["repeats"][1]["wall_s"] = 0.5
    path.write_text(json.dumps(document))
    with pytest.raises(RecordError, match="changed after it was sealed"):
        records.load_records(tmp_path)


def test_schema_and_local_folders_are_left_alone(tmp_path: Path) -> None:
    for name in records.NOT_RECORDS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.json").write_text("{}")
    assert records.load_records(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("passes", 0, "repeats", 1, "wall_s"), -1.0, "greater than or equal to 0"),
        (("passes", 0, "repeats", 1, "wall_s"), "1.0", "valid number"),
        (("passes", 0, "repeats", 0, "steps"), {"lunch": 1.0}, "unknown steps"),
        (("passes", 1, "overhead_ratio"), 1.0, "does not follow"),
        (("passes", 1, "scalene"), None, "holds no lines"),
        (("passes", 2, "line_profiler"), None, "holds no lines"),
        (("passes", 1, "scalene", "lines"), [], "at least 1 item"),
        (("passes",), [], "a pass or a measure"),
        (("result",), None, "needs a result"),
        (("dataset", "sha256"), "abc", "match pattern"),
        (("surprise",), 1, "Extra inputs"),
    ],
)
def test_what_is_not_a_record(path: tuple[str | int, ...], value: object, message: str) -> None:
    document = made_up_document()
    part: typing.Any = document
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(RecordError, match=message):
        records.seal(document)


def test_not_a_number_is_refused() -> None:
    document = made_up_document()
    document["passes"][0]["repeats"][1]["uncharged_s"] = float("nan")
    with pytest.raises(RecordError):
        records.seal(document)


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 1}', "{"])
def test_files_that_hold_no_record(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(RecordError):
        records.load_record(path)


def test_a_newer_version_says_update() -> None:
    document = {**made_up_document(), "schema_version": 2}
    document["id"] = records.content_id(document)
    with pytest.raises(RecordError, match="update tbscale"):
        records.parse_record(json.dumps(document), "x.json")


def test_an_old_version_still_loads_under_its_own_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pretended version 0, which called the engine a tool and had no measures."""
    old = made_up_document()
    old["schema_version"] = 0
    old["tool"] = old.pop("engine")
    del old["measures"]
    old["id"] = records.content_id(old)

    def to_version_1(document: records.Json) -> records.Json:
        document = dict(document)
        document["engine"] = document.pop("tool")
        return {**document, "schema_version": 1, "measures": []}

    with pytest.raises(RecordError, match="no migration knows"):
        records.parse_record(json.dumps(old), "old.json")
    monkeypatch.setitem(records.MIGRATIONS, 0, to_version_1)
    record = records.parse_record(json.dumps(old), "old.json")
    assert record.id == old["id"]
    assert record.engine.name == "stock"


def test_committed_schema_is_the_present_one() -> None:
    path = Path(__file__).parents[1] / "results" / "schema" / "record-1.json"
    assert json.loads(path.read_text()) == records.json_schema()


def test_committed_records_are_valid() -> None:
    folder = Path(__file__).parents[1] / "results"
    for record in records.load_records(folder):
        assert record.schema_version == 1


def _is_number(annotation: object) -> bool:
    """Whether a field's type holds numbers somewhere, models left out."""
    origin = typing.get_origin(annotation)
    if (
        origin is typing.Annotated
        or origin in (tuple, dict)
        or origin in (typing.Union, types.UnionType)
    ):
        return any(_is_number(part) for part in typing.get_args(annotation))
    return annotation in (int, float)


UNLABELLED = {"Record.schema_version", "Record.parameters", "Measure.value"}


def test_every_number_is_labelled_portable_or_local() -> None:
    found = set()
    for model in schema.Part.__subclasses__():
        assert issubclass(model, BaseModel)
        for name, annotation in typing.get_type_hints(model, include_extras=True).items():
            if name != "model_config" and _is_number(annotation):
                found.add(f"{model.__name__}.{name}")
    assert found - UNLABELLED == set(QUANTITIES)
    assert scope_of("Repeat.wall_s") == "local"


def test_statistics_are_of_the_measured_repeats_alone() -> None:
    summary = statistics.wall_summary(made_up_record().plain)
    assert (summary.n, summary.median) == (3, 1.0)
    assert summary.spread == pytest.approx(0.03)
    assert not summary.unstable
    assert statistics.summarise([1.0, 2.0]).unstable
    assert next(iter(statistics.step_summaries(made_up_record().plain))) == "read"


def test_ranks_need_more_than_the_spread() -> None:
    slow, fast = statistics.summarise([2.0, 2.1]), statistics.summarise([1.0, 1.1])
    noisy = statistics.summarise([0.5, 3.0])
    assert statistics.differs(slow, fast)
    assert not statistics.differs(slow, noisy)


def test_machines_are_not_pooled() -> None:
    other = made_up_document()
    other["machine"]["cpu"]["logical_cores"] = 64
    with pytest.raises(RecordError, match="cannot be pooled"):
        statistics.check_same_machine([made_up_record(), records.seal(other)])
    statistics.check_same_machine([made_up_record(), made_up_record("tbscale")])
