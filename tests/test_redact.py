"""Redaction: home folders, names and foreign folders go; everything else stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import made_up_document, made_up_record

from tbscale.bench.check import check_record, report_lines
from tbscale.bench.records import save_record, seal
from tbscale.bench.redact import (
    Privacy,
    find_private,
    redact_command,
    redact_document,
    redact_paths,
    redact_text,
)

ADA = Privacy("/home/ada", ("ada",), ("babbage.example.org", "babbage"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ada/images/x.tif", "~/images/x.tif"),
        ("/home/ada", "~"),
        ("/home/adalbert/x.tif", "~/x.tif"),  # another user's home is private too
        ("/Users/grace/x.tif", "~/x.tif"),
        (r"C:\Users\grace\x.tif", r"~\x.tif"),
        ("/root/x.tif", "~/x.tif"),
        ("ran on babbage.example.org as ada", "ran on HOST as USER"),
        ("babbage: canada, adagio", "HOST: canada, adagio"),  # whole words only
        ("AMD EPYC 7763", "AMD EPYC 7763"),
    ],
)
def test_names_and_homes(text: str, expected: str) -> None:
    assert redact_text(text, ADA) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot read /srv/x/a.tif now", "cannot read PATH/a.tif now"),
        ("see https://example.org/a/b/c", "see https://example.org/a/b/c"),
        ("cellpose/dynamics.py", "cellpose/dynamics.py"),
        ("image = '../../study 7/a.tif'", "image = 'PATH/study 7/a.tif'"),
        ("image = '../study/b/a.tif'", "image = 'PATH/a.tif'"),
        ("rows 1 ... 5, ./here/a.tif", "rows 1 ... 5, ./here/a.tif"),
        ("90 bytes/px and 3/4", "90 bytes/px and 3/4"),
        ("results/made-up/x.json", "results/made-up/x.json"),
    ],
)
def test_folders(text: str, expected: str) -> None:
    assert redact_paths(text) == expected


def test_a_command_keeps_what_reruns_it() -> None:
    command = ["tbscale", "profile", "/srv/study 7/a.tif", "--out=/clone/results", "../x/w.pth"]
    assert redact_command(command, ADA, Path("/clone")) == (
        "tbscale profile PATH/a.tif --out=results PATH/w.pth"
    )


def test_a_document_is_redacted_at_any_depth_and_nothing_else_changes() -> None:
    document = made_up_document()
    document["parameters"]["model"] = "/home/ada/w.pth"
    document["passes"][0]["command"] = "python /home/ada/x.py on babbage"
    clean = redact_document(document, ADA)
    assert clean["parameters"]["model"] == "~/w.pth"
    assert clean["passes"][0]["command"] == "python ~/x.py on HOST"
    places = [finding.where for finding in find_private(document, ADA)]
    assert places == ["parameters.model", "passes[0].command"]
    assert find_private(clean, ADA) == []
    assert redact_document(made_up_document(), ADA) == made_up_document()


def test_this_machine_is_not_named_in_what_it_publishes() -> None:
    here = Privacy.of_this_machine()
    text = f"{here.home}/x {' '.join(here.hosts)} {' '.join(here.users)}"
    assert not any(name in redact_text(text, here).split() for name in (*here.hosts, *here.users))
    assert here.home not in redact_text(text, here)


def test_check_shows_what_is_private_and_how_it_compares(tmp_path: Path) -> None:
    document = made_up_document()
    document["command"] = "tbscale profile /home/ada/x.tif"
    document["passes"][0]["repeats"][1]["wall_s"] = 2.0
    path = save_record(seal(document), tmp_path)
    checked = check_record(path, [made_up_record()])
    text = "\n".join(report_lines(checked))
    assert not checked.publishable
    assert "'tbscale profile ~/x.tif'" in text
    assert "1.02 times its wall time, 1.00 times its peak, same cells" in text
    clean = check_record(save_record(made_up_record(), tmp_path), [])
    assert clean.publishable
    assert "no published record of made-up with stock yet" in report_lines(clean)
