"""The page of whole runs in turn says what its records say, image by image."""

from pathlib import Path

import pytest
from made_up_experiments import experiment_record, speedup_rows

from tbscale.bench.records import seal
from tbscale.book import formats
from tbscale.book.loading import make_shelf
from tbscale.book.pages import Binder, Tree, new_environment
from tbscale.book.questions import measures, speedup
from tbscale.book.shelf import Entry, Shelf

PAGE = Path(__file__).resolve().parents[1] / "notebooks/questions/q10-speedup.md"


def test_a_whole_run_is_as_fast_as_its_slowest_pair() -> None:
    def shelf(seconds: tuple[float, ...]) -> Shelf:
        return make_shelf([Entry(experiment_record("speedup", speedup_rows(seconds)))])

    (entry,) = speedup.current(shelf((2.0, 2.5)))
    assert speedup.engines_of(entry.record) == ["tbscale", "tbscale-half"]
    assert speedup.slowest(shelf((2.0, 2.5))) == {"tbscale": 2.0, "tbscale-half": 4.0}
    assert speedup.slowest(shelf((2.0, 10.0)))["tbscale-half"] == 1.0
    assert "4.50 (4.00 to 5.00)" in speedup.speedup_table(entry.record)
    table = speedup.agreement_table(entry.record)
    assert "`bit` | 40 | 1.000 | 1.000 | 0 |" in table
    assert "`ap` | 40 | 0.980 | 0.980 | 20,000 in a million |" in table
    binder = Binder(shelf((2.0, 10.0)), "", Tree(), new_environment())
    text = binder.bind_file("questions/q10-speedup", PAGE)
    assert "`tbscale-half` 1.00" in text


def test_every_image_has_its_newest_whole_runs() -> None:
    records = [experiment_record("speedup", speedup_rows(s)) for s in ((2.0, 2.5), (3.0, 3.0))]
    later = records[1].model_dump(mode="json", exclude={"id"}) | {"created": "2031-01-01"}
    other = records[0].model_dump(mode="json", exclude={"id"})
    other["dataset"] |= {"name": "cycif-tonsil", "origin": "real", "crop": [0, 40, 0, 60]}
    other["dataset"] |= {"sha256": "a" * 64, "channel": 3, "channel_name": "DNA"}
    found = speedup.current(
        make_shelf([Entry(records[0])] + [Entry(seal(x)) for x in (other, later)])
    )
    assert [one.record.dataset.name for one in found] == ["cycif-tonsil", "exemplar-001"]
    assert speedup.slowest(make_shelf(found))["tbscale-half"] == pytest.approx(10 / 3)
    assert measures.image_of(found[0].record).replace(formats.NBSP, " ") == (
        "cycif-tonsil, channel DNA, 40 x 60 px of it"
    )
    elsewhere = records[1].model_dump(mode="json", exclude={"id"})
    elsewhere["machine"]["cpu"]["model"] = "Other CPU"
    assert len(speedup.current(make_shelf([*found, Entry(seal(elsewhere))]))) == 3
