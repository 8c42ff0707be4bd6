"""Which instances a filter selects, in which order, and how they spread over the values of a column."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from itaudit.data.edited import EditedDataset, EditedRow
from itaudit.data.filters import Filter, Term, parse_filter, quoted
from itaudit.data.patch import patch_of
from itaudit.data.searching import FIELDS, Flags, anywhere, defined_by, flags, within_field
from itaudit.data.term_values import column_holds, row_holds
from itaudit.errors import UserError

__all__ = ["Filter", "Positions", "facets", "parse_filter", "quoted", "select", "sorted_positions"]

Positions = npt.NDArray[np.int64]
Progress = Callable[[int, Positions], None]

_SLICE = 32768
"""Instances between two chances to stop: some hundredths of a second where their texts are searched."""
# Python's white space, which RE2's \s is but a part of.
_FILLED = r"[^\s\x0b\x1c-\x1f\x{85}\p{Z}]"

_STATES: Mapping[str, Callable[[EditedRow], bool]] = {
    "edited": lambda row: row.changed,
    "deleted": lambda row: row.deleted,
    "tagged": lambda row: bool(row.tags),
    "flagged": lambda row: bool(row.tags or row.note),
    "conflict": lambda row: bool(row.conflicts),
}


def select(
    edited: EditedDataset,
    measures: pa.Table,
    filter: Filter,
    sort: str | None = None,
    *,
    matched: Iterable[int] | None = None,
    duplicates: Iterable[int] | None = None,
    progress: Progress | None = None,
) -> Positions:
    """Positions of the instances that a filter selects, as their edits leave them; in order, or sorted.

    `measures` correspond to the dataset's first rows; later ones are left out. `sort` is a column, with `-` the
    largest first. `matched` and `duplicates` are what the terms of that name select. `progress` hears now and then
    how many were looked at and which were selected since, and stops the selection by raising. Raises UserError,
    code 2, for a column that is not there, a value that does not fit it, or a term whose positions are not known.
    """
    length = min(len(edited), measures.num_rows)
    if sort is not None:
        _sort_column(measures, sort)
    search = _Search(edited, measures, filter, {"matched": matched, "duplicate": duplicates})
    found = [np.zeros(0, np.int64)]
    for start in range(0, length, _SLICE):
        stop = min(start + _SLICE, length)
        found.append(search.selected(start, stop))
        if progress is not None:
            progress(stop, found[-1])
    positions = np.concatenate(found)
    return positions if sort is None else sorted_positions(edited, measures, positions, sort)


def sorted_positions(edited: EditedDataset, measures: pa.Table, positions: Positions, sort: str) -> Positions:
    """Positions by a column's values, equal ones in the order they came; rows without a value last.

    `sort` is a measure, a column, `id` or `row`, with `-` the largest first. Raises UserError, code 2, for another.
    """
    name, descending = _sort_column(measures, sort)
    if name == "row":
        ascending: Positions = np.sort(positions)
        return ascending[::-1] if descending else ascending
    if name == "id":
        values = edited.source.table.column("id").take(pa.array(positions))
    else:
        values = values_at(edited, measures, name, positions)
    ranks, absent = _ranks(values)
    present = np.flatnonzero(~absent)
    keys = -ranks[present] if descending else ranks[present]
    order = np.concatenate([present[np.argsort(keys, kind="stable")], np.flatnonzero(absent)])
    ordered: Positions = positions[order]
    return ordered


def facets(measures: pa.Table, positions: Positions | None, column: str) -> list[tuple[Any, int]]:
    """The values of a column and how often each stands at the positions (all if None), the most frequent first.

    Equally frequent ones stand in their own order; None counts the rows without a value and stands last. Raises
    UserError, code 2, for a column that is not there.
    """
    values = _column(measures, column)
    if positions is not None:
        values = values.take(pa.array(positions))
    counted = pc.value_counts(values.combine_chunks())
    pairs = zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
    known = [(value, count) for value, count in pairs if value is not None]
    known.sort(key=lambda pair: (-pair[1], pair[0]))
    return [*known, (None, values.null_count)] if values.null_count else known


class _Search:
    """One filter on one dataset; raises UserError for a term that can't be looked for in it."""

    def __init__(
        self,
        edited: EditedDataset,
        measures: pa.Table,
        filter: Filter,
        known: Mapping[str, Iterable[int] | None],
    ) -> None:
        self._source = edited.source
        self._measures = measures
        self._patch = patch_of(edited, measures.schema)
        self._rows = edited.edited_positions()
        self._known = known
        # What is read from texts comes after what is read from numbers, so that fewer texts are read.
        self._quick = [term for term in filter.terms if term.pattern is None]
        self._slow = [term for term in filter.terms if term.pattern is not None]
        self._marked = {term: marked for term in self._quick if (marked := self._marked_positions(term)) is not None}
        self._defined = {t: defined_by(edited.source, t.pattern) for t in self._slow if t.pattern is not None}
        empty = np.zeros(0, np.int64)
        for term in filter.terms:
            self._holds(term, edited.source.table.slice(0, 0), measures.slice(0, 0), empty)

    def selected(self, start: int, stop: int) -> Positions:
        """The positions selected between two."""
        length = stop - start
        positions = np.arange(start, stop, dtype=np.int64)
        found = self._among(self._source.table.slice(start, length), self._measures.slice(start, length), positions)
        first, last = np.searchsorted(self._patch.positions, [start, stop]).tolist()
        if first == last:
            return found
        changed = self._patch.positions[first:last]
        table, measures = self._patch.dataset.table, self._patch.measures
        patched = self._among(table.slice(first, last - first), measures.slice(first, last - first), changed)
        return np.sort(np.concatenate([found[~np.isin(found, changed)], patched]))

    def _among(self, table: pa.Table, measures: pa.Table, positions: Positions) -> Positions:
        left = np.ones(len(positions), dtype=bool)
        for term in self._quick:
            left &= self._holds(term, table, measures, positions) ^ term.negated
        for term in self._slow:
            chosen = np.flatnonzero(left)
            if 2 * len(chosen) > len(left):
                left &= self._holds(term, table, measures, positions) ^ term.negated
            elif len(chosen):
                # Few are left: copying their texts costs less than searching all.
                rows = pa.array(chosen)
                holds = self._holds(term, table.take(rows), measures.take(rows), positions[chosen])
                left[chosen] = holds ^ term.negated
        return positions[left]

    def _holds(self, term: Term, table: pa.Table, measures: pa.Table, positions: Positions) -> Flags:
        if term in self._marked:
            return np.isin(positions, self._marked[term])
        if term.operator == "state":
            return ~flags(pc.match_substring_regex(table.column("response"), _FILLED))
        if term.name in ("row", "index"):
            return row_holds(term, table.column("index"))
        if term.pattern is not None:
            if term.operator == "text":
                return anywhere(table, term.pattern, self._defined[term])
            if term.name in FIELDS:
                return within_field(table, term.name, term.pattern, self._defined[term])
            column = _column(measures, term.name)
            return term.pattern.within(pc.cast(column, pa.large_string()))
        if term.name == "id":
            return column_holds(term, table.column("id"))
        return column_holds(term, _column(measures, term.name))

    def _marked_positions(self, term: Term) -> Positions | None:
        """The positions that a term selects where the workshop knows them; None where rows have to be looked at."""
        if term.name == "tag" and term.operator == ":":
            wanted = set(term.values)
            return _positions(position for position, row in self._rows.items() if wanted & set(row.tags))
        if term.operator != "state" or term.name == "empty":
            return None
        if term.name in self._known:
            known = self._known[term.name]
            if known is None:
                todo = "search first" if term.name == "matched" else "look for duplicates first"
                raise UserError(f"filter: {term.text!r}: nothing is known of it yet; {todo}", code=2)
            return _positions(known)
        state = _STATES[term.name]
        return _positions(position for position, row in self._rows.items() if state(row))


