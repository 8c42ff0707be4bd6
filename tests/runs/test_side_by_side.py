"""Several models side by side: where they part, names, positions and recipes."""

import shutil
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from itaudit.analysis.by_position import by_position
from itaudit.errors import UserError
from itaudit.recipe import check_recipe, recipe_table, write_recipe
from itaudit.runs.cells import Cell, cells_of
from itaudit.runs.compare import Side
from itaudit.runs.run import Run
from itaudit.runs.side_by_side import SideBySide, names_of, recipe_differences, shift_by_position
from itaudit.runs.tables import PROMPTS, VOCABULARY, map_table, write_table


def copy(run: Run, path: Path) -> Run:
    return Run(shutil.copytree(run.path, path))


def test_the_models_of_a_run_part_where_their_tokens_first_differ(built_run: Run) -> None:
    beside = SideBySide(cells_of(built_run))
    partings = beside.partings("zamboni")
    answers = beside.answers("zamboni")
    tokens = [answer.response.ids for answer in answers if answer.response]
    assert partings.first is not None and partings.same_context
    assert len({tuple(ids[: partings.first]) for ids in tokens}) == 1
    assert len({ids[partings.first] for ids in tokens}) == 2
    # “invented by Frank” twice, and “invented by the Italian”.
    assert partings.groups == ((0, 1), (2,))
    assert partings.each[0] == partings.each[2] == partings.first
    later = partings.each[1]
    assert later is not None and later > partings.first
    assert tokens[0][:later] == tokens[1][:later] and tokens[0][later] != tokens[1][later]


def test_answers_that_are_the_same_part_nowhere(built_run: Run) -> None:
    partings = SideBySide(cells_of(built_run)).partings("empty")
    assert partings.first is None and partings.each == (None, None, None) and partings.groups == ((0, 1, 2),)


def test_the_end_of_one_answer_is_where_it_parts_from_a_longer_one(built_run: Run, tmp_path: Path) -> None:
    run = copy(built_run, tmp_path / "short")
    table = run.table("responses", "lft")
    rows = table.read().to_pylist()
    for row in rows:
        if row["prompt_id"] == "zamboni":
            row["ids"] = row["ids"][:4]
    write_table(pa.Table.from_pylist(rows, schema=table.read().schema), run.path / "responses" / "lft.arrow")
    partings = SideBySide(cells_of(Run(run.path))[:2]).partings("zamboni")
    assert partings.first == 4 and partings.groups == ((0,), (1,))


def test_an_answer_that_is_not_there_yet_agrees_with_everything(built_run: Run, tmp_path: Path) -> None:
    run = copy(built_run, tmp_path / "begun")
    (run.path / "responses" / "sft.arrow").unlink()
    beside = SideBySide(cells_of(run))
    partings = beside.partings("zamboni")
    assert partings.groups == ((0,), (1,)) and partings.each[2] is None
    shutil.copy(built_run.path / "responses" / "sft.arrow", run.path / "responses" / "sft.arrow")
    assert beside.poll() and not beside.poll()
    assert beside.partings("zamboni").groups == ((0, 1), (2,))


def test_other_vocabularies_are_compared_by_what_tokens_read_as(built_run: Run, tmp_path: Path) -> None:
    run = copy(built_run, tmp_path / "other")
    texts = map_table(run.vocabulary_path, VOCABULARY)["text"].to_pylist()
    # The same texts under ids that are one higher.
    write_table(pa.Table.from_pylist([{"text": t} for t in ["", *texts]], schema=VOCABULARY), run.vocabulary_path)
    table = run.table("responses", "lft")
    rows = [row | {"ids": [one + 1 for one in row["ids"]]} for row in table.read().to_pylist()]
    write_table(pa.Table.from_pylist(rows, schema=table.read().schema), run.path / "responses" / "lft.arrow")
    beside = SideBySide([Cell(built_run, "lft"), Cell(Run(run.path), "lft")])
    assert not beside.same_vocabulary
    assert beside.partings("zamboni").first is None
    assert not beside.partings("zamboni").same_context

    assert first_one_by_one(beside) == beside.first_partings


def first_one_by_one(beside: SideBySide) -> dict[str, int]:
    firsts = {prompt.id: beside.partings(prompt.id).first for prompt in beside.prompts}
    return {prompt_id: first for prompt_id, first in firsts.items() if first is not None}


