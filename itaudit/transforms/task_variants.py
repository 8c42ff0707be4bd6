"""The definition and example variants of Super-NaturalInstructions tasks (Kung & Peng 2023, arXiv 2305.11383).

*Simplified* definitions keep the output space and lose the meaning; *delusive* examples keep inputs and outputs of
the task and lose the pairing. Every variant is made from the task as its file has it, so that a later step replaces
an earlier one, and by hashes of what it is made of, so that neither the order of rows nor the process matters.
"""

import hashlib
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from itaudit.analysis.output_space import OutputSpace, normalised, output_space
from itaudit.data.dataset import Dataset
from itaudit.data.task_prompt import EMPTY, LAYOUT, original_task
from itaudit.errors import UserError
from itaudit.sanitize import visible
from itaudit.steps import Definition, Examples

Task = dict[str, Any]

DELUSIVE = "delusive"
"""The key that marks an example whose output was exchanged, also in a task file that is written."""


class Tasks:
    """The tasks of a dataset and what their instances accept.

    It is made from the whole dataset that a chain of steps starts from: a label that a subset happens to miss is a
    label of the task all the same.
    """

    def __init__(self, whole: Dataset) -> None:
        self._whole = whole
        self._spaces: dict[int, OutputSpace] = {}

    def accepted(self, record: int) -> list[tuple[str, tuple[str, ...]]]:
        """Input and accepted outputs of every instance of a task."""
        rows = self._rows[record]
        table = self._whole.table.select(["input", "response", "references"]).take(pa.array(rows, pa.int64()))
        found = []
        for input, response, references in zip(*(column.to_pylist() for column in table.columns), strict=True):
            outputs = references if references is not None else [] if response is None else [response]
            found.append((input, tuple(outputs)))
        return found

    @cached_property
    def _rows(self) -> dict[int, list[int]]:
        """Where the instances of each task stand. Texts are read task by task: all of them may not fit into memory."""
        rows: dict[int, list[int]] = defaultdict(list)
        for row, record in enumerate(self._whole.table.column("record").to_pylist()):
            rows[record].append(row)
        return rows

    def space(self, record: int) -> OutputSpace:
        """The output space of a task."""
        if record not in self._spaces:
            self._spaces[record] = output_space([o for _, outputs in self.accepted(record) for o in outputs])
        return self._spaces[record]


def output_spaces(part: Dataset, whole: Dataset) -> dict[str, OutputSpace]:
    """The output space of every task that has instances in `part`, by its name, told from all that `whole` has."""
    tasks = Tasks(whole)
    records = [record for record in pc.unique(part.table["record"]).to_pylist() if record in part.tasks]
    return {part.tasks[record]["name"]: tasks.space(record) for record in records}


def with_definitions(dataset: Dataset, step: Definition, tasks: Tasks) -> tuple[Dataset, list[str]]:
    """The dataset with a variant of every task's definition, and what is worth telling about it."""
    present = _present(dataset)
    supplied = read_definitions(Path(step.file)) if step.file else {}
    names = {task["name"] for task in present.values()}
    if supplied and names.isdisjoint(supplied):
        known = ", ".join(sorted(names)[:3])
        raise UserError(f"{step.file}: names none of the {len(names)} tasks; they are called {known} …", code=2)
    made: dict[int, Task] = {}
    closed = 0
    for record, task in present.items():
        if step.variant == "original":
            definition = original_task(task)["Definition"]
        elif step.variant == "empty":
            definition = EMPTY
        elif task["name"] in supplied:
            definition = [supplied[task["name"]]]
        else:
            space = tasks.space(record)
            closed += bool(space.labels)
            definition = [space.definition]
        made[record] = _laid_out(task, {"Definition": definition})
    notes = []
    if step.variant == "simplified":
        own = len(names & supplied.keys())
        notes = [
            f"{len(made)} tasks: {closed} to their labels, {len(made) - closed - own} to the type of their outputs"
        ]
        notes[0] += f", {own} from {step.file}" if step.file else ""
    return dataset.replaced(tasks={**dataset.tasks, **made}), notes


def with_examples(dataset: Dataset, step: Examples, tasks: Tasks) -> tuple[Dataset, list[str]]:
    """The dataset with a variant of every task's positive examples in its prompts, and what is worth telling."""
    made: dict[int, Task] = {}
    short: list[str] = []
    for record, task in _present(dataset).items():
        examples: list[dict[str, Any]] = []
        if step.variant != "none":
            own = _own_examples(task)
            if step.variant == "original":
                examples = own[: step.count]
            else:
                examples = delusive_examples(task["name"], own, tasks.accepted(record), tasks.space(record), step)
            if len(examples) < step.count:
                short.append(f"{task['name']} ({len(examples)})")
        made[record] = _laid_out(task, {"Positive Examples": examples}, shown=step.variant != "none")
    notes = [f"fewer than {step.count} examples: {', '.join(short)}"] if short else []
    return dataset.replaced(tasks={**dataset.tasks, **made}), notes


