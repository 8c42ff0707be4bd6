"""Text search in a dataset: which instances hold a text or match a regular expression, slice by slice in Arrow."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import regex

from itaudit.data.dataset import Dataset, task_definition
from itaudit.data.edited import EditedRow
from itaudit.data.instance import Instance
from itaudit.errors import UserError

SLICE = 4096
"""Instances looked at between two chances to stop: some milliseconds of work."""
PACE = 0.1
"""Seconds of searching that are told of together: every telling repaints the list."""
_PATIENCE = 0.03
"""Seconds that highlighting may take in one text: some expressions take for ever, and the screen waits."""

_TEXTS = ("id", "instruction", "input", "response", "extra")
_TURNS = ("history", "later")


@dataclass(frozen=True, slots=True)
class Pattern:
    """What is searched for, in any case: a text, or a regular expression."""

    text: str
    regex: bool = False

    def __bool__(self) -> bool:
        return bool(self.text)

    @property
    def shown(self) -> str:
        return f"/{self.text}/" if self.regex else repr(self.text)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where it stands in a text, empty matches left out; as far as a moment's work found it."""
        compiled = _compiled(self)
        found: list[tuple[int, int]] = []
        if compiled is None:
            return found
        try:
            for match in compiled.finditer(text, timeout=_PATIENCE):
                if match.end() > match.start():
                    found.append(match.span())
        except TimeoutError:
            pass
        return found

    def holds(self, column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
        """[rows] whether each text of a column matches; null does not."""
        match = pc.match_substring_regex if self.regex else pc.match_substring
        values = pc.fill_null(match(column, self.text, ignore_case=True), False)
        flags: npt.NDArray[np.bool_] = np.asarray(values).astype(bool)
        return flags


def parse_pattern(typed: str) -> Pattern:
    """`/…/` is a regular expression (RE2's), everything else a text; raises UserError for an expression that is none.

    An expression whose closing slash is not typed yet counts as it stands.
    """
    if not typed.startswith("/") or len(typed) < 2:
        return Pattern(typed)
    text = typed[1:-1] if len(typed) > 2 and typed.endswith("/") else typed[1:]
    try:
        pc.match_substring_regex(pa.array([""]), text, ignore_case=True)
    except pa.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ")
        raise UserError(f"{typed}: not a regular expression: {reason}") from None
    return Pattern(text, regex=True)


def matching_positions(
    dataset: Dataset,
    pattern: Pattern,
    *,
    start: int = 0,
    edits: Mapping[int, EditedRow] = MappingProxyType({}),
    slice_size: int = SLICE,
    pace: float = PACE,
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Searches from a position on; now and then, the position reached and the positions that match since.

    Every text of an instance counts: its fields, its other turns, its id and its extra columns; of an instance
    with edits, those that the edits leave.
    """
    if not pattern:
        return
    defined = _records_defined_by(dataset, pattern)
    changed = {position: row for position, row in edits.items() if row.changed}
    found: list[npt.NDArray[np.int64]] = []
    told = time.monotonic()
    first = True
    for begin in range(start, len(dataset), slice_size):
        part = dataset.table.slice(begin, slice_size)
        flags = _matching(part, pattern, defined)
        for position, row in changed.items():
            if begin <= position < begin + part.num_rows:
                flags[position - begin] = any(pattern.spans(text) for text in _texts_of(row.instance))
        found.append(np.flatnonzero(flags) + begin)
        end = begin + part.num_rows
        if first or end == len(dataset) or time.monotonic() - told >= pace:
            yield end, np.concatenate(found)
            first, found, told = False, [], time.monotonic()


def _matching(part: pa.Table, pattern: Pattern, defined: list[int]) -> npt.NDArray[np.bool_]:
    found = np.zeros(part.num_rows, dtype=bool)
    for name in _TEXTS:
        found |= pattern.holds(part.column(name))
    for name in _TURNS:
        found |= _turns_hold(part.column(name), pattern)
    for name in part.column_names:
        if name.startswith("extra:") and _is_text(part.schema.field(name).type):
            found |= pattern.holds(part.column(name))
    if defined:
        inherited = pc.and_(pc.is_null(part["instruction"]), pc.is_in(part["record"], pa.array(defined)))
        found |= inherited.to_numpy().astype(bool)
    return found


def _texts_of(instance: Instance) -> Iterator[str]:
    yield instance.id
    for message in instance.messages:
        yield message.content
    yield from (value for value in instance.extra.values() if isinstance(value, str))


def _records_defined_by(dataset: Dataset, pattern: Pattern) -> list[int]:
    """The tasks whose definition matches; their instances keep no copy of it."""
    return [record for record, task in dataset.tasks.items() if pattern.spans(task_definition(task))]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _turns_hold(column: pa.ChunkedArray, pattern: Pattern) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(column), dtype=bool)
    if column.null_count == len(column):
        return found
    whole = column.combine_chunks()
    contents = pc.struct_field(pc.list_flatten(whole), "content")
    parents = pc.list_parent_indices(whole).to_numpy()
    found[parents[pattern.holds(contents)]] = True
    return found


@lru_cache(maxsize=8)
def _compiled(pattern: Pattern) -> Any:
    """The expression that highlights by; None where RE2 knows it and Python's dialect does not."""
    try:
        return regex.compile(pattern.text if pattern.regex else re.escape(pattern.text), regex.IGNORECASE)
    except regex.error:
        return None
