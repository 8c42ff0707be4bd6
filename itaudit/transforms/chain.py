"""A chain of steps carried out on a dataset, each with a record of what it did."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from itaudit.data.dataset import Dataset
from itaudit.data.edited import EditedRow, with_rows
from itaudit.errors import UserError
from itaudit.steps import (
    AnyStep,
    ChooseTasks,
    Definition,
    Examples,
    First,
    Ifd,
    Longest,
    PerTask,
    Random,
    Score,
    Shortest,
    Simplified,
    Words,
)
from itaudit.transforms.subsets import check_size, column_numbers, finite, random_positions, ranked, response_lengths
from itaudit.transforms.task_subsets import of_each_task, of_tasks
from itaudit.transforms.task_variants import Tasks, with_definitions, with_examples

Difficulties = Callable[[Dataset, Ifd], Sequence[float | None]]
"""The instruction-following difficulty of every instance, by a model; None where there is no response to measure."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a step did: the step with its defaults written out, instances before and after, and what else to tell."""

    step: str
    before: int
    after: int
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"step": self.step, "before": self.before, "after": self.after, "notes": list(self.notes)}


def apply(
    dataset: Dataset,
    steps: Iterable[AnyStep],
    *,
    whole: Dataset | None = None,
    difficulties: Difficulties | None = None,
) -> tuple[Dataset, list[Record]]:
    """Carries out steps in order; returns the new dataset and a record of each. The dataset itself stays as it is.

    `whole` is what label sets and delusive outputs are taken from where `dataset` is a part of it. `difficulties`
    measures for `ifd`, which needs a model. Raises UserError that names the step.
    """
    tasks = Tasks(dataset if whole is None else whole)
    records = []
    for step in steps:
        before = len(dataset)
        try:
            dataset, notes = _carried_out(dataset, step, tasks, difficulties)
        except UserError as error:
            raise UserError(f"transform {step.text}: {error}", code=error.code) from None
        records.append(Record(step.text, before, len(dataset), tuple(notes)))
    return dataset, records


def _carried_out(
    dataset: Dataset, step: AnyStep, tasks: Tasks, difficulties: Difficulties | None
) -> tuple[Dataset, list[str]]:
    match step:
        case First():
            check_size(step.k, len(dataset))
            return dataset.select(list(range(step.k))), []
        case Longest() | Shortest():
            check_size(step.k, len(dataset))
            lengths = response_lengths(dataset, step.unit)
            return dataset.select(ranked(lengths, step.k, "highest" if isinstance(step, Longest) else "lowest")), []
        case Words():
            return _by_words(dataset, step)
        case Random():
            check_size(step.k, len(dataset))
            return dataset.select(random_positions(dataset, step)), []
        case Score():
            check_size(step.k, len(dataset))
            return dataset.select(ranked(column_numbers(dataset, step), step.k, step.order)), []
        case Ifd():
            return _by_difficulty(dataset, step, difficulties)
        case Simplified():
            return _simplified(dataset)
        case Definition():
            return with_definitions(dataset, step, tasks)
        case Examples():
            return with_examples(dataset, step, tasks)
        case PerTask():
            return of_each_task(dataset, step)
        case ChooseTasks():
            return of_tasks(dataset, step, tasks)


def _by_words(dataset: Dataset, step: Words) -> tuple[Dataset, list[str]]:
    lengths = response_lengths(dataset, "words")
    answered = dataset.table.column("response").is_valid().to_numpy()
    inside = (lengths >= step.at_least) & (lengths <= (step.at_most or np.inf)) & answered
    if not inside.any():
        if not answered.any():
            raise UserError("leaves no instance: none has a response", code=2)
        shortest, longest = lengths[answered].min(), lengths[answered].max()
        raise UserError(f"leaves no instance; the responses there are have {shortest:,} to {longest:,} words", code=2)
    return dataset.select(np.flatnonzero(inside).tolist()), []


def _by_difficulty(dataset: Dataset, step: Ifd, difficulties: Difficulties | None) -> tuple[Dataset, list[str]]:
    check_size(step.k, len(dataset))
    if difficulties is None:
        raise UserError(
            "needs a model; write the scores with `itaudit data ifd`, then use score:column=ifd, or put the step "
            "into a recipe",
            code=2,
        )
    values = finite(difficulties(dataset, step))
    measured = np.flatnonzero(np.isfinite(values))
    usable = measured[values[measured] <= step.at_most]
    without, above = len(values) - len(measured), len(measured) - len(usable)
    check_size(step.k, len(usable), f"instances with an IFD of at most {step.at_most:g}")
    chosen = usable[ranked(values[usable], step.k, step.order)]
    notes = [f"{above:,} left out with an IFD above {step.at_most:g}"] if above else []
    notes += [f"{without:,} left out without a response to measure"] if without else []
    return dataset.select(chosen.tolist()), notes


def _simplified(dataset: Dataset) -> tuple[Dataset, list[str]]:
    from itaudit.simplify.checks import check
    from itaudit.simplify.extractive import simplified

    changed: dict[int, EditedRow] = {}
    stopped = 0
    for position, instance in enumerate(dataset):
        if instance.response is None or (after := simplified(instance)) == instance.response:
            continue
        if not check(instance, after).passes:
            stopped += 1
            continue
        others = tuple(text for text in instance.references if text not in (instance.response, after))
        changed[position] = EditedRow(instance, replace(instance, response=after, references=(after, *others)))
    same = len(dataset) - len(changed) - stopped
    notes = [
        f"{len(changed):,} simplified, {stopped:,} left as they are by the checks, {same:,} with nothing to simplify"
    ]
    return with_rows(dataset, changed), notes