def test_where_all_prompts_part_is_told_at_once(built_run: Run, tmp_path: Path) -> None:
    beside = SideBySide(cells_of(built_run))
    assert first_one_by_one(beside) == beside.first_partings and len(beside.first_partings) > 3
    run = copy(built_run, tmp_path / "begun")
    (run.path / "responses" / "base.arrow").unlink()
    later = SideBySide(cells_of(run))
    assert first_one_by_one(later) == later.first_partings
    shutil.copy(built_run.path / "responses" / "base.arrow", run.path / "responses" / "base.arrow")
    assert later.poll() and later.first_partings == beside.first_partings


def test_only_prompts_that_all_runs_ask_in_the_same_words_are_shown(built_run: Run, tmp_path: Path) -> None:
    run = copy(built_run, tmp_path / "fewer")
    rows = map_table(run.prompts_path, PROMPTS).to_pylist()
    rows[1]["messages"] = orjson.dumps([{"role": "user", "content": "something else"}]).decode()
    write_table(pa.Table.from_pylist(rows[:3], schema=PROMPTS), run.prompts_path)
    beside = SideBySide([Cell(built_run, "lft"), Cell(Run(run.path), "sft")])
    assert [prompt.id for prompt in beside.prompts] == [rows[0]["id"], rows[2]["id"]]
    rows[1]["id"] = "another"
    write_table(pa.Table.from_pylist(rows[1:2], schema=PROMPTS), run.prompts_path)
    with pytest.raises(UserError, match="no prompt is asked in all of these runs"):
        SideBySide([Cell(built_run, "lft"), Cell(Run(run.path), "sft")])


@pytest.mark.parametrize("count", [0, 5])
def test_one_to_four_models_stand_side_by_side(built_run: Run, count: int) -> None:
    with pytest.raises(UserError, match="choose 1 to 4"):
        SideBySide([Cell(built_run, "sft")] * count)


def test_names_hold_what_tells_models_apart(built_run: Run, tmp_path: Path) -> None:
    other = copy(built_run, tmp_path / "other")
    assert names_of(cells_of(built_run)) == ("base", "lft", "sft")
    assert names_of([Cell(built_run, "sft"), Cell(other, "sft")]) == (f"sft {built_run.name}", "sft other")
    sizes = [Cell(built_run, "sft", "data", 40, 0), Cell(other, "sft", "data", 1000, 0)]
    assert names_of(sizes) == ("sft 40", "sft 1,000")
    placed = [Cell(built_run, "lft", "plain", 40, 0), Cell(other, "sft", "simplified", 40, 1)]
    assert names_of(placed) == ("lft plain seed 0", "sft simplified seed 1")


def test_shift_by_position_counts_all_scored_answers(built_run: Run) -> None:
    scores = [built_run.token_scores("sft", prompt.id) for prompt in built_run.prompts()]
    ranks = [one.rank_base for one in scores if one]
    kl = [one.kl or [] for one in scores if one]
    assert shift_by_position(Side(built_run, "sft")) == by_position(ranks, kl, built_run.thresholds)


def test_recipes_are_told_where_they_differ_alone(built_run: Run, tmp_path: Path) -> None:
    run = copy(built_run, tmp_path / "other")
    table = recipe_table(run.recipe)
    table["data"]["limit"] = 3
    table["models"]["sft"]["learning_rate"] = 1e-4
    table["models"]["sft"]["epochs"] = 7.0
    table["name"] = "another"
    run.recipe_path.write_bytes(write_recipe(check_recipe(table, "recipe")))
    run = Run(run.path)
    differences = dict(recipe_differences([Cell(built_run, "sft"), Cell(run, "sft")]))
    old = built_run.recipe.models["sft"]
    assert differences == {
        "model.learning_rate": (str(old.learning_rate), "0.0001"),
        "model.epochs": (str(old.epochs), "7.0"),
        "data.limit": differences["data.limit"],
    }
    assert differences["data.limit"][1] == "3"


def test_a_base_model_makes_no_difference_of_recipes(built_run: Run) -> None:
    base, lft, sft = cells_of(built_run)
    assert recipe_differences([base, sft]) == ()
    told = dict(recipe_differences([base, lft, sft]))
    assert told["model.method"] == ("", "lft", "sft") and told["model.rank"] == ("", "8", "")
    assert all(key.startswith("model.") for key in told)
