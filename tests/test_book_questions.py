"""The pages of the questions say what their records say, and nothing where there is none."""

from pathlib import Path

import pytest
from made_up import made_up_document
from made_up_experiments import (
    ROWS,
    experiment_record,
    growth_rows,
    network_batch_rows,
    settings_rows,
)

from tbscale.bench.records import seal
from tbscale.book.loading import make_shelf
from tbscale.book.pages import Binder, Tree, is_template, new_environment
from tbscale.book.questions import (
    bottleneck,
    files,
    growth,
    network,
    properties,
    settings,
    step_costs,
    traps,
    trust,
)
from tbscale.book.questions import will_it_fit as fit
from tbscale.book.questions.lines import Line, fit_line
from tbscale.book.shelf import Entry, Shelf
from tbscale.errors import RecordError

PAGES = Path(__file__).resolve().parents[1] / "notebooks"
NAMES = {
    "growth": "questions/q2-growth",
    "properties": "questions/q3-properties",
    "settings": "questions/q4-settings",
    "network": "questions/q6-network",
    "channels": "questions/q5-channels",
    "files": "questions/q7-files",
    "steps": "questions/q8-steps",
    "traps": "questions/q9-traps",
    "speedup": "questions/q10-speedup",
    "trust": "trust",
}
BY_SCRIPT = {NAMES["steps"], NAMES["traps"]}  # rerun beside another environment
GIB = 2**30


def shelf_of(*experiments: str) -> Shelf:
    return make_shelf([Entry(experiment_record(one)) for one in experiments])


def page(name: str, shelf: Shelf) -> tuple[str, Tree]:
    tree = Tree()
    binder = Binder(shelf, "", tree, new_environment())
    return binder.bind_file(name, PAGES / f"{name}.md"), tree


@pytest.mark.parametrize("experiment", list(ROWS))
def test_a_page_shows_its_record(experiment: str) -> None:
    shelf = shelf_of(experiment)
    text, tree = page(NAMES[experiment], shelf)
    assert shelf.entries[0].address in text
    assert "## The answer" in text or experiment == "trust"
    figures = [path for path in tree.content if path.endswith(".csv")]
    assert figures
    assert all(tree.content[path].count(b"\n") > 2 for path in figures)
    assert "No record" not in text


@pytest.mark.parametrize("name", [*NAMES.values(), "questions/q1-bottleneck", "will-it-fit"])
def test_a_page_without_a_record_says_so(name: str) -> None:
    text, tree = page(name, make_shelf([]))
    assert "*No " in text
    assert not tree.content


@pytest.mark.parametrize(
    "name", [*sorted({*NAMES.values()} - BY_SCRIPT), "questions/q1-bottleneck"]
)
def test_a_page_has_a_notebook_that_reruns_it(name: str) -> None:
    notebook = PAGES / f"{name}.ipynb"
    assert notebook.is_file()
    assert is_template(notebook)


def test_the_profile_of_2022_is_bound_and_cited() -> None:
    text, _ = page("questions/q1-bottleneck", make_shelf([]))
    (paragraph,) = [one for one in text.split("\n\n") if "follow_flows" in one]
    assert "182.5" in paragraph
    assert "6,713" in paragraph
    assert "{cite:p}`hackathon2022`" in paragraph
    bar = bottleneck.bar_2022()
    assert bar.whole_s == pytest.approx(182.5)
    assert bar.seconds["from flows to cells"] == pytest.approx(16.1 + 4.6 + 2.7)


def test_the_bottleneck_follows_the_records() -> None:
    def entry(engine: str, network_s: float) -> Entry:
        document = made_up_document(engine)
        document["passes"] = document["passes"][:1]
        for repeat in document["passes"][0]["repeats"]:
            repeat["wall_s"] += network_s - repeat["steps"]["network"]
            repeat["steps"]["network"] = network_s
        return Entry(seal(document))

    assert "largest part is *network* in 1" in bottleneck.verdict([entry("stock", 0.7)])
    assert "*from flows to cells* in 1" in bottleneck.verdict([entry("stock", 0.01)])


