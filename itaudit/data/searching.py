"""Texts and regular expressions in a dataset: which instances hold them, found slice by slice in the Arrow columns.

Regular expressions are RE2's, whose time grows with the text alone, so that no pattern can hang a screen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from itaudit.data.dataset import NATIVE, Dataset, task_definition
from itaudit.errors import UserError

SLICE = 4096
"""Instances looked at between two chances to stop: some milliseconds of work."""

Flags = npt.NDArray[np.bool_]

_TEXTS = ("id", "instruction", "input", "response")
_TURNS = ("history", "later")
FIELDS = (*_TEXTS, "prompt", *_TURNS)
"""The parts of an instance that a pattern can be looked for in; the prompt is the instruction and the input."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text or a regular expression, case ignored (`(?-i)` in an expression minds it).

    Raises UserError for an expression that RE2 does not know.
    """

    text: str
    regex: bool = False

    def __post_init__(self) -> None:
        if self.regex:
            try:
                pc.match_substring_regex(pa.array([""]), self.text, ignore_case=True)
            except pa.ArrowInvalid as error:
                reason = str(error).removeprefix("Invalid regular expression: ")
                raise UserError(
                    f"/{self.text}/ can't be searched for: {reason}; the syntax is RE2's, without lookaround"
                    " and backreferences",
                    code=2,
                ) from None

    def within(self, texts: pa.Array | pa.ChunkedArray) -> Flags:
        """Which of the texts hold it; null holds nothing."""
        found = (
            pc.match_substring_regex(texts, self.text, ignore_case=True)
            if self.regex
            else pc.match_substring(texts, self.text, ignore_case=True)
        )
        return flags(found)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where it stands in a text: half-open character offsets, in order; empty matches are left out."""
        # RE2 itself marks its matches, since Python's own expressions differ and may take forever.
        marks = [mark for mark in map(chr, range(0xE000, 0xE100)) if mark not in text][:2]
        if len(marks) < 2:
            return []
        opening, closing = marks
        expression = self.text if self.regex else "".join(rf"\x{{{ord(character):x}}}" for character in self.text)
        replaced: str = pc.replace_substring_regex(
            pa.scalar(text), pattern=f"(?i){expression}", replacement=rf"{opening}\0{closing}"
        ).as_py()
        before, *pieces = replaced.split(opening)
        found, position = [], len(before)
        for piece in pieces:
            inside, _, after = piece.partition(closing)
            if inside:
                found.append((position, position + len(inside)))
            position += len(inside) + len(after)
        return found


def flags(values: pa.Array | pa.ChunkedArray) -> Flags:
    """Truth values as an array, null as false."""
    found: Flags = pc.fill_null(values, False).to_numpy(zero_copy_only=False).astype(bool, copy=False)
    return found


def matching_positions(
    dataset: Dataset, text: str | Pattern, *, slice_size: int = SLICE
) -> Iterator[tuple[int, list[int]]]:
    """Searches all texts; after each slice, the position reached and the positions in it that match.

    Every text of an instance counts: its fields, its other turns, its id and its extra columns.
    """
    pattern = Pattern(text) if isinstance(text, str) else text
    if not pattern.text:
        return
    defined = defined_by(dataset, pattern)
    for start in range(0, len(dataset), slice_size):
        part = dataset.table.slice(start, slice_size)
        found = anywhere(part, pattern, defined)
        yield min(start + slice_size, len(dataset)), (np.flatnonzero(found) + start).tolist()


def anywhere(table: pa.Table, pattern: Pattern, defined: list[int]) -> Flags:
    """Which rows of a dataset's table hold the pattern in any text; `defined` is what `defined_by` gives."""
    found = within_field(table, "instruction", pattern, defined)
    for name in ("id", "input", "response", *_TURNS):
        found |= within_field(table, name, pattern, defined)
    for name in table.column_names:
        if name.startswith(NATIVE) and _is_text(table.schema.field(name).type):
            found |= pattern.within(table.column(name))
    left = np.flatnonzero(~found)
    if len(left) and table.column("extra").null_count < len(table):
        found[left] = _within_extra(table.column("extra").take(pa.array(left)), pattern)
    return found


def within_field(table: pa.Table, field: str, pattern: Pattern, defined: list[int]) -> Flags:
    """Which rows hold the pattern in one of FIELDS."""
    if field == "prompt":
        found = within_field(table, "instruction", pattern, defined)
        found |= pattern.within(table.column("input"))
        return found
    if field in _TURNS:
        return _turns_hold(table.column(field), pattern)
    found = pattern.within(table.column(field))
    if field == "instruction" and defined:
        inherited = pc.and_(pc.is_null(table["instruction"]), pc.is_in(table["record"], pa.array(defined, pa.int64())))
        found |= flags(inherited)
    return found


def defined_by(dataset: Dataset, pattern: Pattern) -> list[int]:
    """The tasks whose definition holds the pattern; their instances keep no copy of it."""
    records = list(dataset.tasks)
    definitions = pa.array([task_definition(dataset.tasks[record]) for record in records], pa.large_string())
    return [record for record, holds in zip(records, pattern.within(definitions).tolist(), strict=True) if holds]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _turns_hold(column: pa.ChunkedArray, pattern: Pattern) -> Flags:
    found = np.zeros(len(column), dtype=bool)
    if column.null_count == len(column):
        return found
    whole = column.combine_chunks()
    contents = pc.struct_field(pc.list_flatten(whole), "content")
    parents = pc.list_parent_indices(whole).to_numpy()
    found[parents[pattern.within(contents)]] = True
    return found


def _within_extra(column: pa.ChunkedArray, pattern: Pattern) -> Flags:
    """Which JSON objects hold the pattern in a text of theirs; names of columns don't count."""
    if pattern.regex:
        candidates = np.flatnonzero(flags(pc.is_valid(column)))
    else:
        # As JSON writes it, which may also hit a name: what is left is read.
        candidates = np.flatnonzero(Pattern(orjson.dumps(pattern.text).decode()[1:-1]).within(column))
    found = np.zeros(len(column), dtype=bool)
    texts: list[str] = []
    owners: list[int] = []
    for position, text in zip(candidates.tolist(), column.take(pa.array(candidates)).to_pylist(), strict=True):
        for leaf in _leaves(orjson.loads(text)):
            texts.append(leaf)
            owners.append(position)
    if texts:
        hits = pattern.within(pa.array(texts, pa.large_string()))
        found[np.array(owners, np.int64)[hits]] = True
    return found


def _leaves(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)
