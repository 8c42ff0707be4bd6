"""How a Super-NaturalInstructions task becomes the instruction of its instances.

A task as its file has it gives its definition. One whose definition or examples a transform chose gives the layout
of Tk-Instruct (Wang et al. 2022): definition, positive examples, "Now complete the following example -"; the
instance's input follows, as with every instruction.
"""

import string
from collections.abc import Mapping
from typing import Any

LAYOUT = "itaudit:layout"
"""The key under which a task keeps what a transform made of it; it is never written to a task file.

Its value has `shown`, whether the prompt holds the positive examples, and the task's own `Definition` and
`Positive Examples`, so that every variant is made from the original.
"""

EMPTY = [""]
"""The `Definition` of a task without one. Any other blank definition is a mistake in the file."""

_LAST = "Now complete the following example -"


def task_definition(task: Mapping[str, Any]) -> str:
    """The definition of a task as one text, its parts on lines of their own."""
    definition = task["Definition"]
    return definition if isinstance(definition, str) else "\n".join(definition)


def task_instruction(task: Mapping[str, Any]) -> str:
    """The instruction that the instances of a task share."""
    definition = task_definition(task)
    layout = task.get(LAYOUT)
    if layout is None and definition.strip():
        return definition
    parts = [f"Definition: {_closed(definition)}"] if definition.strip() else []
    examples = task["Positive Examples"] if layout is not None and layout["shown"] else []
    parts += [
        f"Positive Example {number} -\nInput: {_closed(example['input'])}\nOutput: {_closed(example['output'])}"
        for number, example in enumerate(examples, 1)
    ]
    return "\n\n".join([*parts, _LAST])


def original_task(task: Mapping[str, Any]) -> dict[str, Any]:
    """The task as it was before any transform."""
    own = {key: value for key, value in task.items() if key != LAYOUT}
    layout = task.get(LAYOUT)
    return own if layout is None else own | {key: value for key, value in layout.items() if key != "shown"}


def written_task(task: Mapping[str, Any]) -> dict[str, Any]:
    """The task as a task file holds it: with the chosen definition and examples, without the notes on them."""
    return {key: value for key, value in task.items() if key != LAYOUT}


def _closed(text: str) -> str:
    """A text that ends in a punctuation mark, as Tk-Instruct writes definitions, inputs and outputs."""
    stripped = text.strip()
    return stripped if stripped[-1:] in string.punctuation else f"{stripped}."
