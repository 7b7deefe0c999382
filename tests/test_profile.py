"""What a profile is made of: subject, request, command, references; no process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from made_up import made_up_document, made_up_record
from tiny import write_tiny

from tbscale.bench import measure as measuring
from tbscale.bench import passes, reference, subject, template
from tbscale.bench.command import (
    check_passes,
    parse_crop,
    parse_instruments,
    parse_setting,
    profile_command,
)
from tbscale.bench.measure import Request, measure
from tbscale.bench.records import record_path, save_record, seal
from tbscale.bench.schema import Load
from tbscale.bench.software import read_code, read_software
from tbscale.book import tables
from tbscale.book.shelf import Entry
from tbscale.engine.workload.labels import label_facts, write_labels
from tbscale.errors import DatasetError, RecordError, RunError


def write_stand_in(path: Path, size_px: int = 64) -> Path:
    """A file that says of itself that it imitates a dataset."""
    words = "Synthetic image: stand-in of exemplar-001, seed 0, region 0:9,0:9"
    tifffile.imwrite(path, np.zeros((size_px, size_px), np.uint16), description=words)
    return path


def test_a_stand_in_is_known_by_its_own_words(tmp_path: Path) -> None:
    path = write_stand_in(tmp_path / "any-name.ome.tif")
    found = subject.find_subject(None, path)
    assert (found.name, found.origin, found.true_labels) == ("exemplar-001", "stand-in", None)
    labels = tmp_path / "any-name-labels.ome.tif"
    labels.touch()
    assert subject.find_subject("mine", path) == subject.Subject("mine", path, "stand-in", labels)
    real = subject.find_subject(None, write_tiny(tmp_path / "Lung section 7.ome.tif"))
    assert (real.name, real.origin) == ("Lung-section-7", "real")


def test_a_stand_in_is_not_measured_under_another_datasets_name(tmp_path: Path) -> None:
    path = write_stand_in(tmp_path / "any-name.ome.tif")
    assert subject.find_subject("exemplar-001", path).name == "exemplar-001"
    with pytest.raises(DatasetError, match="stand-in of exemplar-001, not of WD-76845-097; pass"):
        subject.find_subject("WD-76845-097", path)


def test_datasets_are_looked_for_in_data_and_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="tbscale data stand-in exemplar-001"):
        subject.find_subject("exemplar-001", None)
    with pytest.raises(DatasetError, match="neither a file nor a dataset"):
        subject.find_subject("exemplar-002", None)
    with pytest.raises(DatasetError, match="pass one of them"):
        subject.find_subject(None, None)
    with pytest.raises(DatasetError, match="there is no image"):
        subject.find_subject(None, Path("absent.tif"))
    made = write_stand_in(Path("exemplar-001-stand-in.ome.tif"))
    assert subject.find_image("exemplar-001") == made
    Path("data").mkdir()
    fetched = write_tiny(Path("data/exemplar-001.ome.tif"))
    assert subject.find_image("exemplar-001") == fetched


def test_the_command_reproduces_the_request() -> None:
    request = Request(
        dataset="exemplar-001",
        image="data/x.ome.tif",
        channel="DNA_1",
        crop=(0, 512, 100, 612),
        repeats=5,
        threads=2,
        settings={"niter": 100},
        out="elsewhere",
    )
    assert " ".join(profile_command(request)) == (
        "tbscale profile exemplar-001 --image data/x.ome.tif --channel DNA_1 "
        "--crop 0:512,100:612 --repeats 5 --threads 2 --setting niter=100"
    )
    assert profile_command(Request(image="x.tif")) == ["tbscale", "profile", "x.tif"]
    once = Request(
        image="x.tif", repeats=1, warm_ups=0, instruments=("plain",), time_limit_s=3600.0
    )
    assert " ".join(profile_command(once)) == (
        "tbscale profile x.tif --repeats 1 --warm-ups 0 --instruments plain --time-limit 3600"
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("scalene", None, None, None), "begin with plain"),
        (("plain,valgrind", None, None, None), "no pass is called 'valgrind'"),
        ((None, 0, None, None), "measure nothing"),
        ((None, 1, -1, None), "measure nothing"),
        ((None, None, None, -5.0), "a time limit of -5 s ends every pass"),
        ((None, None, None, float("nan")), "ends every pass"),
    ],
)
def test_passes_that_measure_nothing_are_refused(given, says) -> None:
    with pytest.raises(RunError, match=says):
        check_passes(*given)
    check_passes(None, None, None, None)
    check_passes("plain", 1, 0, 0.5)


@pytest.mark.parametrize("text", ["scalene", "plain,plain", "plain,valgrind", "", "plain,"])
def test_lists_of_passes_that_are_none(text: str) -> None:
    with pytest.raises(RunError, match=r"no list of passes|no pass is called"):
        parse_instruments(text)


@pytest.mark.parametrize("text", ["0:512", "0:512;0:512", "a:b,c:d", ""])
def test_crops_that_are_none(text: str) -> None:
    with pytest.raises(RunError, match="is not a crop"):
        parse_crop(text)


def test_settings_are_read_as_values() -> None:
    texts = ["a=1", "b=0.5", "c=true", "d=none", "e=x"]
    assert dict(map(parse_setting, texts)) == {"a": 1, "b": 0.5, "c": True, "d": None, "e": "x"}
    with pytest.raises(RunError, match="sets nothing"):
        parse_setting("flow_threshold")


def test_one_new_record_is_expected(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="left 0 new records"):
        template._new_record(tmp_path, set())
    path = save_record(made_up_record(), tmp_path)
    assert template._new_record(tmp_path, set()) == path


def other_engine(labels_sha256: str) -> dict[str, Any]:
    """A document of another engine on the made-up record's pixels and weights."""
    document = made_up_document("tbscale")
    document["result"]["labels_sha256"] = labels_sha256
    return document


