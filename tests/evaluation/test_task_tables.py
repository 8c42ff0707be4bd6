"""Tables of task scores: counted as the answers were made, and against the right others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Table
from itaudit.evaluation.questions import Question, questions_of
from itaudit.evaluation.task_tables import tables
from itaudit.experiments.experiment import Experiment
from itaudit.runs.cells import cells_of
from itaudit.runs.run import Run

from .task_run import Answer, answer, rightly, silently, task_experiment, task_run, write_tasks

VARIANTS: dict[str, Any] = {
    "original": {"data": {"transforms": ["tasks:names=task4,keep=others", "per-task:k=6"]}},
    "altered": {"data": {"transforms": ["tasks:names=task4,keep=others", "per-task:k=5"]}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tasks(tmp_path / "tasks")


def always_yes(question: Question) -> str:
    return "Yes." if question.labels else "No idea."


def named(found: list[Table]) -> dict[str, Table]:
    return {table.name: table for table in found}


def row(table: Table, **wanted: Any) -> Mapping[str, Any]:
    rows = [one for one in table.rows if all(one.get(key) == value for key, value in wanted.items())]
    assert len(rows) == 1, (wanted, table.rows)
    return rows[0]


def figure(value: Any) -> float:
    assert isinstance(value, Estimate) and value.value is not None
    return value.value


def answered(experiment: Experiment, base: Answer, **variants: Answer) -> Experiment:
    for planned in experiment.spec.runs:
        run = experiment.run_of(planned)
        assert run is not None
        answer(run, "base", base)
        for label in planned.recipe.models:
            answer(run, label, variants[planned.variant])
    return experiment


def told(run: Run, reference: str = "sft") -> dict[str, Table]:
    return named(tables(cells_of(run), reference))


def test_scores_are_told_by_kind_and_by_whether_the_task_was_tuned_on(tmp_path: Path, folder: Path) -> None:
    run = task_run(tmp_path, folder)
    answer(run, "base", silently)
    answer(run, "sft", always_yes)
    scores = told(run)["task_scores"]
    parts = [(one["tasks"], one["model"], one["prompts"]) for one in scores.rows]
    assert parts == [
        ("classification, unseen", "base", 4),
        ("classification, unseen", "sft", 4),
        ("classification, tuned on", "base", 8),
        ("classification, tuned on", "sft", 8),
        ("generation, tuned on", "base", 4),
        ("generation, tuned on", "sft", 4),
    ]
    seen = row(scores, tasks="classification, tuned on", model="sft")
    # "Yes." is right for two of four kindness prompts, and no colour at all.
    assert (figure(seen["exact_match"]), figure(seen["in_labels"])) == (0.25, 0.5)
    assert figure(row(scores, tasks="classification, unseen", model="sft")["in_labels"]) == 1.0
    assert "in_labels" not in row(scores, tasks="generation, tuned on", model="sft")
    assert {column.key for column in scores.columns} == {
        "tasks", "model", "prompts", "exact_match", "rouge_l", "in_labels"
    }  # fmt: skip


def test_random_guess_is_that_of_the_prompts_that_were_answered(tmp_path: Path, folder: Path) -> None:
    run = task_run(tmp_path, folder)
    answer(run, "base", silently)
    answer(run, "sft", always_yes)
    found = told(run)
    seen = row(found["task_baselines"], tasks="classification, tuned on")
    # Four prompts of two labels and four of three.
    assert figure(seen["random"]) == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert seen["guesser"].low < figure(seen["random"]) < seen["guesser"].high
    assert figure(seen["untuned"]) == 0
    by_task = {one["task"]: one for one in found["random_guess"].rows}
    assert {name: one["labels"] for name, one in by_task.items()} == {"task1_kind": 2, "task2_sort": 3, "task4_fair": 2}
    assert by_task["task2_sort"]["expected"] == pytest.approx(1 / 3)
    assert all(one["agree"] == "yes" for one in by_task.values())
    assert "random" not in row(found["task_baselines"], tasks="generation, tuned on")


def test_prompts_that_differ_have_baselines_of_their_own(tmp_path: Path, folder: Path) -> None:
    ask = {"path": str(folder), "transforms": ["tasks:names=task2", "per-task:k=6,skip=6"]}
    variants = {"original": {}, "altered": {"prompts": ask}}
    experiment = task_experiment(tmp_path, folder, variants=variants)
    answered(experiment, silently, original=always_yes, altered=always_yes)
    found = named(tables(experiment.cells(), "sft"))
    rows = [one for one in found["task_baselines"].rows if one["tasks"] == "classification, tuned on"]
    assert [(one["variant"], one["prompts"]) for one in rows] == [("original", 8), ("altered", 6)]
    assert [figure(one["random"]) for one in rows] == [pytest.approx(5 / 12), pytest.approx(1 / 3)]
    assert [one["variant"] for one in found["random_guess"].rows if one["task"] == "task2_sort"] == [
        "original",
        "altered",
    ]


def test_variants_that_answer_alike_share_one_base_model_and_its_baselines(tmp_path: Path, folder: Path) -> None:
    experiment = answered(
        task_experiment(tmp_path, folder, variants=VARIANTS), silently, original=rightly, altered=always_yes
    )
    found = named(tables(experiment.cells(), "sft"))
    models = [(one["variant"], one["model"]) for one in found["task_scores"].rows if "unseen" in str(one["tasks"])]
    assert models == [("", "base"), ("original", "sft"), ("altered", "sft")]
    assert [(one["tasks"], one["variant"]) for one in found["task_baselines"].rows if one["metric"] == "ROUGE-L"] == [
        ("generation, tuned on", "")
    ]
    assert [column.title for column in found["tasks"].columns[-3:]] == ["base", "original · sft", "altered · sft"]
    kind = row(found["tasks"], task="task1_kind")
    assert (figure(kind["score_base"]), figure(kind["score_original_sft"])) == (0, 1)
    assert (kind["tuned_on"], figure(kind["score_altered_sft"])) == ("yes", 0.5)


def test_differences_are_called_so_only_outside_their_interval(tmp_path: Path, folder: Path) -> None:
    experiment = answered(
        task_experiment(tmp_path, folder, variants=VARIANTS), silently, original=rightly, altered=always_yes
    )
    found = named(tables(experiment.cells(), "sft"))["task_comparisons"]
    right = row(found, tasks="classification, tuned on", variant="original", model="sft")
    assert right["random_verdict"] == right["untuned_verdict"] == "above"
    assert figure(right["random_difference"]) == pytest.approx(7 / 12)
    assert "control_verdict" not in right and "reference_verdict" not in right
    altered = row(found, tasks="classification, tuned on", variant="altered", model="sft")
    assert altered["random_verdict"] == "not apart"
    assert (altered["control_verdict"], figure(altered["control_difference"])) == ("below", -0.75)
    base = row(found, tasks="classification, tuned on", model="base")
    assert base["random_verdict"] == "below" and "untuned_verdict" not in base


def test_a_few_prompts_that_all_differ_alike_are_no_difference(tmp_path: Path, folder: Path) -> None:
    run = task_run(tmp_path, folder)
    answer(run, "base", silently)
    answer(run, "sft", rightly)
    few = row(told(run)["task_comparisons"], tasks="classification, unseen", model="sft")
    # Four of four right where a guess is right once in two: one guesser in sixteen manages that.
    assert (few["untuned_verdict"], few["random_verdict"]) == ("too few prompts", "not apart")
    assert figure(few["untuned_difference"]) == 1.0 and few["untuned_difference"].prompts == 4


def test_a_score_among_those_of_guessers_is_not_apart_from_guessing(tmp_path: Path, folder: Path) -> None:
    ask = {"path": str(folder), "transforms": ["tasks:names=task1", "per-task:k=3,skip=6"]}
    run = task_run(tmp_path, folder, prompts=ask)
    answer(run, "base", silently)
    answer(run, "sft", rightly)
    for label in ("base", "sft"):
        # All wrong or all right: the bootstrap has no width, and one guesser in eight does the same.
        told_of = row(told(run)["task_comparisons"], model=label)
        assert abs(figure(told_of["random_difference"])) == 0.5
        assert told_of["random_verdict"] == "not apart"


def test_models_are_compared_with_the_reference_of_their_run(tmp_path: Path, folder: Path) -> None:
    run = task_run(tmp_path, folder, models={"lft": {"method": "lft"}, "sft": {"method": "sft"}})
    for label, said in (("base", silently), ("lft", silently), ("sft", rightly)):
        answer(run, label, said)
    found = told(run, "lft")["task_comparisons"]
    sft = row(found, tasks="classification, tuned on", model="sft")
    assert (sft["reference_verdict"], figure(sft["reference_difference"])) == ("above", 1.0)
    assert "reference_verdict" not in row(found, tasks="classification, tuned on", model="lft")


def test_a_ladder_tells_whether_scores_rise(tmp_path: Path, folder: Path) -> None:
    data = {"path": str(folder), "transforms": ["tasks:names=task4,keep=others", "per-task:k=SIZE"]}
    experiment = task_experiment(tmp_path, folder, data=data, experiment={"sizes": [1, 3, 6], "seeds": [0, 1]})
    for planned in experiment.spec.runs:
        run = experiment.run_of(planned)
        assert run is not None
        answer(run, "base", silently)
        answer(run, "sft", rightly if planned.size == 6 else always_yes)
    found = named(tables(experiment.cells(), "sft"))
    ladder = row(found["task_ladder"], tasks="classification, tuned on")
    assert [figure(ladder[f"score_{size}"]) for size in (1, 3, 6)] == [0.25, 0.25, 1.0]
    assert (figure(ladder["rise"]), ladder["verdict"]) == (0.75, "rises")
    # Seeds are pooled, and prompts stay the unit: twice the answers are not twice the prompts.
    assert ladder["rise"].prompts == 8
    bases = [one for one in found["task_scores"].rows if one["model"] == "base"]
    assert len(bases) == 3 and all(one["size"] is None for one in bases)


def test_models_are_compared_at_the_seeds_that_both_have(tmp_path: Path, folder: Path) -> None:
    data = {"path": str(folder), "transforms": ["tasks:names=task4,keep=others", "per-task:k=SIZE"]}
    experiment = task_experiment(tmp_path, folder, data=data, experiment={"sizes": [1, 6], "seeds": [0, 1]})
    for planned in experiment.spec.runs:
        run = experiment.run_of(planned)
        assert run is not None
        answer(run, "base", silently)
        # Seed 1 is done at the larger size alone, and says nothing right there.
        if planned.seed == 0 or planned.size == 6:
            answer(run, "sft", silently if planned.seed else rightly)
    found = named(tables(experiment.cells(), "sft"))
    ladder = row(found["task_ladder"], tasks="classification, tuned on")
    assert [figure(ladder[f"score_{size}"]) for size in (1, 6)] == [1.0, 0.5]
    assert (figure(ladder["rise"]), ladder["verdict"]) == (0.0, "not apart")


def test_models_that_have_not_answered_are_left_out(tmp_path: Path, folder: Path) -> None:
    run = task_run(tmp_path, folder)
    assert tables(cells_of(run), "sft") == []
    answer(run, "base", silently)
    assert {one["model"] for one in told(run)["task_scores"].rows} == {"base"}


def test_questions_that_were_not_answered_count_for_nobody(tmp_path: Path, folder: Path) -> None:
    run = task_run(tmp_path, folder)
    answer(run, "base", silently)
    answer(run, "sft", rightly)
    # As of responses that were imported for some prompts only.
    kept = [one for one in run.table("responses", "sft").read().to_pylist() if one["order"] % 2]
    run.table("responses", "sft").replace(kept)
    found = told(run)
    asked = {question.prompt_id for question in questions_of(run)}
    assert len(kept) == len(asked) / 2
    assert row(found["task_scores"], tasks="classification, unseen", model="sft")["prompts"] == 2
    against = row(found["task_comparisons"], tasks="classification, unseen", model="sft")
    assert against["untuned_difference"].prompts == against["random_difference"].prompts == 2


def test_tables_are_json_and_say_how_to_read_them(tmp_path: Path, folder: Path) -> None:
    run = task_run(tmp_path, folder)
    answer(run, "base", silently)
    answer(run, "sft", rightly)
    for table in tables(cells_of(run), "sft"):
        assert table.note.endswith(".") and table.title
        assert all(set(one) == {column.key for column in table.columns} for one in table.to_json()["rows"])
        assert table.flat_rows()
