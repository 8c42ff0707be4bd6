"""Records written into one file: JSON, JSON lines, CSV, Parquet, or the table of a `datasets` directory."""

import csv
import io
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from itaudit.data.dataset import NATIVE, Dataset
from itaudit.data.formats.base import Format, Record, RowError
from itaudit.data.sources import without_nulls


def _dumps(record: Record, option: int = 0) -> bytes:
    try:
        return orjson.dumps(_plain(record), default=_as_text, option=option)
    except TypeError as error:
        raise RowError(f"{error}; JSON cannot hold it, use .parquet") from error


def _plain(value: Any) -> Any:
    """`value` as it is. Raises RowError for a number that JSON lacks, which would be written as null."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise RowError(f"a column holds {value}, which JSON cannot hold; use .parquet")
    if isinstance(value, dict):
        for item in value.values():
            _plain(item)
    elif isinstance(value, list):
        for item in value:
            _plain(item)
    return value


def _as_text(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"a column holds {type(value).__name__}")


def json(dataset: Dataset, target: Format, file: BinaryIO) -> None:
    records = target.emit(dataset)
    if target.name == "superni":
        tasks = list(records)
        if len(tasks) == 1:
            file.write(task_file(tasks[0]))
            return
        records = iter(tasks)
    separator = b"[\n"
    for record in records:
        file.write(separator + _dumps(record))
        separator = b",\n"
    file.write(b"\n]\n" if separator == b",\n" else b"[]\n")


def task_file(task: Record) -> bytes:
    """A task as its collection keeps it; the name of the file is the name of the task."""
    return _dumps({key: task[key] for key in task if key != "name"}, orjson.OPT_INDENT_2) + b"\n"


def json_lines(dataset: Dataset, target: Format, file: BinaryIO) -> None:
    for record in target.emit(dataset):
        file.write(_dumps(record, orjson.OPT_APPEND_NEWLINE))


def csv_rows(dataset: Dataset, target: Format, file: BinaryIO) -> None:
    # Rows need not have the same columns, so that the header is known only after one pass over them all.
    columns: dict[str, None] = {}
    for record in target.emit(dataset):
        columns.update(dict.fromkeys(record))
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    try:
        writer = csv.writer(text)
        writer.writerow(columns)
        for record in target.emit(dataset):
            writer.writerow([_cell(record.get(column)) for column in columns])
    finally:
        text.detach()


def _cell(value: Any) -> str:
    """Text as it is, nothing for null, anything else as JSON text."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value) if isinstance(value, (Decimal, float)) else _dumps(value).decode()


def table(dataset: Dataset, target: Format) -> pa.Table:
    """The records as columns; those that came with an Arrow type keep it."""
    columns: dict[str, list[Any]] = {}
    kept = set() if target.groups_rows else set(dataset.native_names)
    for count, record in enumerate(target.emit(dataset)):
        for name in record:
            if name not in columns and name not in kept:
                columns[name] = [_ABSENT] * count
        for name, values in columns.items():
            values.append(record.get(name, _ABSENT))
    own = target.nested | target.either
    arrays = {}
    for name in list(columns):
        arrays[name] = _column(columns.pop(name), is_field=name in own)
    for name in dataset.native_names:
        if name in kept:
            arrays[name] = dataset.table.column(NATIVE + name)
    return pa.table(arrays)


_ABSENT = object()


def _column(values: list[Any], *, is_field: bool) -> pa.Array | pa.ChunkedArray:
    """Values as an Arrow column: of a plain type where that loses nothing, of Arrow's JSON type where not.

    The fields of a format may differ in which keys their objects have; null then stands for the missing ones.
    """
    plain = [None if value is _ABSENT else value for value in values]
    try:
        array = pa.array(plain)
    except (pa.ArrowException, OverflowError, UnicodeError):
        array = None
    if array is not None and _storable(array.type):
        if pa.types.is_string(array.type):
            return array
        before, after = plain, array.to_pylist()
        if is_field:
            # A reader takes null for a missing key here, so a null that the source wrote needs the JSON type.
            after = without_nulls(after)
        if _same(before, after):
            return array
    texts = [None if value is _ABSENT else _dumps(value).decode() for value in values]
    return pa.ExtensionArray.from_storage(pa.json_(pa.large_string()), pa.array(texts, pa.large_string()))


def _same(before: list[Any], after: list[Any]) -> bool:
    try:
        return all(
            orjson.dumps(a, option=orjson.OPT_SORT_KEYS) == orjson.dumps(b, option=orjson.OPT_SORT_KEYS)
            for a, b in zip(before, after, strict=True)
        )
    except TypeError:
        # Dates and bytes are no JSON, but Arrow has types for them.
        return before == after


def _storable(type: pa.DataType, *, nested: bool = False) -> bool:
    """Whether Parquet can hold the type: no objects without fields, no lists of nothing but null, no NUL in a name."""
    if pa.types.is_struct(type):
        named = type.num_fields > 0 and all("\0" not in field.name for field in type)
        return named and all(_storable(field.type, nested=True) for field in type)
    if pa.types.is_list(type):
        return _storable(type.value_type, nested=True)
    return not (nested and pa.types.is_null(type))


def parquet(dataset: Dataset, target: Format, file: BinaryIO) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table(dataset, target), file)


WRITERS: dict[str, Callable[[Dataset, Format, BinaryIO], None]] = {
    ".json": json,
    ".jsonl": json_lines,
    ".csv": csv_rows,
    ".parquet": parquet,
}
"""How the instances get into a file, by its suffix; each raises RowError for what the container can't hold."""