def test_a_line_is_found_and_its_error_stated() -> None:
    line = fit_line([(x, 500.0 + 3 * x) for x in (10, 100, 5_000)])
    assert line.constant == pytest.approx(500)
    assert line.slope == pytest.approx(3)
    assert line.largest_error < 1e-6
    assert fit_line([(1, 1), (2, 4), (3, 9)]).constant == 0.0  # never below zero
    with pytest.raises(RecordError, match="two sizes"):
        fit_line([(5, 1.0)])


def test_memory_of_stock_and_its_prediction_follow_the_record() -> None:
    shelf = shelf_of("growth")
    found = growth.stock_memory(shelf)
    assert found is not None
    entry, line = found
    assert line.constant == pytest.approx(8e8)
    assert line.slope == pytest.approx(100)
    said = growth.predicted(shelf, entry.record, "stock", "peak")
    assert said == pytest.approx(8e8 + 100 * 27_120 * 26_139)
    assert growth.predicted(shelf, entry.record, "tbscale", "peak") == fit.projected_bytes(
        (27_120, 26_139)
    )


@pytest.mark.parametrize("builder_has_them", [False, True])
def test_every_engine_of_a_growth_record_is_shown_with_its_own_plan(
    monkeypatch: pytest.MonkeyPatch, builder_has_them: bool
) -> None:
    units = "tbscale.engine.fastnet.instructions.has_matrix_units"
    monkeypatch.setattr(units, lambda: builder_has_them)  # what counts is the record's machine
    rows = [
        (name, subject.replace("tbscale/", "tbscale-half/"), value)
        for name, subject, value in growth_rows()
    ]
    record = experiment_record("growth", rows)
    shelf = make_shelf([Entry(record)])
    assert growth.engines_of(record) == ["stock", "tbscale-half"]
    assert "| tbscale-half | peak memory" in growth.prediction_table(shelf, record)
    planned = {one: fit.planned_bytes(record, one, (27_120, 26_139)) for one in fit.BOUNDED}
    assert planned["tbscale-half"] == planned["tbscale-fast"] < planned["tbscale"]
    cpu = record.machine.cpu
    cpu = cpu.model_copy(update={"flags": (*cpu.flags, "amx_bf16")})
    machine = record.machine.model_copy(update={"cpu": cpu})
    with_units = record.model_copy(update={"machine": machine})
    assert fit.planned_bytes(with_units, "tbscale-half", (27_120, 26_139)) == planned["tbscale"]
    assert "tbscale-half at most" in growth.growth_drawing(shelf, Entry(record), "peak").alt


def test_changing_the_growth_record_flips_whether_an_image_fits() -> None:
    def text(slope: float) -> str:
        record = experiment_record("growth", growth_rows(slope=slope))
        return page("will-it-fit", make_shelf([Entry(record)]))[0]

    assert "stock Cellpose does not fit" in text(100.0)
    assert "stock Cellpose fits" in text(10.0)


def test_a_prediction_is_set_beside_the_measurement() -> None:
    document = made_up_document()
    document["dataset"].update(name="WD-76845-097", shape=[27_120, 26_139])
    said = 8e8 + 100 * 27_120 * 26_139
    document["passes"] = document["passes"][:1]
    document["passes"][0].update(peak_rss_bytes=int(said / 1.1))
    shelf = make_shelf([Entry(experiment_record("growth")), Entry(seal(document))])
    table = growth.prediction_table(shelf, shelf.newest_of("growth").record)  # type: ignore[union-attr]
    assert "+10.0" in table


def test_a_setting_is_faster_only_where_every_pair_says_so() -> None:
    record = experiment_record("settings")
    assert settings.gain_of(settings.ratio_of(record, "native", "niter-50")) == "faster"
    assert settings.gain_of(settings.ratio_of(record, "native", "batch-1")) == "within the spread"
    assert len(settings.gains(record, "native")) == 1
    assert settings.changes_nothing(record, "native") == ["`batch_size=1`"]
    rows = [
        (name, subject, 5.0 if (name, subject) == ("wall", "native/niter-50") else value)
        for name, subject, value in settings_rows()
    ]
    slower = experiment_record("settings", rows)
    assert settings.gain_of(settings.ratio_of(slower, "native", "niter-50")) == "slower"


