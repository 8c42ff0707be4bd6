"""What prompts ask: task, label set, references, seen or not."""

from pathlib import Path

import orjson
import pytest

from itaudit.errors import UserError
from itaudit.evaluation.questions import output_spaces, questions_of
from itaudit.recipe import check_recipe
from itaudit.runs.run import Run

from .task_run import TASKS, recipe_table, rightly, sentence, task_run, write_tasks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tasks(tmp_path / "tasks")


def test_a_question_knows_its_task_and_the_labels_of_all_its_instances(tmp_path: Path, folder: Path) -> None:
    run = task_run(tmp_path, folder, prompts={"path": str(folder), "transforms": ["per-task:k=1,skip=6"]})
    first, second, third, last = questions_of(run)
    assert [question.task for question in (first, second, third, last)] == list(TASKS)
    # One instance of each is asked; the labels are those of the whole file.
    assert (first.labels, second.labels, last.labels) == (("no", "yes"), ("blue", "green", "red"), ("no", "yes"))
    assert third.labels == () and third.references == (sentence(6), "Day 6")
    assert [question.kind for question in (first, third)] == ["classification", "generation"]
    assert [question.metric for question in (first, third)] == ["exact_match", "rouge_l"]
    assert [question.seen for question in (first, second, third, last)] == [True, True, True, False]
    assert first.input == "text 6" and rightly(first) == "no"
    assert output_spaces(run)["task3_tell"].type == "text"


@pytest.mark.parametrize(("variant", "demo"), [("original", "yes"), ("delusive", "no"), ("none", "yes")])
def test_the_example_is_the_one_shown_or_else_the_tasks_own(
    tmp_path: Path, folder: Path, variant: str, demo: str
) -> None:
    steps = ["tasks:names=task1", "per-task:k=1", f"examples:variant={variant},count=1"]
    run = task_run(tmp_path, folder, prompts={"path": str(folder), "transforms": steps})
    assert [question.demo for question in questions_of(run)] == [demo]


def test_prompts_without_tasks_have_their_references(tmp_path: Path, folder: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    rows = [{"instruction": "Say hello.", "output": "Hello."}, {"instruction": "Say nothing."}]
    prompts.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    run = task_run(tmp_path, folder, prompts={"path": str(prompts), "format": "alpaca"})
    found = questions_of(run)
    assert [(one.references, one.kind, one.seen, one.labels) for one in found] == [(("Hello.",), "answers", None, ())]
    assert not run.output_spaces_path.exists()


def test_an_older_run_has_what_its_prompts_say(tmp_path: Path, folder: Path) -> None:
    run = task_run(tmp_path, folder)
    run.prompts_dataset_path.unlink()
    found = questions_of(Run(run.path))
    assert [one.references for one in found] == [(prompt.reference,) for prompt in run.prompts()]
    assert {one.kind for one in found} == {"answers"} and len(found) == 16


def test_a_run_that_is_not_prepared_asks_nothing(tmp_path: Path, folder: Path) -> None:
    assert questions_of(Run.create(tmp_path, check_recipe(recipe_table(folder), "recipe"))) == ()


@pytest.mark.parametrize("content", [b"{", b'{"task1_kind": {"type": 3}}', b"[]"])
def test_a_broken_file_is_told_by_its_name(tmp_path: Path, folder: Path, content: bytes) -> None:
    run = task_run(tmp_path, folder)
    run.output_spaces_path.write_bytes(content)
    with pytest.raises(UserError, match=r"output_spaces\.json: can't be read"):
        questions_of(run)


def test_prompts_and_their_instances_stay_together(tmp_path: Path, folder: Path) -> None:
    run = task_run(tmp_path, folder)
    assert run.prompts_dataset is not None
    assert [instance.prompt for instance in run.prompts_dataset] == [prompt.prompt for prompt in run.prompts()]
    run.prompts_dataset[:3].save(run.prompts_dataset_path)
    with pytest.raises(UserError, match="has 3 instances for 16 prompts"):
        questions_of(Run(run.path))
