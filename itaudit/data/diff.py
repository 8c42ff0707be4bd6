"""What became different between two datasets."""

import difflib
import re
from dataclasses import dataclass
from typing import Any, Literal

from itaudit.data.dataset import Dataset
from itaudit.data.instance import Instance

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
# Matching words takes time with the product of both lengths.
_MOST_WORDS = 4000


@dataclass(frozen=True, slots=True)
class Change:
    """An instance in both datasets: `fields` maps each changed field to its values before and after."""

    key: str
    fields: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Difference:
    """Instances that only one dataset has, and those that changed; keys are ids or row numbers as text."""

    by: Literal["id", "index"]
    added: list[str]
    removed: list[str]
    changed: list[Change]


def compare(before: Dataset, after: Dataset) -> Difference:
    """Instances added, removed and changed, matched by id where both datasets bring ids, else by row."""
    by: Literal["id", "index"] = "id" if before.explicit_ids and after.explicit_ids else "index"
    positions = {_key(instance, by): position for position, instance in enumerate(after)}
    removed, changed = [], []
    for old in before:
        key = _key(old, by)
        position = positions.pop(key, None)
        if position is None:
            removed.append(key)
            continue
        was, now = _fields(old), _fields(after[position])
        names = dict.fromkeys([*was, *now])
        fields = {name: (was.get(name), now.get(name)) for name in names if was.get(name) != now.get(name)}
        if fields:
            changed.append(Change(key, fields))
    return Difference(by, list(positions), removed, changed)


def _key(instance: Instance, by: Literal["id", "index"]) -> str:
    return instance.id if by == "id" else str(instance.index)


def _fields(instance: Instance) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "instruction": instance.instruction,
        "input": instance.input,
        "response": instance.response,
        "history": [{"role": m.role, "content": m.content} for m in instance.history],
        "later": [{"role": m.role, "content": m.content} for m in instance.later],
    }
    if instance.references != (instance.response,):
        fields["references"] = list(instance.references)
    return fields | {f"extra.{name}": value for name, value in instance.extra.items()}


def word_changes(before: str, after: str) -> list[tuple[Literal["same", "removed", "added"], str]]:
    """The stretches of two texts, in order: common to both, only in the first, only in the second."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if len(old) > _MOST_WORDS or len(new) > _MOST_WORDS:
        return [("removed", before), ("added", after)]
    changes: list[tuple[Literal["same", "removed", "added"], str]] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            changes.append(("same", "".join(old[i:j])))
            continue
        if i < j:
            changes.append(("removed", "".join(old[i:j])))
        if k < m:
            changes.append(("added", "".join(new[k:m])))
    return changes
