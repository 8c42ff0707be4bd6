"""The search of the dataset screen: what a typed text looks for, and where it is, as far as was looked."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from itaudit.data.dataset import Dataset
from itaudit.data.edited import EditedRow, with_rows

if TYPE_CHECKING:
    from itaudit.data.searching import Pattern

SLICE = 4096
"""Instances looked at between two chances to stop: some milliseconds of work."""


def parse_pattern(typed: str) -> "Pattern | None":
    """`/…/` is a regular expression, everything else a text, nothing is None; raises UserError for a broken one.

    An expression whose closing slash is not typed yet counts as it stands.
    """
    from itaudit.data.searching import Pattern

    if not typed or typed == "/":
        return None
    if not typed.startswith("/"):
        return Pattern(typed)
    return Pattern(typed[1:-1] if len(typed) > 2 and typed.endswith("/") else typed[1:], regex=True)


def pattern_text(pattern: "Pattern") -> str:
    """A pattern as it is told."""
    return f"/{pattern.text}/" if pattern.regex else repr(pattern.text)


def matching_positions(
    dataset: Dataset,
    pattern: "Pattern",
    *,
    start: int = 0,
    edits: Mapping[int, EditedRow] = MappingProxyType({}),
    slice_size: int = SLICE,
    pace: float = 0.0,
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Searches from a position on; every `pace` seconds, the position reached and the positions that match since.

    Every text of an instance counts; of one in `edits`, by position, those that the edits leave.
    """
    from itaudit.data.searching import anywhere, defined_by

    defined = defined_by(dataset, pattern)
    changed, holding = _edited(dataset, pattern, edits, defined)
    found: list[npt.NDArray[np.int64]] = []
    told = 0.0
    for begin in range(start, len(dataset), slice_size):
        part = dataset.table.slice(begin, slice_size)
        end = begin + part.num_rows
        flags = anywhere(part, pattern, defined)
        inside = slice(*np.searchsorted(changed, [begin, end]))
        flags[changed[inside] - begin] = holding[inside]
        found.append(np.flatnonzero(flags) + begin)
        if end == len(dataset) or time.monotonic() - told >= pace:
            yield end, np.concatenate(found)
            found, told = [], time.monotonic()


def _edited(
    dataset: Dataset, pattern: "Pattern", edits: Mapping[int, EditedRow], defined: list[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The positions of instances that edits changed, ascending, and whether each holds the pattern now."""
    from itaudit.data.searching import anywhere

    rows = {position: row for position, row in sorted(edits.items()) if row.changed and position < len(dataset)}
    # Deleted ones are found like all others.
    kept = {number: replace(row, deleted=False) for number, row in enumerate(rows.values())}
    table = with_rows(dataset.select(list(rows)), kept).table
    return np.array(list(rows), dtype=np.int64), anywhere(table, pattern, defined)
