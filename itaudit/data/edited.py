"""A dataset with its edits: what the workshop shows, changes and writes."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from itaudit.data.dataset import Dataset
from itaudit.data.edited_rows import Conflict, EditedRow, edited_row, row_values, with_rows
from itaudit.data.edits import EDITABLE, TEXTS, Chain, Edit, content_hash, fits, new_edit, new_reversal, replay
from itaudit.data.instance import Instance
from itaudit.data.overlay import Overlay
from itaudit.errors import UserError

__all__ = ["Change", "Conflict", "EditedDataset", "EditedRow", "edited_row", "with_rows"]


class Change(NamedTuple):
    """What an edit is to do: `changes` maps names of EDITABLE to new values of the instance at `position`."""

    position: int
    changes: Mapping[str, Any]
    by: str
    proposal: str = ""
    checks: Mapping[str, Any] | None = None


class EditedDataset:
    """A dataset seen through its overlay; positions are those of the dataset, deleted instances included."""

    def __init__(self, dataset: Dataset, overlay: Overlay) -> None:
        self.source = dataset
        self.overlay = overlay
        self._rows: dict[int, EditedRow] = {}
        self._positions: dict[str, int] = {}
        # Changed by others, and noticed while something was written here.
        self._untold: set[int] = set()
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
        """Reads what other workbenches did; returns the positions that changed since this was asked last."""
        changed = self._update(self.overlay.refresh()) | self._untold
        self._untold = set()
        return changed

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

        `changes` maps names of EDITABLE to new values. Raises ValueError for another name or type, and UserError
        where a value can't be written, another workbench changed the instance meanwhile, a proposal was accepted
        before, or nothing can be written.
        """
        return self.edit_all([Change(position, changes, by, proposal, checks)])[0]

    def edit_all(self, changes: Sequence[Change]) -> list[Edit | None]:
        """Makes many edits in one write: all of them, or none where one raises what `edit` does."""
        wanted = [_checked(change.changes) for change in changes]
        seen = {change.position: self.row(change.position).edits for change in changes}
        with self.overlay.appending() as others:
            self._note(others)
            rows = {position: self.row(position) for position in seen}
            for position, row in rows.items():
                if seen[position] != row.edits:
                    raise UserError(
                        f"row {row.source.index}: was changed by another workbench meanwhile; look at it again"
                    )
            made: list[Edit | None] = []
            for change, fields in zip(changes, wanted, strict=True):
                row = rows[change.position]
                if change.proposal and any(edit.proposal == change.proposal for edit in row.edits):
                    raise UserError(f"row {row.source.index}: this proposal was accepted already")
                edit = _edit_of(row, fields, change.by, change.proposal, change.checks)
                made.append(edit)
                if edit is not None:
                    rows[change.position] = edited_row(row.source, [*row.edits, edit])
                    self._positions[edit.id] = change.position
            self._append([edit for edit in made if edit is not None])
        return made

    def undo(self, position: int) -> Edit | None:
        """Takes the latest standing edit of an instance back and returns it; None where none stands.

        Raises UserError where another workbench changed the instance meanwhile, or nothing can be written.
        """
        return self._reverse(position, "undo")

    def redo(self, position: int) -> Edit | None:
        """Puts the edit that was taken back last in force again and returns it; None where there is none."""
        return self._reverse(position, "redo")

    def _reverse(self, position: int, op: Literal["undo", "redo"]) -> Edit | None:
        source = self.source[position]
        seen = self._last(source.id, op)
        with self.overlay.appending() as others:
            self._note(others)
            edit = self._last(source.id, op)
            if edit != seen:
                raise UserError(f"row {source.index}: was changed by another workbench meanwhile; look at it again")
            if edit is not None:
                self.overlay.append(new_reversal(op, edit))
                self._update({source.id})
        return edit

    def _last(self, id: str, op: Literal["undo", "redo"]) -> Edit | None:
        chain = self.overlay.chains.get(id, Chain())
        edits = chain.standing if op == "undo" else chain.undone
        return edits[-1] if edits else None

    def conflicts(self) -> list[Conflict]:
        """Every standing edit that is not applied: its source changed, or the instance is gone."""
        found = [conflict for row in self.edited_positions().values() for conflict in row.conflicts]
        for id, chain in self.overlay.chains.items():
            if id not in self._positions:
                found += [Conflict(edit, "the source no longer holds this instance") for edit in chain.standing]
        return found

    def reapply(self, conflict: Conflict) -> Edit | None:
        """Makes the edit of a conflict anew upon what stands now, in its place; None where that says so already.

        An instance that moved is found by what it says. Raises UserError where it is gone, or the conflict was
        settled meanwhile.
        """
        old = conflict.edit
        with self.overlay.appending() as others:
            self._note(others)
            if all(old.edit != one.edit.edit for one in self.conflicts()):
                raise UserError(f"row {old.index}: this conflict was settled already")
            position = self._moved(old)
            if position is None:
                position = self._positions.get(old.id)
            if position is None:
                raise UserError(f"row {old.index}: the source no longer holds this instance; drop the edit")
            row = self.row(position)
            made = _edit_of(row, _checked(old.after), old.by, old.proposal, old.checks, replaces=old.edit)
            if made is not None:
                self._positions[made.id] = position
            # Both in one write; what replaces an edit of the same instance takes it away by itself.
            drop = [] if made is not None and made.id == old.id else [new_reversal("drop", old)]
            self.overlay.append(*([] if made is None else [made]), *drop)
            self._update({old.id, row.source.id} & self.overlay.chains.keys())
        return made

    def _moved(self, edit: Edit) -> int | None:
        """Where an instance stands that says what an edit was made of: at its own place, or at another."""
        own = self._positions.get(edit.id)
        if own is not None and content_hash(self.source[own]) == edit.of:
            return own
        entries = [one for one in self.overlay.entries if isinstance(one, Edit) and one.id == edit.id]
        known: dict[str, str] = {}
        for one in entries:
            # The first edit of a field found it as the source had it.
            texts = {name: one.before[name] for name in TEXTS if one.of == edit.of and one.before.get(name)}
            known = texts | known
        if not known:
            return None
        import pyarrow.compute as pc

        name = max(known, key=lambda name: len(known[name]))
        hits = pc.equal(self.source.table.column(name), known[name]).fill_null(False).to_numpy()
        found = (int(place) for place in np.flatnonzero(hits))
        return next((place for place in found if content_hash(self.source[place]) == edit.of), None)

    def drop(self, conflict: Conflict) -> None:
        """Gives the edit of a conflict up; `redo` brings it back. Raises UserError where it was settled meanwhile."""
        old = conflict.edit
        with self.overlay.appending() as others:
            self._note(others)
            if not self.overlay.chains.get(old.id, Chain()).holds(old.edit):
                raise UserError(f"row {old.index}: this conflict was settled already")
            self.overlay.append(new_reversal("drop", old))
            self._update({old.id})

    def dataset(self, entries: int | None = None) -> Dataset:
        """The instances as the edits leave them, deleted ones left out.

        With `entries`, after the first so many lines of the overlay only.
        """
        if entries is None:
            return with_rows(self.source, self._rows)
        chains = replay(self.overlay.first(entries))
        places = {id: self._positions[id] for id in chains if id in self._positions}
        rows = {place: edited_row(self.source[place], chains[id].standing) for id, place in places.items()}
        return with_rows(self.source, rows)

    def _append(self, edits: Sequence[Edit]) -> None:
        if edits:
            self.overlay.append(*edits)
            self._update({edit.id for edit in edits})

    def _note(self, ids: Iterable[str]) -> None:
        self._untold |= self._update(ids)

    def _update(self, ids: Iterable[str]) -> set[int]:
        ids = set(ids)
        new = ids - self._positions.keys()
        changed = self._resolve(new, 0) if new else set()
        for id in ids & self._positions.keys():
            position = self._positions[id]
            standing = self.overlay.chains[id].standing if id in self.overlay.chains else ()
            self._rows[position] = edited_row(self.source[position], standing)
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
        places = (np.flatnonzero(hits) + start).tolist()
        found: set[int] = set()
        for position, source in zip(places, self.source.select(places), strict=True):
            # An id that stands twice means its first instance.
            if source.id not in self._positions:
                self._positions[source.id] = position
                self._rows[position] = edited_row(source, self.overlay.chains[source.id].standing)
                found.add(position)
        return found


def _checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an edit. Raises ValueError for what no field can hold, UserError for what no file can."""
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in changes.items()}
    for name, value in values.items():
        if name not in EDITABLE or not fits(name, value):
            raise ValueError(f"{name} is not one of {', '.join(EDITABLE)}, or can't be {value!r}")
    if "instruction" in values and not str(values["instruction"]).strip():
        raise UserError("the instruction can't be empty; delete the instance instead")
    with suppress(TypeError):
        orjson.dumps(values)
        return values
    raise UserError("the text holds half of a surrogate pair, which is no Unicode text; remove that character")


def _edit_of(
    row: EditedRow,
    changes: Mapping[str, Any],
    by: str,
    proposal: str,
    checks: Mapping[str, Any] | None,
    *,
    replaces: str = "",
) -> Edit | None:
    current = row_values(row)
    after = {name: value for name, value in changes.items() if value != current[name]}
    if not after:
        return None
    return new_edit(
        row.source,
        of=content_hash(row.source),
        before={name: current[name] for name in after},
        after=after,
        by=by,
        proposal=proposal,
        checks=checks,
        replaces=replaces,
    )