def test_the_reference_is_the_stock_record_of_the_same_work() -> None:
    stock = made_up_record()
    other_weights = made_up_document()
    other_weights["weights"]["sha256"] = "e" * 64
    other_flow = made_up_document()
    other_flow["parameters"]["flow_threshold"] = 0.5
    shelf = [seal(other_weights), seal(other_flow), stock]
    assert reference.find_reference(other_engine("f" * 64), shelf) == stock
    assert reference.find_reference(made_up_document(), shelf) is None
    assert reference.find_reference(other_engine("f" * 64), shelf[:2]) is None


def test_the_reference_ran_on_a_cpu_and_stock_elsewhere_is_compared_with_it() -> None:
    stock = made_up_record()
    elsewhere = made_up_document()
    elsewhere["parameters"]["device"] = "cuda"
    elsewhere["created"] = "2030-01-01"
    shelf = [stock, seal(elsewhere)]
    assert reference.find_reference(elsewhere, shelf) == stock
    assert reference.find_reference(other_engine("f" * 64), shelf) == stock
    assert reference.find_reference(other_engine("f" * 64), shelf[1:]) is None


def test_where_stock_gave_no_labels_those_of_exact_are_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TBSCALE_CACHE", str(tmp_path))
    exact, fast, elsewhere = (other_engine("f" * 64) for _ in range(3))
    fast["engine"]["name"] = "tbscale-fast"
    elsewhere["parameters"]["device"] = "cuda"
    half = other_engine("f" * 64)
    half["parameters"]["network"] = "half"
    half["created"] = "2030-01-01"
    shelf = [seal(exact), seal(elsewhere), seal(half)]
    assert reference.find_reference(half, shelf) == shelf[0]
    assert reference.find_reference(fast, shelf) == shelf[0]
    assert reference.find_reference(elsewhere, shelf) == shelf[0]
    assert reference.find_reference(exact, shelf) is None
    assert reference.find_reference(fast, [*shelf, made_up_record()]) == made_up_record()
    found = reference.agree_with_reference(tmp_path / "none.tif", "f" * 64, shelf[0])
    assert found is not None
    fast["result"]["agreements"] = [found]
    assert tables.grade_of(Entry(seal(fast))) == "`partition`, beside `tbscale`"


def test_agreement_with_the_reference_and_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stock's labels are kept; the same cells under other ids are the same partition."""
    monkeypatch.setenv("TBSCALE_CACHE", str(tmp_path))
    cells = np.kron(np.arange(16).reshape(4, 4), np.ones((8, 8), int)).astype(np.uint32)
    sha256 = label_facts(cells).sha256
    document = made_up_document()
    document["result"]["labels_sha256"] = sha256
    stock = seal(document)
    written = tmp_path / "written.tif"
    write_labels(cells, written)
    renamed = tmp_path / "renamed.tif"
    write_labels(np.where(cells > 0, 100 - cells, 0), renamed)

    unseen = reference.agree_with_reference(renamed, sha256, stock)
    assert unseen is not None
    assert (unseen["grade"], unseen["ap"]["0.9"]) == ("partition", 1.0)
    assert reference.agree_with_reference(renamed, "0" * 64, stock) is None

    kept = reference.keep_labels(written, sha256)
    assert not written.exists()
    seen = reference.agree_with_reference(renamed, sha256, stock)
    assert seen is not None
    assert (seen["grade"], seen["reference_record"]) == ("partition", stock.id)
    same = reference.agree_with_reference(kept, sha256, stock)
    assert same is not None
    assert same["grade"] == "bit"
    crop = tmp_path / "crop.tif"
    write_labels(cells[8:24, 0:16], crop)
    assert reference.agree_with_truth(crop, kept, (8, 24, 0, 16))["grade"] == "bit"


def test_a_plain_pass_that_ran_out_of_memory_is_a_record_without_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = write_tiny(tmp_path / "tiny.ome.tif", 64)

    def died(job: Any, folder: Path, **_: Any) -> passes.PassOutcome:
        watched = passes._Watched("out_of_memory", -9, "repeat 1", 123, 4.0)
        return passes._failed(job, passes._describe(job, ["python"], watched), None, watched)

    monkeypatch.setattr(measuring, "run_pass", died)
    monkeypatch.setattr(measuring, "read_load", lambda: Load(load_1min=0.0, cpu_share=0.0))
    record = measure(Request(image=str(image), out=str(tmp_path / "out")))
    assert record.result is None
    assert [one.instrument for one in record.passes] == ["plain"]
    assert (record.plain.ended, record.plain.peak_rss_bytes) == ("out_of_memory", 123)
    assert record.dataset.shape == (64, 64)
    assert record_path(record, Path()).parts[0] == "tiny"


def test_software_and_code_say_what_ran() -> None:
    software = read_software()
    assert software["cellpose"] == "3.1.1.3"
    code = read_code()
    assert code.commit is None or len(code.commit) == 40


def test_sealing_names_the_field_that_is_wrong() -> None:
    document = made_up_document()
    document["passes"][0]["repeats"][0]["cpu_s"] = "long"
    with pytest.raises(RecordError, match=r"passes\.0\.repeats\.0\.cpu_s: Input should be"):
        seal(document)
