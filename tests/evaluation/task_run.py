"""Runs and experiments on small tasks, prepared as the worker does, with answers that a test gives."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from itaudit.engine.prepare import prepare_run
from itaudit.engine.reporter import Reporter
from itaudit.evaluation.questions import Question, questions_of
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.spec import spec_of
from itaudit.recipe import check_recipe
from itaudit.runs.run import Run

Answer = Callable[[Question], str]

EXAMPLES = [{"input": "you are lovely", "output": "yes"}, {"input": "go away", "output": "no"}]


def task(outputs: list[list[str]], examples: list[dict[str, str]] = EXAMPLES) -> dict[str, Any]:
    """A task whose instances accept these outputs."""
    instances = [{"input": f"text {number}", "output": accepted} for number, accepted in enumerate(outputs)]
    return {"Definition": ["Is it?"], "Positive Examples": examples, "Negative Examples": [], "Instances": instances}


def sentence(number: int) -> str:
    return f"The weather of day number {number} was not at all as it had been foretold."


TASKS: Mapping[str, dict[str, Any]] = {
    "task1_kind": task([["yes" if number % 2 else "no"] for number in range(20)]),
    "task2_sort": task([[("red", "green", "blue")[number % 3]] for number in range(21)]),
    "task3_tell": task([[sentence(number), f"Day {number}"] for number in range(15)]),
    "task4_fair": task([["no" if number % 4 else "yes"] for number in range(20)]),
}
"""Two closed sets of labels that can be tuned on, one task that generates, and one more that only asks."""


def write_tasks(folder: Path, tasks: Mapping[str, dict[str, Any]] = TASKS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in tasks.items():
        (folder / f"{name}.json").write_bytes(orjson.dumps(one))
    return folder


def recipe_table(folder: Path, **changes: Any) -> dict[str, Any]:
    """Tuned on three tasks, with four prompts of each of the four."""
    table: dict[str, Any] = {
        "name": "tasks",
        "data": {"path": str(folder), "transforms": ["tasks:names=task4,keep=others", "per-task:k=6"]},
        "prompts": {"path": str(folder), "transforms": ["per-task:k=4,skip=6", "examples:variant=original,count=1"]},
        "models": {"sft": {"method": "sft"}},
    }
    return {**table, **changes}


def prepared(run: Run) -> Run:
    with Reporter(run) as reporter:
        prepare_run(run, reporter)
    return run


def task_run(directory: Path, folder: Path, **changes: Any) -> Run:
    """A prepared run, nothing answered yet."""
    return prepared(Run.create(directory, check_recipe(recipe_table(folder, **changes), "recipe")))


def task_experiment(directory: Path, folder: Path, **changes: Any) -> Experiment:
    """An experiment whose runs are prepared, nothing answered yet."""
    experiment = Experiment.create(directory, spec_of(recipe_table(folder, **changes), directory / "recipe.toml"))
    for planned in experiment.spec.runs:
        prepared(Run.create(experiment.runs_path, planned.recipe))
    return experiment


def answer(run: Run, label: str, said: Answer) -> None:
    """Gives a model's answer to every question of a run, through the table that the worker fills."""
    orders = {prompt.id: prompt.order for prompt in run.prompts()}
    rest = {"finish": "eos", "ids": [1], "context_ids": [5], "context": "?"}
    table = run.table("responses", label)
    table.append(
        [
            {"order": orders[one.prompt_id], "prompt_id": one.prompt_id, "response": said(one), **rest}
            for one in questions_of(run)
        ]
    )
    table.close()


def rightly(question: Question) -> str:
    return question.references[0]


def silently(question: Question) -> str:  # noqa: ARG001  # whatever is asked
    return ""
