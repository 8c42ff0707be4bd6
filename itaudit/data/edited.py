"""A dataset with its edits: what the workshop shows, changes and writes."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import orjson
import pyarrow as pa

from itaudit.data.dataset import Dataset
from itaudit.data.instance import Instance, Message
from itaudit.data.overlay import (
    EDITABLE,
    TEXTS,
    TURNS,
    Chain,
    Edit,
    Overlay,
    Reversal,
    content_hash,
    new_edit,
    replay,
    user_name,
    values_of,
)
from itaudit.errors import UserError


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


class EditedDataset:
    """A dataset seen through its overlay; positions are those of the dataset, deleted instances included."""

    def __init__(self, dataset: Dataset, overlay: Overlay) -> None:
        self.source = dataset
        self.overlay = overlay
        self._rows: dict[int, EditedRow] = {}
        self._positions: dict[str, int] = {}
        self._resolve(overlay.chains, 0)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, position: int) -> Instance:
        edited = self._rows.get(position)
        return self.source[position] if edited is None else edited.instance

    def row(self, position: int) -> EditedRow:
        """An instance and everything known of its edits. Raises IndexError beyond the end."""
        edited = self._rows.get(position)
        if edited is None:
            source = self.source[position]
            return EditedRow(source, source)
        return edited

    def edited_positions(self) -> dict[int, EditedRow]:
        """The instances that have entries in the overlay, standing or taken back, by position."""
        return dict(sorted(self._rows.items()))

    def position_of(self, id: str) -> int | None:
        """Where an instance with entries in the overlay stands; None where the source does not hold it."""
        return self._positions.get(id)

    def grow(self, dataset: Dataset) -> set[int]:
        """Takes a longer dataset of the same source; returns the positions of edited instances that came with it."""
        before = len(self.source)
        self.source = dataset
        return self._resolve(self.overlay.chains.keys() - self._positions.keys(), before)

    def refresh(self) -> set[int]:
        """Reads what other workbenches did; returns the positions that changed."""
        return self._update(self.overlay.refresh())

    def edit(
        self,
        position: int,
        changes: Mapping[str, Any],
        *,
        by: str,
        proposal: str = "",
        checks: Mapping[str, Any] | None = None,
    ) -> Edit | None:
        """Changes fields of an instance; None where they hold those values already.

        `changes` maps names of EDITABLE to new values. Raises ValueError for another name, and UserError where
        another workbench changed the instance meanwhile, a proposal was accepted before, or nothing can be written.
        """
        unknown = changes.keys() - set(EDITABLE)
        if unknown:
            raise ValueError(f"{min(unknown)} is not one of {', '.join(EDITABLE)}")
        seen = self.row(position)
        with self.overlay.appending() as others:
            self._update(others)
            row = self.row(position)
            current = _values(row)
            if seen.edits != row.edits:
                raise UserError(f"row {row.source.index}: was changed by another workbench meanwhile; look at it again")
            if proposal and any(edit.proposal == proposal for edit in row.edits):
                raise UserError(f"row {row.source.index}: this proposal was accepted already")
            after = {name: value for name, value in changes.items() if value != current[name]}
            if not after:
                return None
            before = {name: current[name] for name in after}
            of = content_hash(row.source)
            made = new_edit(row.source, of=of, before=before, after=after, by=by, proposal=proposal, checks=checks)
            self._positions[made.id] = position
            self.overlay.append(made)
            self._update({made.id})
        return made

    def undo(self, position: int) -> Edit | None:
        """Takes the latest standing edit of an instance back and returns it; None where none stands."""
        return self._reverse(position, "undo")

    def redo(self, position: int) -> Edit | None:
        """Puts the edit that was taken back last in force again and returns it; None where there is none."""
        return self._reverse(position, "redo")

    def _reverse(self, position: int, op: Literal["undo", "redo"]) -> Edit | None:
        id = self.source[position].id
        with self.overlay.appending() as others:
            self._update(others)
            chain = self.overlay.chains.get(id, Chain())
            edits = chain.standing if op == "undo" else chain.undone
            if not edits:
                return None
            edit = edits[-1]
            entry = Reversal(op, edit.edit, user_name(), time.time())
            self.overlay.append(entry)
            self._update({id})
        return edit

    def conflicts(self) -> list[Conflict]:
        """Every standing edit that is not applied: its source changed, or the instance is gone."""
        found = [conflict for row in self.edited_positions().values() for conflict in row.conflicts]
        for id in self.overlay.chains.keys() - self._positions.keys():
            gone = self.overlay.chains[id].standing
            found += [Conflict(edit, "the source no longer holds this instance") for edit in gone]
        return found

    def dataset(self, entries: int | None = None) -> Dataset:
        """The instances as the edits leave them, deleted ones left out; after the first `entries` only, if given."""
        if entries is None:
            rows = self._rows
        else:
            chains = replay(self.overlay.entries[:entries])
            rows = {
                self._positions[id]: edited_row(self.source[self._positions[id]], chain.standing)
                for id, chain in chains.items()
                if id in self._positions
            }
        return with_rows(self.source, rows)

    def _update(self, ids: Iterable[str]) -> set[int]:
        ids = set(ids)
        new = ids - self._positions.keys()
        changed = self._resolve(new, 0) if new else set()
        for id in ids & self._positions.keys():
            position = self._positions[id]
            self._rows[position] = edited_row(self.source[position], self.overlay.chains[id].standing)
            changed.add(position)
        return changed

    def _resolve(self, ids: Iterable[str], start: int) -> set[int]:
        """Finds where instances stand, from a position on, and how their edits leave them."""
        wanted = list(ids)
        if not wanted:
            return set()
        import pyarrow.compute as pc

        column = self.source.table.column("id").slice(start)
        hits = pc.is_in(column, value_set=pa.array(wanted, column.type)).to_numpy()
        positions = {int(position) + start for position in np.flatnonzero(hits)}
        for position in positions:
            source = self.source[position]
            self._positions[source.id] = position
            self._rows[position] = edited_row(source, self.overlay.chains[source.id].standing)
        return positions


def edited_row(source: Instance, standing: Iterable[Edit]) -> EditedRow:
    """What edits leave of an instance; one that was made of something else is set aside."""
    own = content_hash(source)
    values = _values(EditedRow(source, source))
    applied, conflicts = [], []
    for edit in standing:
        if edit.of != own:
            conflicts.append(Conflict(edit, "the source changed since"))
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


def _values(row: EditedRow) -> dict[str, Any]:
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
    """The dataset with other instances at some positions, and without those that are deleted."""
    changed = [position for position, row in sorted(rows.items()) if row.changed and not row.deleted]
    table = dataset.table
    order = np.arange(len(dataset), dtype=np.int64)
    if changed:
        made = _changed_rows(dataset, [rows[position].instance for position in changed], changed)
        order[changed] = np.arange(len(dataset), len(dataset) + len(changed))
        table = pa.concat_tables([table, made])
    dropped = [position for position, row in rows.items() if row.deleted]
    if not changed and not dropped:
        return dataset
    order = np.delete(order, dropped)
    return Dataset(
        table.take(pa.array(order)),
        path=dataset.path,
        format=dataset.format,
        sha256=dataset.sha256,
        rejected=dataset.rejected,
        explicit_ids=dataset.explicit_ids,
        tasks=dataset.tasks,
    )


def _changed_rows(dataset: Dataset, instances: list[Instance], positions: list[int]) -> pa.Table:
    made = dataset.table.take(pa.array(positions, pa.int64()))
    stored = [dataset.row(position) for position in positions]
    columns: dict[str, list[Any]] = {name: [] for name in (*TEXTS, *TURNS, "references", "shape")}
    for old, instance, raw in zip(stored, instances, made.column("instruction").to_pylist(), strict=True):
        values = values_of(instance)
        same = raw is None and instance.instruction == old.instance.instruction
        columns["instruction"].append(None if same else instance.instruction)
        for name in ("input", "response"):
            columns[name].append(values[name])
        for name in TURNS:
            columns[name].append(values[name] or None)
        alone = instance.references in ((), (instance.response,))
        columns["references"].append(None if alone else list(instance.references))
        shape = dict(old.shape)
        if len(instance.history) != len(old.instance.history):
            shape.pop("prompt_messages", None)
        if len(instance.messages) != len(old.instance.messages):
            shape.pop("fields", None)
        columns["shape"].append(orjson.dumps(shape).decode() if shape else None)
    for name, column in columns.items():
        place = made.schema.get_field_index(name)
        made = made.set_column(place, made.schema.field(name), pa.array(column, made.schema.field(name).type))
    return made
