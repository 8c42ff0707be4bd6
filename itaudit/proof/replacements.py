"""What stands in the place of sources where a proof retrains with edited ones instead of leaving them out."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from itaudit.data.instance import Instance, Message
from itaudit.data.versions import open_edited, split_version
from itaudit.errors import UserError
from itaudit.runs.run import Run

_TEXTS = ("instruction", "input", "response")
_TURNS = ("history", "later")

Changes = dict[str, Any]
"""Texts of an instance that differ, by field; turns are lists of [role, content]."""


def edited_sources(run: Run, rows: Iterable[int]) -> dict[int, Changes]:
    """What the workshop of the run's dataset has changed in instances among `rows` since they were tuned on.

    A text that a transform of the run made stays as it is. Raises UserError for a row that is deleted in the workshop.
    """
    data = run.recipe.data
    workshop = open_edited(split_version(data.path)[0], format=data.format, split=data.split or None, turn=data.turn)
    # The run may have read the dataset with some of the edits already.
    found: dict[int, Changes] = {}
    for row in rows:
        try:
            edited = workshop.row(workshop.source.position(row))
        except KeyError:
            continue
        if edited.deleted:
            raise UserError(f"row {row}: is deleted in the workshop; prove it by dropping, without --edited", code=2)
        own = run.dataset[run.dataset.position(row)]
        touched = {name for edit in edited.edits for name in edit.after}
        changes: Changes = {}
        for name in (*_TEXTS, *_TURNS):
            new = getattr(edited.instance, name)
            if name in touched and new != getattr(own, name):
                changes[name] = new if name in _TEXTS else [[turn.role, turn.content] for turn in new]
        if changes:
            found[row] = changes
    return found


def changed(instance: Instance, changes: Mapping[str, Any]) -> Instance:
    """The instance with its changes."""
    told: dict[str, Any] = {
        name: value if name in _TEXTS else tuple(Message(role, content) for role, content in value)
        for name, value in changes.items()
    }
    return replace(instance, **told)
