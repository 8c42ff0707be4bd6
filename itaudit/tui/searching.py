"""Text search in a dataset: which instances hold a text, found slice by slice in the Arrow columns."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from itaudit.data.dataset import Dataset, task_definition

SLICE = 4096
"""Instances looked at between two chances to stop: some milliseconds of work."""

_TEXTS = ("id", "instruction", "input", "response", "extra")
_TURNS = ("history", "later")


def matching_positions(dataset: Dataset, text: str, *, slice_size: int = SLICE) -> Iterator[tuple[int, list[int]]]:
    """Searches case-insensitively; after each slice, the position reached and the positions in it that match.

    Every text of an instance counts: its fields, its other turns, its id and its extra columns.
    """
    if not text:
        return
    defined = _records_defined_by(dataset, text)
    for start in range(0, len(dataset), slice_size):
        part = dataset.table.slice(start, slice_size)
        found = np.zeros(part.num_rows, dtype=bool)
        for name in _TEXTS:
            found |= _holds(part.column(name), text)
        for name in _TURNS:
            found |= _turns_hold(part.column(name), text)
        for name in part.column_names:
            if name.startswith("extra:") and _is_text(part.schema.field(name).type):
                found |= _holds(part.column(name), text)
        if defined:
            inherited = pc.and_(pc.is_null(part["instruction"]), pc.is_in(part["record"], pa.array(defined)))
            found |= _flags(inherited)
        yield min(start + slice_size, len(dataset)), (np.flatnonzero(found) + start).tolist()


def _records_defined_by(dataset: Dataset, text: str) -> list[int]:
    """The tasks whose definition holds the text; their instances keep no copy of it."""
    wanted = text.casefold()
    return [record for record, task in dataset.tasks.items() if wanted in task_definition(task).casefold()]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _holds(column: pa.ChunkedArray, text: str) -> npt.NDArray[np.bool_]:
    return _flags(pc.match_substring(column, text, ignore_case=True))


def _flags(values: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    flags: npt.NDArray[np.bool_] = pc.fill_null(values, False).to_numpy().astype(bool)
    return flags


def _turns_hold(column: pa.ChunkedArray, text: str) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(column), dtype=bool)
    if column.null_count == len(column):
        return found
    whole = column.combine_chunks()
    contents = pc.struct_field(pc.list_flatten(whole), "content")
    parents = pc.list_parent_indices(whole).to_numpy()
    hits = pc.fill_null(pc.match_substring(contents, text, ignore_case=True), False)
    found[parents[hits.to_numpy(zero_copy_only=False)]] = True
    return found