def test_properties_are_ranked_only_beyond_the_spread() -> None:
    record = experiment_record("properties")
    assert "cannot be ranked" in properties.extremes(record, "background")
    assert properties.extremes(record, "diameter").startswith("The dearest image (8\N{NBSP}px)")
    said = properties.ranking(record)
    assert said.index("diameter") < said.index("density")
    assert "No difference beyond the spread: background" in said


def test_trust_states_what_is_furthest_off() -> None:
    record = experiment_record("trust")
    assert trust.images_of(record) == ["tonsil"]
    assert trust.stand_ins_of(record, "tonsil") == ["exemplar-001"]
    assert "0.75 of it" in trust.trust_table(record, "tonsil")
    assert trust.furthest(record)


def test_what_comes_after_the_network_on_real_tissue_is_read_from_the_record() -> None:
    record = experiment_record("trust")
    assert trust.densest(record) == ("tonsil", pytest.approx(60 * 1e6 / 65_536, rel=1e-3))
    assert [words.split(" of it on the ")[1][:6] for words in trust.after_network(record)] == [
        "tonsil"
    ]


def test_the_table_of_memory_grows_and_never_promises_too_much() -> None:
    line = Line(8e8, 100.0, ((1, 8e8),))
    needs = [fit.needs_of((side, side), line) for side in (1_000, 10_000, 60_000)]
    assert [one.usual for one in needs] == sorted(one.usual for one in needs)
    assert all(one.smallest <= one.usual for one in needs)
    assert fit.answer(16.1 * GIB, 16) == "**no**"
    assert fit.answer(16 * GIB, 16) == "yes"
    assert fit.answer(None, 16) == "–"
    larger = next(side for side in fit.GRID_PX if side >= 10_000)
    assert fit.projected_bytes((larger, larger)) >= needs[1].usual


ROUNDS = {"winograd": "faster", "channels-last": "within the spread"}


def test_the_share_of_the_codec_is_that_of_the_record_and_the_codec_in_use_is_marked() -> None:
    record = experiment_record("files")
    rows = files.jobs_table(record).splitlines()[2:]
    assert [row.split(" | ")[-1].split()[0] for row in rows] == ["100", "50", "33", "25"]
    codecs = files.codecs_table(record).splitlines()[2:]
    assert ["in use" in row for row in codecs] == [False, True]


def test_a_way_to_run_the_network_is_faster_only_where_every_round_says_so() -> None:
    record = experiment_record("network")
    found = {name: network.verdict_of(network.speedup_of(record, name)) for name in ROUNDS}
    assert found == ROUNDS
    assert network.points_table(record).index("0.5, 1") < network.points_table(record).index("1, 2")


def test_a_batch_says_its_time_its_memory_and_its_weights() -> None:
    record = experiment_record("network-batch", network_batch_rows())
    old, new = network.batch_table(record).splitlines()[2:]
    assert "embedded weights" in old
    assert "random weights" in new
    assert "8.80 ms (8.00 to 9.60)" in new
    assert "16.0 ms (16.0 to 16.0)" in new
    assert new.endswith("2.0e-03 |")


def test_a_step_is_set_beside_both_versions_round_by_round() -> None:
    record = experiment_record("steps")
    follow, seeds = step_costs.times_table(record).splitlines()[2:4]
    assert "12.0 (12.0 to 12.0)" in follow
    assert "6.00 (6.00 to 6.00)" in follow
    assert "`bit`" in follow
    assert follow.count("–") == 0
    assert "10.0 (10.0 to 10.0)" in seeds
    assert seeds.count("–") == 1  # the ratio to Cellpose 4, which was not measured
    assert step_costs.seconds_table(record).splitlines()[3].count("–") == 1
    assert "15,000,000" in step_costs.counts_table(record)
    assert "14.0 (14.0 to 14.0)" in step_costs.plain_table(record)


def test_cells_that_a_shortcut_changes_follow_the_record() -> None:
    record = experiment_record("traps")
    rows = traps.traps_table(record).splitlines()[2:]
    assert len(rows) == 2
    assert "| 1,001 of 1,000 | 300 |" in rows[0]
    assert "| 1,001 of 1,000 | 800 |" in rows[1]
    assert traps.changed_by_ring(record) == pytest.approx({1: 0.1, 2: 0.2, 3: 0.3})
