"""What edits leave of instances, and datasets with such instances in the place of their source's."""

import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from itaudit.data.dataset import Dataset, StoredRow
from itaudit.data.edits import TEXTS, TURNS, Edit, content_hash, values_of
from itaudit.data.instance import Instance, Message

_BLOCK = 4096
"""Rows that are copied where one of them changed; all others are shared with the source."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """An edit that stands in the overlay and is not applied, and why."""

    edit: Edit
    reason: str


@dataclass(frozen=True, slots=True)
class EditedRow:
    """An instance as its source has it and as the edits leave it; `edits` are those applied, oldest first."""

    source: Instance
    instance: Instance
    deleted: bool = False
    tags: tuple[str, ...] = ()
    note: str = ""
    edits: tuple[Edit, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the instance itself says something else than its source."""
        return self.instance is not self.source


def edited_row(source: Instance, standing: Iterable[Edit]) -> EditedRow:
    """What edits leave of an instance; one that was made of something else is set aside."""
    own = content_hash(source)
    values = row_values(EditedRow(source, source))
    applied, conflicts = [], []
    for edit in standing:
        if edit.of != own:
            turns = ", or is read at another turn" if source.history or source.later else ""
            conflicts.append(Conflict(edit, f"the source changed since{turns}"))
        elif any(values[name] != value for name, value in edit.before.items()):
            conflicts.append(Conflict(edit, "another edit came between"))
        else:
            values |= edit.after
            applied.append(edit)
    return EditedRow(
        source=source,
        instance=_instance(source, values),
        deleted=values["deleted"],
        tags=tuple(values["tags"]),
        note=values["note"],
        edits=tuple(applied),
        conflicts=tuple(conflicts),
    )


def row_values(row: EditedRow) -> dict[str, Any]:
    """Every editable field of an instance as its edits leave it."""
    return values_of(row.instance) | {"deleted": row.deleted, "tags": list(row.tags), "note": row.note}


def _instance(source: Instance, values: Mapping[str, Any]) -> Instance:
    """The source with other texts and turns; the very same object where nothing differs."""
    if all(values[name] == value for name, value in values_of(source).items()):
        return source
    references = source.references
    response = values["response"]
    if response != source.response:
        others = tuple(text for text in references if text not in (source.response, response))
        references = others if response is None else (response, *others)
    return replace(
        source,
        instruction=values["instruction"],
        input=values["input"],
        response=response,
        history=_messages(values["history"]),
        later=_messages(values["later"]),
        references=references,
    )


def _messages(turns: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    return tuple(Message(turn["role"], turn["content"]) for turn in turns)


def with_rows(dataset: Dataset, rows: Mapping[int, EditedRow]) -> Dataset:
    """The dataset with other instances at some positions, and without those that are deleted.

    Its hash is made of the source's and of what differs; the dataset itself comes back where nothing does.
    """
    changed = sorted(position for position, row in rows.items() if row.changed and not row.deleted)
    dropped = sorted(position for position, row in rows.items() if row.deleted)
    if not changed and not dropped:
        return dataset
    return dataset.replaced(
        table=_with_rows(dataset.table, _changed_rows(dataset, rows, changed), changed, dropped),
        sha256=_derived_hash(dataset.sha256, rows, sorted([*changed, *dropped])),
    )


def _derived_hash(source: str, rows: Mapping[int, EditedRow], positions: Iterable[int]) -> str:
    digest = hashlib.sha256(source.encode())
    for position in positions:
        row = rows[position]
        left = None if row.deleted else [values_of(row.instance), row.instance.references]
        digest.update(orjson.dumps([row.source.id, left], option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))
    return digest.hexdigest()


def _with_rows(table: pa.Table, made: pa.Table, changed: Sequence[int], dropped: Sequence[int]) -> pa.Table:
    """Takes rows from `made` for the changed positions; only blocks that hold one are copied."""
    new, gone = np.array(changed, np.int64), np.array(dropped, np.int64)
    pieces: list[pa.Table] = []
    done = 0
    for block in np.unique(np.concatenate([new, gone]) // _BLOCK).tolist():
        start, end = block * _BLOCK, min((block + 1) * _BLOCK, len(table))
        first, last = np.searchsorted(new, [start, end]).tolist()
        order = np.arange(end - start)
        order[new[first:last] - start] = np.arange(last - first) + (end - start)
        order = np.delete(order, gone[(gone >= start) & (gone < end)] - start)
        both = pa.concat_tables([table.slice(start, end - start), made.slice(first, last - first)])
        pieces += [table.slice(done, start - done), both.combine_chunks().take(pa.array(order))]
        done = end
    return pa.concat_tables([*pieces, table.slice(done)])


def _changed_rows(dataset: Dataset, rows: Mapping[int, EditedRow], positions: Sequence[int]) -> pa.Table:
    made = dataset.table.take(pa.array(positions, pa.int64()))
    columns: dict[str, list[Any]] = {name: [] for name in (*TEXTS, *TURNS, "references", "shape")}
    for position, raw in zip(positions, made.column("instruction").to_pylist(), strict=True):
        old, instance = dataset.row(position), rows[position].instance
        values = values_of(instance)
        # An instruction that is its task's stays with the task.
        same = raw is None and instance.instruction == old.instance.instruction
        columns["instruction"].append(None if same else instance.instruction)
        for name in ("input", "response"):
            columns[name].append(values[name])
        for name in TURNS:
            columns[name].append(values[name] or None)
        alone = instance.references in ((), (instance.response,))
        columns["references"].append(None if alone else list(instance.references))
        shape = _shape(old, instance)
        columns["shape"].append(orjson.dumps(shape).decode() if shape else None)
    for name, column in columns.items():
        place = made.schema.get_field_index(name)
        made = made.set_column(place, made.schema.field(name), pa.array(column, made.schema.field(name).type))
    return made


def _shape(old: StoredRow, instance: Instance) -> dict[str, Any]:
    """The writer's notes on an instance, for its edited form: those on messages that are gone go with them."""
    shape = dict(old.shape)
    if len(instance.history) != len(old.instance.history):
        shape.pop("prompt_messages", None)
    if "fields" in shape and instance.messages != old.instance.messages:
        shape["fields"] = _message_fields(shape["fields"], old.instance.messages, instance.messages)
    return shape


def _message_fields(
    fields: Sequence[Mapping[str, Any]], before: Sequence[Message], after: Sequence[Message]
) -> list[Mapping[str, Any]]:
    """What the source says beside each message, for the messages that are still there; a new role has a new name."""
    kept: list[Mapping[str, Any]] = [{} for _ in after]
    # Messages are told apart by what they say; those that stand in each other's place are taken for the same.
    matcher = difflib.SequenceMatcher(None, _keys(before), _keys(after), autojunk=False)
    for tag, start, end, other, _ in matcher.get_opcodes():
        if tag not in ("equal", "replace"):
            continue
        for place in range(start, end):
            new = other + place - start
            if new >= len(after) or place >= len(fields):
                break
            same_role = before[place].role == after[new].role
            kept[new] = {k: v for k, v in fields[place].items() if same_role or k not in ("role", "from")}
    return kept


def _keys(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in messages]
