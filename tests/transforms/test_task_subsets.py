"""Steps that choose instances by their task."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from itaudit.data.dataset import Dataset
from itaudit.data.load import load
from itaudit.errors import UserError
from itaudit.experiments.spec import read_spec
from itaudit.steps import parse_step, parse_steps
from itaudit.transforms import apply, output_spaces

from .conftest import TASK

MakeTasks = Callable[..., Dataset]
RECIPES = Path(__file__).parents[2] / "samples" / "recipes"


def task(count: int, labels: tuple[str, ...] = ("kind", "rude")) -> dict[str, Any]:
    outputs = labels or tuple(f"A sentence of its own, number {number}." for number in range(count))
    instances = [{"input": f"text {n}", "output": [outputs[n % len(outputs)]]} for n in range(count)]
    return {**TASK, "Instances": instances}


@pytest.fixture
def tasks(superni: MakeTasks) -> Dataset:
    return superni(task1_kind=task(12), task2_rude=task(7), task30_open=task(9, ()))


def inputs(dataset: Dataset) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for instance in dataset:
        found.setdefault(instance.extra["task"], []).append(int(instance.input.removeprefix("text ")))
    return found


def chosen(dataset: Dataset, *steps: str) -> tuple[dict[str, list[int]], list[str]]:
    after, records = apply(dataset, parse_steps(steps))
    return inputs(after), [note for record in records for note in record.notes]


def test_each_task_gives_as_many_as_it_has(tasks: Dataset) -> None:
    found, notes = chosen(tasks, "per-task:k=8")
    assert found == {"task1_kind": [*range(8)], "task2_rude": [*range(7)], "task30_open": [*range(8)]}
    assert notes == ["fewer than 8 instances: task2_rude (7)"]


def test_what_is_skipped_of_each_task_is_held_out(tasks: Dataset) -> None:
    tuned, _ = chosen(tasks, "per-task:k=5")
    asked, notes = chosen(tasks, "per-task:k=3,skip=5")
    assert asked == {"task1_kind": [5, 6, 7], "task2_rude": [5, 6], "task30_open": [5, 6, 7]}
    assert all(not set(tuned[name]) & set(asked[name]) for name in asked)
    assert notes == ["fewer than 3 instances: task2_rude (2)"]


def test_a_ladder_per_task_grows(tasks: Dataset) -> None:
    ladder = [chosen(tasks, f"per-task:k={k}")[0] for k in (1, 2, 4)]
    for small, large in pairwise(ladder):
        assert all(large[name][: len(instances)] == instances for name, instances in small.items())


def test_tasks_are_chosen_by_name_or_number(tasks: Dataset) -> None:
    found, notes = chosen(tasks, 'tasks:names="task30_open, task1"')
    assert list(found) == ["task1_kind", "task30_open"]
    assert notes == ["2 of 3 tasks"]
    assert list(chosen(tasks, "tasks:names=task1,keep=others")[0]) == ["task2_rude", "task30_open"]


def test_a_file_of_names_splits_the_tasks(tasks: Dataset, tmp_path: Path) -> None:
    split = tmp_path / "test_tasks.txt"
    split.write_text("task2_rude\ntask999_elsewhere\n\n", encoding="utf-8")
    found, notes = chosen(tasks, f"tasks:file={split}")
    assert list(found) == ["task2_rude"]
    assert notes == ["1 of 3 tasks", f"1 of the 2 tasks that {split} names are here"]
    assert list(chosen(tasks, f"tasks:file={split},keep=others")[0]) == ["task1_kind", "task30_open"]


def test_tasks_are_chosen_by_what_they_give_out(tasks: Dataset) -> None:
    assert list(chosen(tasks, "tasks:outputs=labels")[0]) == ["task1_kind", "task2_rude"]
    assert list(chosen(tasks, "tasks:outputs=open")[0]) == ["task30_open"]
    # Two instances do not tell that the labels are closed; the whole of the task does.
    few, _ = apply(tasks, parse_steps(["per-task:k=2"]))
    after, _ = apply(few, parse_steps(["tasks:outputs=labels"]), whole=tasks)
    assert list(inputs(after)) == ["task1_kind", "task2_rude"]


def test_the_label_set_is_that_of_the_whole_task(tasks: Dataset) -> None:
    part, _ = apply(tasks, parse_steps(["tasks:names=task1", "per-task:k=1"]))
    spaces = output_spaces(part, tasks)
    assert {name: space.labels for name, space in spaces.items()} == {"task1_kind": ("kind", "rude")}
    assert output_spaces(part, part)["task1_kind"].labels == ()


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("tasks:names=task7", "no task 'task7' here; the tasks are called task1_kind, task2_rude, task30_open"),
        ('tasks:names="task7, task8"', "no task 'task7' and 1 more of these names here"),
        ("tasks:file=nowhere.txt", "nowhere.txt: cannot be read: No such file"),
        ('tasks:names="task1,task2,task30",keep=others', "none of the 3 tasks is left"),
        ("per-task:k=2,skip=12", "skip=12 leaves nothing: the largest task has 12 instances"),
    ],
)
def test_what_cannot_be_chosen_is_told(tasks: Dataset, step: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        apply(tasks, [parse_step(step)])
    assert says in str(caught.value)


def test_a_step_says_which_tasks_it_means() -> None:
    with pytest.raises(UserError, match="say which tasks, by names, by file, or by outputs"):
        parse_step("tasks:keep=others")
    assert parse_step("tasks:outputs=labels").text == "tasks:keep=named,outputs=labels"
    assert [step.name for step in parse_steps(["random:k=5", "per-task:k=9"])] == ["random", "per-task"]


def test_other_formats_have_no_tasks(alpaca: Callable[..., Dataset]) -> None:
    for step in ("per-task:k=1", "tasks:names=task1"):
        with pytest.raises(UserError, match="is alpaca; tasks are those of"):
            apply(alpaca(["One.", "Two."]), [parse_step(step)])


def test_the_small_experiment_asks_nothing_that_it_tunes_on(shared_data: Path) -> None:
    folder = shared_data / "superni"
    spec = read_spec(RECIPES / "kung2023-small.toml", (f"data.path={folder}", f"prompts.path={folder}"))
    assert spec.variants == ("original", "simplified", "empty", "delusive")
    whole = load(folder)
    asked = []
    for planned in spec.runs:
        data, _ = apply(whole, parse_steps(planned.recipe.data.transforms), whole=whole)
        prompts, _ = apply(whole, parse_steps(planned.recipe.prompts.transforms), whole=whole)
        assert not {instance.index for instance in data} & {instance.index for instance in prompts}
        assert len(inputs_by_task(data)) == 7 and len(inputs_by_task(prompts)) == 20
        asked.append([instance.prompt for instance in prompts])
    assert all(prompts == asked[0] for prompts in asked)


def inputs_by_task(dataset: Dataset) -> set[str]:
    return {instance.extra["task"] for instance in dataset}
