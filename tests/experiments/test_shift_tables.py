"""The shift tables say what the scores of an experiment add up to, and call nothing apart that is not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Column, Table, Value
from itaudit.analysis.verdicts import NOT_APART, UNTOLD
from itaudit.errors import UserError
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.published import published_names, published_tables, read_published
from itaudit.experiments.shift_tables import tables
from itaudit.experiments.spec import Planned
from itaudit.runs.cells import Cell
from itaudit.runs.events import EventLog
from tests.experiments.made_of_figures import Shift, make_experiment

LADDER: dict[str, Any] = {
    "models": {"lft": {"method": "lft"}, "sft": {"method": "sft"}},
    "experiment": {"sizes": [10, 40]},
}


def laddered(planned: Planned, label: str) -> Mapping[str, Shift | None]:
    """LFT stays at 0.1 nats, SFT goes from 0.4 to 0.8; prompts differ a little, alike for both."""
    level = 0.1 if label == "lft" else 0.8 if planned.size == 40 else 0.4
    return {f"p{n}": (7, 2, 1 if label == "lft" else 3, 10 * level * (1 + n / 10)) for n in range(8)}


def table_of(found: list[Table], name: str) -> Table:
    return next(table for table in found if table.name == name)


def row_of(table: Table, **place: Value) -> Mapping[str, Value]:
    rows = [row for row in table.rows if all(row.get(key) == value for key, value in place.items())]
    assert len(rows) == 1, (place, table.rows)
    return rows[0]


def told(value: Value) -> Estimate:
    assert isinstance(value, Estimate)
    return value


@pytest.fixture
def ladder(tmp_path: Path) -> Experiment:
    return make_experiment(tmp_path, LADDER, laddered)


def test_methods_are_means_over_positions_from_the_smallest_size_up(ladder: Experiment) -> None:
    table = table_of(tables(ladder.cells(), "lft"), "methods")
    assert [(row["size"], row["model"]) for row in table.rows] == [(10, "lft"), (10, "sft"), (40, "lft"), (40, "sft")]
    row = row_of(table, size=40, model="sft")
    # Eight responses of 12 positions, with sums of KL of 8, 8.8 … 13.6 nats.
    assert told(row["kl"]).value == pytest.approx(86.4 / 96)
    assert told(row["shifted"]).value == pytest.approx(3 / 12)
    assert told(row["unshifted"]).value == pytest.approx(7 / 12)
    assert (row["responses"], row["tokens"], row["cut_off"]) == (8, 96, 1 / 8)
    assert told(row["length"]).value == 12
    assert "variant" not in [column.key for column in table.columns]


def test_how_many_instances_a_model_learnt_from_is_told_where_the_size_says_another_number(ladder: Experiment) -> None:
    def tuned(cell: Cell, instances: int) -> None:
        EventLog(cell.run.events_path).append("stage_done", stage="tune", model=cell.label, instances=instances)

    cells = [cell for cell in ladder.cells() if not cell.is_base]
    for cell in cells:
        tuned(cell, cell.size or 0)
    as_asked = table_of(tables(ladder.cells(), "lft"), "methods")
    assert "tuned_on" not in {column.key for column in as_asked.columns}
    tuned(next(cell for cell in cells if (cell.size, cell.label) == (40, "sft")), 37)
    table = table_of(tables(ladder.cells(), "lft"), "methods")
    assert "tuned_on" in {column.key for column in table.columns} and "Tuned on:" in table.note
    assert [(row["size"], row["tuned_on"]) for row in table.rows] == [(10, 10), (10, 10), (40, 40), (40, 37)]


def test_the_ladder_tells_rises_and_multiples(ladder: Experiment) -> None:
    found = tables(ladder.cells(), "lft")
    sft = row_of(table_of(found, "size_ladder"), model="sft")
    lft = row_of(table_of(found, "size_ladder"), model="lft")
    # The same prompts at both sizes: half of what SFT says is its rise.
    assert told(sft["rise"]).value == pytest.approx(86.4 / 96 / 2)
    assert (sft["verdict"], sft["rise_verdict"], lft["verdict"]) == ("rises", "rises more", NOT_APART)
    assert told(sft["rise_above"]).value == pytest.approx(86.4 / 96 / 2)
    times = row_of(table_of(found, "size_ladder_times"), model="sft")
    # LFT has 10 positions a response, SFT 12.
    assert told(times["times_10"]).value == pytest.approx(4 * 10 / 12)
    assert told(times["times_40"]).value == pytest.approx(8 * 10 / 12)


def test_the_columns_have_every_size_in_order(ladder: Experiment) -> None:
    table = table_of(tables(ladder.cells(), "lft"), "size_ladder")
    assert [column.key for column in table.columns] == [
        "model",
        "kl_10",
        "kl_40",
        "rise",
        "verdict",
        "rise_above",
        "rise_verdict",
    ]


def test_models_of_a_kind_are_not_apart(tmp_path: Path) -> None:
    def figures(_planned: Planned, label: str) -> Mapping[str, Shift | None]:
        # The same figures in another order: pairs differ, both ways.
        order = range(9) if label == "lft" else reversed(range(9))
        return {f"p{n}": (8, 1, 1, 1 + value / 9) for n, value in enumerate(order)}

    experiment = make_experiment(tmp_path, {"models": LADDER["models"]}, figures)
    row = row_of(table_of(tables(experiment.cells(), "lft"), "against_reference"), model="sft")
    assert (row["verdict"], row["shifted_verdict"]) == (NOT_APART, NOT_APART)
    assert told(row["times"]).value == pytest.approx(1)


def test_variants_are_compared_within_themselves(tmp_path: Path) -> None:
    def figures(planned: Planned, label: str) -> Mapping[str, Shift | None] | None:
        if planned.variant == "b" and label == "lft":
            return None
        return {f"p{n}": (9, 0, 1, 1.0 if planned.variant == "a" else 5.0) for n in range(4)}

    table = {"models": LADDER["models"], "variants": {"a": {}, "b": {}}}
    experiment = make_experiment(tmp_path, table, figures)
    found = tables(experiment.cells(), "lft")
    assert [(row["variant"], row["model"]) for row in table_of(found, "methods").rows] == [
        ("a", "lft"),
        ("a", "sft"),
        ("b", "sft"),
    ]
    # b's LFT is not scored, so that SFT has nothing to stand beside there.
    assert [row["variant"] for row in table_of(found, "against_reference").rows] == ["a"]


def test_seeds_are_pooled_and_pairs_keep_to_seeds_that_both_have(tmp_path: Path) -> None:
    def figures(planned: Planned, label: str) -> Mapping[str, Shift | None] | None:
        if planned.seed == 1 and label == "lft":
            return None
        return {f"p{n}": (10, 0, 0, 1.0 + 8 * planned.seed) for n in range(4)}

    experiment = make_experiment(tmp_path, {"models": LADDER["models"], "experiment": {"seeds": [0, 1]}}, figures)
    found = tables(experiment.cells(), "lft")
    sft = row_of(table_of(found, "methods"), model="sft")
    assert (sft["seeds"], told(sft["kl"]).value, told(sft["kl"]).prompts) == (2, pytest.approx(0.5), 4)
    # Prompts that all say the same have no interval; what the seeds differ by is told all the same.
    assert (sft["kl_lowest"], sft["kl_highest"]) == (pytest.approx(0.1), pytest.approx(0.9))
    assert "kl_lowest" not in row_of(table_of(found, "methods"), model="lft")
    # Seed 1 has no LFT, so that the pair stands on seed 0 alone.
    assert told(row_of(table_of(found, "against_reference"), model="sft")["times"]).value == pytest.approx(1)


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    def figures(_planned: Planned, _label: str) -> Mapping[str, Shift | None]:
        return {f"p{n}": (9, 0, 1, -1.0) for n in range(4)}

    experiment = make_experiment(tmp_path, LADDER, figures)
    found = tables(experiment.cells(), "lft")
    assert [table.name for table in found] == ["methods", "against_reference"]
    assert "kl" not in [column.key for column in found[0].columns]
    assert "verdict" not in [column.key for column in found[1].columns]


def test_one_prompt_tells_no_difference(tmp_path: Path) -> None:
    experiment = make_experiment(
        tmp_path, {"models": LADDER["models"]}, lambda _, label: {"p": (9, 0, 1, float(len(label) + 1))}
    )
    row = row_of(table_of(tables(experiment.cells(), "lft"), "against_reference"), model="sft")
    assert row["verdict"] == UNTOLD


def test_nothing_scored_is_no_table(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, LADDER, lambda *_: None)
    assert tables(experiment.cells(), "lft") == []


def test_the_published_ladder_stands_above_our_own(tmp_path: Path) -> None:
    table = LADDER | {"score": {"aligntds": True}}
    experiment = make_experiment(tmp_path, table, laddered, top_share=0.5)
    found = published_tables("ghosh2024", experiment.cells(), "lft")
    ladder, figures = found
    first = row_of(ladder, size=1000)
    assert (first["kl_sft"], first["kl_lft"], first["times"]) == (0.53, 0.134, pytest.approx(3.955, abs=1e-3))
    assert "not verified" in ladder.note and "2402.05119" in ladder.source
    whole = row_of(ladder, size=40, over="whole vocabulary")
    top = row_of(ladder, size=40, over="top 30 tokens")
    assert told(whole["kl_sft"]).value == pytest.approx(86.4 / 96)
    assert told(top["kl_sft"]).value == pytest.approx(86.4 / 96 / 2, rel=1e-5)
    assert told(top["times"]).value == pytest.approx(8 * 10 / 12, rel=1e-5)
    assert [row["size"] for row in ladder.rows] == [1000, 10000, 25000, 52000, 10, 10, 40, 40]
    assert any(row["value"] == "3.4 to 5.8" for row in figures.rows)


def test_published_figures_have_what_was_found_here_beside_them() -> None:
    columns = Column("tasks", "", "text"), Column("model", "", "text"), Column("exact_match", "", "share")
    rows: list[dict[str, Value]] = [
        {"tasks": "classification, unseen", "model": "base", "exact_match": Estimate(0.1, 0.05, 0.2, 9)},
        {"tasks": "classification, unseen", "model": "sft", "size": 8, "exact_match": Estimate(0.3, 0.2, 0.4, 9)},
        {"tasks": "classification, unseen", "model": "sft", "size": 16, "exact_match": Estimate(0.4, 0.3, 0.5, 9)},
        {"tasks": "generation, unseen", "model": "sft", "exact_match": Estimate(0.9, 0.8, 1.0, 9)},
    ]
    (table,) = published_tables("kung2023", [], "sft", [Table("task_scores", "", columns, tuple(rows))])
    here = {row["value"]: row["here"] for row in table.rows}
    assert here == {
        "42.6": "",
        "43": "classification, unseen, sft, size 16: 40.0 % (30.0 to 50.0)",
        "12.8": "classification, unseen, base: 10.0 % (5.0 to 20.0)",
    }
    assert [column.key for column in published_tables("kung2023", [], "sft")[0].columns] == ["what", "value"]


def test_every_published_file_says_where_it_is_from() -> None:
    assert published_names() == ["ghosh2024", "kung2023"]
    for name in published_names():
        told = read_published(name)
        assert "arXiv" in told["source"] and told["title"] and told["about"] and (told["figures"] or told["ladder"])


def test_an_unknown_publication_is_told_in_a_line() -> None:
    with pytest.raises(UserError, match=r"no 'lin2023'; there are ghosh2024, kung2023"):
        published_tables("lin2023", [], "lft")
