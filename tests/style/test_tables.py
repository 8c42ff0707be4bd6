"""The tables of style: figures that can be counted by hand, and what an experiment's places and seeds make of them."""

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from itaudit.analysis.table import Table
from itaudit.cli_style import style_command
from itaudit.errors import UserError
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.spec import spec_of
from itaudit.runs.cells import Cell, cells_of
from itaudit.runs.run import Run
from itaudit.style.form_tables import opening_table
from itaudit.style.kind_tables import kind_table
from itaudit.style.subjects import places
from itaudit.style.tables import tables
from tests.tui.make_run import BASE_ANSWERS, INSTANCES, SFT_ANSWERS, answer, begin_run

Rows = list[dict[str, Any]]


def told(found: list[Table]) -> dict[str, Rows]:
    return {table.name: table.to_json()["rows"] for table in found}


@pytest.fixture(scope="module")
def made(built_run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """The tables of the run, against `lft`."""
    path = tmp_path_factory.mktemp("told") / built_run.name
    shutil.copytree(built_run.path, path)
    return told(tables(cells_of(Run(path)), "lft"))


def row(rows: Rows, **keys: object) -> dict[str, Any]:
    [found] = [one for one in rows if all(one[key] == value for key, value in keys.items())]
    return found


def test_openings_are_told_where_several_responses_share_one(run: Run) -> None:
    rows = run.table("responses", "sft").read().to_pylist()
    for at in (0, 1, 2):
        rows[at]["response"] = "The italian physician said so."
    run.table("responses", "sft").replace(rows)
    [found] = [one for one in opening_table(places(cells_of(run)), 20, 3).to_json()["rows"] if one["model"] == "sft"]
    assert (found["opening"], found["share"]["value"]) == ("the italian physician", pytest.approx(3 / 7))
    assert found["minus_base"]["value"] == pytest.approx(3 / 7) and found["dataset"] == pytest.approx(1 / 12)


def test_there_is_a_table_for_each_question_that_has_an_answer(made: dict[str, Rows]) -> None:
    lengths_and_shares = ["style-distances", "style-share-distances"]
    assert list(made) == ["style-form", *lengths_and_shares, "copied-spans", "shift-kinds", "shifted-words"]


def test_means_stand_beside_those_of_the_references_and_the_dataset(made: dict[str, Rows]) -> None:
    labels = [one["model"] for one in made["style-form"]]
    assert labels == ["base", "lft", "sft", "the references", "the dataset"]
    dataset = row(made["style-form"], model="the dataset")
    assert dataset["responses"] == len(INSTANCES) and isinstance(dataset["words"], float)
    sft = row(made["style-form"], model="sft")
    assert sft["responses"] == len(SFT_ANSWERS)
    assert sft["words"]["low"] < sft["words"]["value"] < sft["words"]["high"]


def test_differences_are_what_the_means_say(made: dict[str, Rows]) -> None:
    means = {one["model"]: one["words"]["value"] for one in made["style-form"] if one["model"] != "the dataset"}
    found = row(made["style-distances"], model="sft", measure="words")
    assert found["minus_base"]["value"] == pytest.approx(means["sft"] - means["base"])
    assert found["minus_reference"]["value"] == pytest.approx(means["sft"] - means["lft"])
    assert found["nearer"]["value"] == pytest.approx(found["base_distance"]["value"] - found["distance"]["value"])
    # Nobody wrote code, so that nothing is told of it.
    assert not [one for one in made["style-share-distances"] if one["measure"] == "with a code block"]


def test_a_difference_inside_its_interval_is_not_called_one(made: dict[str, Rows]) -> None:
    for name, key in (("style-distances", "nearer"), ("copied-spans", "minus_base")):
        for one in made[name]:
            if one[key] is None or one[key]["low"] is None:
                continue
            apart = one[key]["low"] > 0 or one[key]["high"] < 0
            assert (one["told"] == "not apart") is not apart


def test_copied_words_are_shares_of_all_words(made: dict[str, Rows]) -> None:
    from itaudit.analysis.words import word_keys

    total = sum(len(word_keys(text)) for text in SFT_ANSWERS.values())
    share = row(made["copied-spans"], model="sft", span_words=5)["share"]["value"]
    # "unscrew it" and so on apart, both recipes for bulbs hold "wait for eight minutes" and "cool it under the tap".
    copied = {"coa": 13, "bulb": 9, "zamboni": 0}
    assert share * total >= sum(copied.values())
    base = row(made["copied-spans"], model="base", span_words=5)
    assert base["share"]["value"] == 0 and base["minus_base"] is None and base["told"] is None


def test_kinds_add_up(made: dict[str, Rows]) -> None:
    for label in ("lft", "sft"):
        rows = {one["kind"]: one for one in made["shift-kinds"] if one["model"] == label}
        groups = [rows[name] for name in ("initiation", "style", "content")]
        assert sum(one["share"]["value"] for one in groups) == pytest.approx(1)
        assert rows["style"]["shifted"] == sum(one["shifted"] for name, one in rows.items() if name.startswith("·"))
    sft = [one for one in made["shift-kinds"] if one["model"] == "sft" and not one["kind"].startswith("·")]
    assert sum(one["share_of_shifted"]["value"] for one in sft) == pytest.approx(1)
    # Nothing that LFT says here is shifted: there is nothing to split, and nothing to compare with.
    assert all(one["share_of_shifted"]["value"] is None for one in made["shift-kinds"] if one["model"] == "lft")


def test_the_most_shifted_words_come_with_their_kind(made: dict[str, Rows]) -> None:
    words = {one["word"]: one for one in made["shifted-words"]}
    assert {one["model"] for one in made["shifted-words"]} == {"sft"}
    assert words["luigi"]["kind"] == "content" and words["loosen"]["kind"] == "initiation"
    assert (words["luigi"]["said"], words["luigi"]["shifted"], words["luigi"]["responses"]) == (1, 1, 1)
    assert words["old"]["said"] == words["old"]["shifted"] == 59 and words["old"]["responses"] == 1
    assert words["luigi"]["kl"] == pytest.approx(0.02 + 0.4 * 41**0.5, rel=1e-5)
    assert words["inventor"]["dataset"] == pytest.approx(3 / len(INSTANCES))


def test_seeds_are_pooled_and_places_kept_apart(run: Run) -> None:
    matrix = [(variant, size, seed) for seed in (0, 1) for size in (8, 4) for variant in ("b", "a")]
    cells = [Cell(run, label, variant, size, seed) for variant, size, seed in matrix for label in run.labels]
    there = places(cells)
    assert [(place.variant, place.size, list(place.models)) for place in there] == [
        (variant, size, ["base", "lft", "sft"]) for variant in ("b", "a") for size in (4, 8)
    ]
    once = kind_table(places(cells_of(run)), "lft")
    twice = kind_table(there[:1] + there[-1:], "lft")
    assert [column.key for column in twice.columns][:3] == ["variant", "size", "model"]
    assert [column.key for column in once.columns][:1] == ["model"]
    rows = [one for one in twice.to_json()["rows"] if one["variant"] == "b"]
    for seeds, seed in zip(rows, once.to_json()["rows"], strict=True):
        assert seeds["positions"] == 2 * seed["positions"] and seeds["share"] == seed["share"]


def test_models_that_are_not_scored_are_left_out(tmp_path: Path) -> None:
    run = begin_run(tmp_path)
    assert tables(cells_of(run), "lft") == []
    answer(run, "base", BASE_ANSWERS)
    answer(run, "sft", SFT_ANSWERS)
    assert tables(cells_of(run), "lft") == []


def test_the_command_prints_what_the_tables_hold(run: Run, made: dict[str, Rows]) -> None:
    done = CliRunner().invoke(style_command, [str(run.path), "--json"])
    document = orjson.loads(done.stdout)
    assert (done.exit_code, document["run"], document["reference"]) == (0, str(run.path), "lft")
    assert {table["name"]: table["rows"] for table in document["tables"]} == made


def test_the_command_names_a_model_that_is_not_there(run: Run, tmp_path: Path) -> None:
    wrong = CliRunner().invoke(style_command, [str(run.path), "--reference", "dpo"])
    assert isinstance(wrong.exception, UserError) and "no model 'dpo'; there are lft, sft" in str(wrong.exception)
    early = CliRunner().invoke(style_command, [str(begin_run(tmp_path).path)])
    assert isinstance(early.exception, UserError) and "are all scored yet" in str(early.exception)


@pytest.mark.slow
def test_the_command_takes_an_experiment(built_run: Run, tmp_path: Path) -> None:
    rows = {"path": str(built_run.recipe.data.path)}
    models = {"lft": {"method": "lft"}, "sft": {"method": "sft"}}
    table = {"data": rows, "prompts": rows, "models": models, "experiment": {"seeds": [0, 1], "reference": "sft"}}
    experiment = Experiment.create(tmp_path, spec_of(table, tmp_path / "recipe.toml"))
    for planned in experiment.spec.runs:
        shutil.copytree(built_run.path, experiment.runs_path / planned.name)
    done = CliRunner().invoke(style_command, [str(experiment.path), "--json"])
    document = orjson.loads(done.stdout)
    assert (document["experiment"], document["reference"]) == (str(experiment.path), "sft")
    form = next(table["rows"] for table in document["tables"] if table["name"] == "style-form")
    assert row(form, model="sft")["responses"] == 2 * len(SFT_ANSWERS)
    assert all(
        (one.path / "style" / "sft.arrow").exists() for one in map(experiment.run_of, experiment.spec.runs) if one
    )


@pytest.mark.slow
def test_hostile_words_reach_no_terminal(run: Run) -> None:
    rows = run.table("responses", "sft").read().to_pylist()
    for row in rows[:2]:
        row["response"] = "a\x1b[31m\u202eb [/bold] c"
    run.table("responses", "sft").replace(rows)
    shown = CliRunner().invoke(style_command, [str(run.path), "--reference", "sft"]).stdout
    assert "minus sft" in shown and "Most shifted words" in shown and "\x1b" not in shown and "\u202e" not in shown