def delusive_examples(
    name: str,
    examples: Sequence[Mapping[str, Any]],
    accepted: Sequence[tuple[str, tuple[str, ...]]],
    space: OutputSpace,
    step: Examples,
) -> list[dict[str, Any]]:
    """The first `count` positive examples with wrong outputs of the task.

    `accepted` are inputs and accepted outputs of all instances of the task. An output is wrong where no accepted
    output of that input, in an example or an instance, equals it after normalisation, or ends in it (a chain of
    thought that ends in the label). Examples whose right label cannot be told are passed over. Raises UserError,
    naming the task, where none is left.
    """
    if any(example.get(DELUSIVE) for example in examples):
        raise UserError(
            f"task {name}: its examples are delusive already, and the right ones are not known; take the original file"
        )
    outputs = sorted(space.labels or {output for _, found in accepted for output in found if output.strip()})
    right: dict[str, set[str]] = defaultdict(set)
    for input, found in accepted:
        right[_same_input(input)].update(found)
    for example in examples:
        right[_same_input(example["input"])].add(example["output"])
    made = []
    for example in examples:
        wrong = _wrong_outputs(right[_same_input(example["input"])], outputs, closed=bool(space.labels))
        if wrong:
            draw = hashlib.sha256("\0".join([str(step.seed), name, example["input"]]).encode("utf-8", "surrogatepass"))
            output = wrong[int.from_bytes(draw.digest()[:8], "big") % len(wrong)]
            made.append({"input": example["input"], "output": output, DELUSIVE: True})
        if len(made) == step.count:
            break
    if not made:
        why = "has no positive examples" if not examples else f"has no wrong output for them ({len(outputs)} possible)"
        raise UserError(f"task {name}: {why}, so that no example can be delusive; leave the task out", code=2)
    return made


def _wrong_outputs(accepted: set[str], outputs: Sequence[str], *, closed: bool) -> list[str]:
    right = {normalised(output) for output in accepted}
    forms = {output: normalised(output) for output in outputs}
    if not closed:
        return [o for o, form in forms.items() if not any(_ends_in(a, form) or _ends_in(form, a) for a in right)]
    labels = set(forms.values())
    answers = set()
    for text in right:
        ends = [label for label in labels if _ends_in(text, label)]
        if not ends:
            return []
        answers.add(text if text in labels else max(ends, key=len))
    return [output for output, form in forms.items() if form not in answers]


def _ends_in(text: str, ending: str) -> bool:
    return text == ending or text.endswith(f" {ending}")


def _same_input(text: str) -> str:
    return " ".join(text.split()).casefold()


def _present(dataset: Dataset) -> dict[int, Task]:
    """The tasks that have instances in the dataset. Raises UserError where an instance goes without its task's text."""
    own = [
        index
        for index, record, instruction in zip(
            *(dataset.table.column(name).to_pylist() for name in ("index", "record", "instruction")), strict=True
        )
        if instruction is not None or record not in dataset.tasks
    ]
    if not dataset.tasks:
        raise UserError(
            f"{visible(dataset.path)} is {dataset.format}; definitions and examples are those of "
            "Super-NaturalInstructions task files",
            code=2,
        )
    if own:
        raise UserError(
            f"{len(own):,} instances have an instruction of their own instead of their task's definition, "
            f"first row {own[0]}; undo these edits, or leave the rows out"
        )
    present = set(dataset.table.column("record").to_pylist())
    return {record: dict(task) for record, task in dataset.tasks.items() if record in present}


def _laid_out(task: Task, changes: Mapping[str, Any], *, shown: bool | None = None) -> Task:
    original = original_task(task)
    before = task.get(LAYOUT, {"shown": False})
    kept = {"Definition": original["Definition"], "Positive Examples": original.get("Positive Examples", [])}
    return {**task, **changes, LAYOUT: {**kept, "shown": before["shown"] if shown is None else shown}}


def _own_examples(task: Task) -> list[dict[str, Any]]:
    examples = original_task(task).get("Positive Examples", [])
    for number, example in enumerate(examples if isinstance(examples, list) else [None]):
        texts = [example.get("input"), example.get("output")] if isinstance(example, dict) else [None]
        if not all(isinstance(text, str) for text in texts):
            raise UserError(f"task {task['name']}: positive example {number + 1} has no texts 'input' and 'output'")
    return list(examples)


def read_definitions(path: Path) -> dict[str, str]:
    """A user's own simplified definitions: task name to text, TOML or JSON by suffix. Raises UserError."""
    where = visible(str(path))
    try:
        content = path.read_bytes()
        table = orjson.loads(content) if path.suffix == ".json" else tomllib.loads(content.decode())
    except OSError as error:
        raise UserError(f"{where}: cannot be read: {error.strerror or error}", code=2) from None
    except (orjson.JSONDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: is neither JSON nor TOML, as its suffix says: {error}", code=2) from None
    if not isinstance(table, dict):
        raise UserError(f"{where}: expected a table of task names and definitions", code=2)
    for name, definition in table.items():
        if not isinstance(definition, str) or not definition.strip():
            raise UserError(f"{where}: {visible(name)}: expected a definition, a text that is not empty", code=2)
    return table
