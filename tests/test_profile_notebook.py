"""The notebook of a profile: its parameters, what is redacted, what it shows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from made_up import made_up_document
from tiny import write_tiny

from tbscale.bench import template
from tbscale.bench.command import OPTIONS
from tbscale.bench.measure import Request
from tbscale.bench.records import seal
from tbscale.book import notebook, region
from tbscale.book.shelf import Entry
from tbscale.engine.workload.labels import write_labels
from tbscale.errors import RunError, WeightsError


def test_the_notebook_has_its_parameters_and_no_outputs() -> None:
    path = template.find_template()
    assert set(template.known_parameters(path)) >= {*OPTIONS, "dataset", "out"}
    cells = nbformat.read(path, as_version=4).cells
    assert [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    assert not any(c.get("outputs") or c.get("execution_count") for c in cells)


def test_unknown_parameters_name_the_known_ones() -> None:
    with pytest.raises(RunError, match=r"no parameter colour; choose from .*diameter.*repeats"):
        template.check_parameters(template.find_template(), {"colour": "red", "engine": "stock"})


def test_errors_of_a_cell_keep_their_kind() -> None:
    error = template._as_own("WeightsError", "no such weights", 3)
    assert isinstance(error, WeightsError)
    assert str(template._as_own("KeyError", "'x'", 3)).startswith("the notebook stopped in cell 3")


WITHOUT_NETWORK = ["unshare", "--map-root-user", "--net"]  # not even loopback is up in there
RUN = "import sys; from pathlib import Path; from tbscale.bench import template as t; "
RUN += "t._run(Path(sys.argv[1]), Path(sys.argv[2]), {'side': 3})"


def can_unplug() -> bool:
    try:
        return subprocess.run([*WITHOUT_NETWORK, "true"], check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not can_unplug(), reason="no namespaces to take the network away in")
def test_a_notebook_runs_where_there_is_no_network_at_all(tmp_path: Path) -> None:
    made = nbformat.v4.new_notebook()
    given = nbformat.v4.new_code_cell("side = 2", metadata={"tags": ["parameters"]})
    made.metadata["language_info"] = {"name": "python"}
    made.cells = [given, nbformat.v4.new_code_cell("print(side**2)")]
    nbformat.write(made, tmp_path / "template.ipynb")
    executed = tmp_path / "executed.ipynb"
    run = [sys.executable, "-c", RUN, str(tmp_path / "template.ipynb"), str(executed)]
    subprocess.run([*WITHOUT_NETWORK, *run], check=True, timeout=120, capture_output=True)
    cells = nbformat.read(executed, as_version=4).cells
    assert cells[-1].outputs[0].text == "9\n"


def test_records_go_to_a_folder_that_can_be_made(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    for out in (taken, taken / "below"):
        with pytest.raises(RunError, match=r"cannot be a folder of records .*; pass another --out"):
            template.execute(template.find_template(), {}, out)
    assert taken.read_text() == "a file"


def test_a_kernel_is_met_at_a_socket_whose_path_a_system_takes() -> None:
    near = template._kernel_address(Path("/tmp/x"))["KernelManager"]
    assert near == {"transport": "ipc", "ip": str(Path("/tmp/x/kernel"))}
    assert template._kernel_address(Path("/tmp") / ("x" * 90)) == {}  # by TCP, then


def test_an_executed_notebook_is_redacted_and_bounded(tmp_path: Path) -> None:
    made = nbformat.v4.new_notebook()
    cell = nbformat.v4.new_code_cell("image = '/srv/study/a.tif'")
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><g><path d="M0/0"/></g></svg>'
    cell.outputs = [
        nbformat.v4.new_output("stream", text="read /srv/study/a.tif\n"),
        nbformat.v4.new_output("display_data", data={"image/svg+xml": svg}),
    ]
    made.cells = [cell]
    made.metadata["papermill"] = {"input_path": "/srv/x.ipynb"}
    clean = template.redact_notebook(json.loads(nbformat.writes(made)))
    text = json.dumps(clean)
    assert "/srv" not in text
    assert "papermill" not in text
    assert "".join(clean["cells"][0]["outputs"][1]["data"]["image/svg+xml"]) == svg
    with pytest.raises(RunError, match="the limit is"):
        template._write(tmp_path / "x.ipynb", "x" * (template.MAX_BYTES + 1))
    assert list(tmp_path.iterdir()) == []


def local_entry(origin: str) -> Entry:
    document = made_up_document()
    document["dataset"]["origin"] = origin
    return Entry(seal(document))


@pytest.mark.parametrize(
    ("origin", "out", "show_pixels", "shown"),
    [
        ("stand-in", "results", "auto", True),
        ("real", "results", "auto", False),
        ("real", "results/local", "auto", True),
        ("real", "results/local", "never", False),
        ("real", "results", "always", True),
    ],
)
def test_pixels_of_real_images_stay_out_of_what_is_published(
    origin: str, out: str, show_pixels: str, shown: bool
) -> None:
    assert notebook.may_show(local_entry(origin), Request(out=out), show_pixels) == shown


def test_show_pixels_is_one_of_three_words() -> None:
    with pytest.raises(RunError, match="auto, always, never"):
        notebook.show_region(local_entry("real"), Request(), "perhaps")


def test_the_region_figure_outlines_cells(tmp_path: Path) -> None:
    image = write_tiny(tmp_path / "tiny.ome.tif", 64, channels=1)
    labels = np.zeros((32, 48), np.uint32)
    labels[4:12, 6:20] = 7
    write_labels(labels, tmp_path / "labels.tif")
    document = made_up_document()
    document["dataset"] |= {"shape": [64, 64], "crop": [16, 48, 8, 56]}
    drawing = region.region_drawing(Entry(seal(document)), image, tmp_path / "labels.tif")
    assert "1 cell outlined over the pixels of rows 16 to 48, columns 8 to 56" in drawing.alt
    assert "stand-in of made-up" in drawing.alt
    assert drawing.light_svg.startswith("<?xml")
    edge = region.outlines(labels)
    assert edge.sum() == 2 * 14 + 2 * 6
    assert not edge[labels == 0].any()