def _positions(values: Iterable[int]) -> Positions:
    return values if isinstance(values, np.ndarray) else np.fromiter(values, np.int64)


def _column(measures: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in measures.column_names:
        names = ", ".join(map(quoted, measures.column_names))
        raise UserError(f"no column {name!r}; columns are {names}; quote what is a text to be found", code=2)
    return measures.column(name)


def _sort_column(measures: pa.Table, sort: str) -> tuple[str, bool]:
    descending = sort.startswith("-")
    name = sort.removeprefix("-")
    if name not in ("row", "id"):
        _column(measures, name)
    return name, descending


def values_at(edited: EditedDataset, measures: pa.Table, name: str, positions: Positions) -> pa.ChunkedArray:
    """The values of a measure or column at positions, of edited instances as they are now."""
    patch = patch_of(edited, measures.schema)
    column = measures.column(name)
    if not len(patch.positions):
        return column.take(pa.array(positions))
    places = np.searchsorted(patch.positions, positions)
    clipped = np.minimum(places, len(patch.positions) - 1)
    changed = patch.positions[clipped] == positions
    both = pa.chunked_array([*column.chunks, *patch.measures.column(name).chunks], column.type)
    return both.take(pa.array(np.where(changed, len(column) + clipped, positions)))


def _ranks(values: pa.ChunkedArray) -> tuple[npt.NDArray[Any], Flags]:
    """Numbers that order as the values do, and which values are none."""
    whole = values.combine_chunks()
    absent = pc.is_null(whole, nan_is_null=True).to_numpy(zero_copy_only=False)
    if pa.types.is_large_string(whole.type) or pa.types.is_string(whole.type):
        encoded = pc.dictionary_encode(whole)
        ranks = np.empty(len(encoded.dictionary), np.int64)
        ranks[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(ranks))
        codes = pc.fill_null(encoded.indices, 0).to_numpy()
        return (ranks[codes] if len(ranks) else np.zeros(len(whole), np.int64)), absent
    numbers = pc.fill_null(pc.cast(whole, pa.int8()) if pa.types.is_boolean(whole.type) else whole, 0)
    return numbers.to_numpy(zero_copy_only=False), absent
