"""What became different between two datasets."""

import difflib
import re
from dataclasses import dataclass
from typing import Any, Literal

from itaudit.data.dataset import Dataset
from itaudit.data.instance import Instance

# A word or sign with the white space behind it; before the first word there may be white space alone.
_WORDS = re.compile(r"(\w+|[^\w\s]|^)(\s*)")
# Matching words takes time with the product of both lengths.
_MOST_WORDS = 4000


WordChange = tuple[Literal["same", "removed", "added"], str]


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


def word_changes(before: str, after: str) -> list[WordChange]:
    """The stretches of two texts, in order: common to both, only in the first, only in the second.

    Words are matched whatever white space stands between them, which is then compared where it follows the same word.
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if len(old) > _MOST_WORDS or len(new) > _MOST_WORDS:
        return [("removed", before), ("added", after)]
    changes: list[WordChange] = []
    # White space among the words to match would match everywhere, and take most of the time.
    matcher = difflib.SequenceMatcher(None, [word for word, _ in old], [word for word, _ in new], autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag != "equal":
            _put(changes, "removed", "".join(word + space for word, space in old[i:j]))
            _put(changes, "added", "".join(word + space for word, space in new[k:m]))
            continue
        for (word, was), (_, now) in zip(old[i:j], new[k:m], strict=True):
            _put(changes, "same", word)
            if was == now:
                _put(changes, "same", was)
            else:
                _put(changes, "removed", was)
                _put(changes, "added", now)
    return changes


def _put(changes: list[WordChange], kind: Literal["same", "removed", "added"], text: str) -> None:
    """Adds a stretch, to the last one where that is of its kind."""
    if text and changes and changes[-1][0] == kind:
        changes[-1] = (kind, changes[-1][1] + text)
    elif text:
        changes.append((kind, text))
