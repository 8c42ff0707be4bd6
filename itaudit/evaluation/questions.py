"""What each prompt of a run asks: its task, what the task may give out, and the answers that count as right."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import orjson

from itaudit.analysis.output_space import OutputSpace
from itaudit.data.dataset import Dataset
from itaudit.data.task_prompt import LAYOUT, original_task
from itaudit.errors import UserError
from itaudit.evaluation.task_metrics import Metric
from itaudit.runs.run import Run

Kind = Literal["classification", "generation", "answers"]
"""Of a task with a closed set of labels, of any other task, and of prompts that belong to no task."""

METRICS: dict[Kind, Metric] = {"classification": "exact_match", "generation": "rouge_l", "answers": "rouge_l"}
"""The metric of each kind, as Wang et al. 2022 and Kung & Peng 2023 report them."""


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt with references.

    `labels` is the task's closed set, told from all instances of its source; empty where it has none. `seen` says
    whether the models were tuned on instances of the task; None without tasks. `demo` is the output of the first
    positive example, in the prompt or else of the task.
    """

    prompt_id: str
    references: tuple[str, ...]
    input: str
    task: str = ""
    labels: tuple[str, ...] = ()
    seen: bool | None = None
    demo: str | None = None

    @property
    def kind(self) -> Kind:
        return "answers" if not self.task else "classification" if self.labels else "generation"

    @property
    def metric(self) -> Metric:
        return METRICS[self.kind]


def questions_of(run: Run) -> tuple[Question, ...]:
    """The prompts of a run that have references, in order; none before the prepare stage is done.

    Raises UserError where somebody broke a file of the run.
    """
    if not run.prompts_path.exists():
        return ()
    return _questions(run.path, run.prompts_path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _questions(path: Path, _version: int) -> tuple[Question, ...]:
    run = Run(path)
    asked = run.prompts_dataset
    prompts = run.prompts()
    if asked is None:
        return tuple(
            Question(prompt.id, (prompt.reference,), prompt.prompt)
            for prompt in prompts
            if prompt.reference is not None
        )
    if len(asked) != len(prompts):
        raise UserError(f"{run.prompts_dataset_path}: has {len(asked):,} instances for {len(prompts):,} prompts")
    spaces = output_spaces(run)
    tuned_on = _task_names(run.dataset)
    found = []
    for prompt, row in zip(prompts, asked.rows(), strict=True):
        instance = row.instance
        own = (prompt.reference,) if prompt.reference is not None else ()
        references = instance.references or own
        if not references:
            continue
        if row.record not in asked.tasks:
            found.append(Question(prompt.id, references, instance.input or instance.instruction))
            continue
        task = asked.tasks[row.record]
        space = spaces.get(task["name"], OutputSpace("text"))
        seen = task["name"] in tuned_on
        found.append(
            Question(prompt.id, references, instance.input, task["name"], space.labels, seen, _first_example(task))
        )
    return tuple(found)


def output_spaces(run: Run) -> dict[str, OutputSpace]:
    """The output space of each task that is asked, by its name. Raises UserError where somebody broke the file."""
    path = run.output_spaces_path
    if not path.exists():
        return {}
    try:
        return {str(name): OutputSpace.of_json(space) for name, space in orjson.loads(path.read_bytes()).items()}
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path}: can't be read: {error}; delete the run and start it again") from None


def _task_names(dataset: Dataset) -> set[str]:
    records = set(dataset.table.column("record").to_pylist()) if dataset.tasks else set()
    return {task["name"] for record, task in dataset.tasks.items() if record in records}


def _first_example(task: Any) -> str | None:
    shown = task.get("Positive Examples") if LAYOUT in task else None
    examples = shown or original_task(task).get("Positive Examples")
    match examples:
        case [{"output": str(output)}, *_]:
            return output
    return None
