"""A dataset written as a file or folder, in any format that can hold it."""

import csv
import io
import re
import shutil
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from itaudit.atomic import replacing
from itaudit.data import formats as known
from itaudit.data.dataset import NATIVE, Dataset
from itaudit.data.formats.base import Format, Record, RowError
from itaudit.data.sources import shown, without_nulls
from itaudit.errors import UserError

_SUFFIXES = (".json", ".jsonl", ".csv", ".parquet", "")


def formats() -> tuple[str, ...]:
    """The names of the formats that `write` and `load` know."""
    return known.names()


def write(dataset: Dataset, out: Path, *, format: str, overwrite: bool = False) -> None:
    """Writes the instances to `out`, whose suffix is the container: .json, .jsonl, .csv or .parquet.

    Without a suffix `out` is a folder: a `datasets` directory, or task files for `superni`. What stands
    there stays unless `overwrite` is set, and until the new file is whole. Raises UserError where the format
    cannot hold what an instance says (earlier turns, no response, a column named like a field), where a value
    has no place in the container, and where `out` cannot be written.
    """
    target = known.named(format)
    suffix = out.suffix.lower()
    if suffix not in _SUFFIXES:
        wanted = "use .json, .jsonl, .csv, .parquet or a folder"
        raise UserError(f"{shown(out)}: no container ends in {suffix!r}; {wanted}", code=2)
    _check_place(dataset, out, overwrite)
    _check_fit(dataset, target)
    try:
        if suffix == "":
            _write_folder(dataset, out, target)
        else:
            writer = {".json": _json, ".jsonl": _json_lines, ".csv": _csv, ".parquet": _parquet}[suffix]
            with replacing(out) as file:
                writer(dataset, target, file)
    except RowError as error:
        raise UserError(f"{shown(out)}: cannot be written as {format}: {error}") from error
    except OSError as error:
        raise UserError(f"{shown(out)}: cannot be written: {error.strerror or error}") from error


def _check_place(dataset: Dataset, out: Path, overwrite: bool) -> None:
    if not out.absolute().parent.is_dir():
        raise UserError(f"{shown(out)}: there is no folder {shown(out.absolute().parent)}; make it first")
    if not out.exists():
        return
    if str(out.resolve()) == str(Path(dataset.path).resolve()):
        raise UserError(f"{shown(out)}: is the source itself, which is never written; choose another name")
    if not overwrite:
        raise UserError(f"{shown(out)}: exists already; choose another name, or overwrite it with --force")
    if out.is_dir() != (out.suffix == "") or (out.is_dir() and not _is_ours(out)):
        raise UserError(f"{shown(out)}: stands there and is no dataset to overwrite; choose another name")


def _is_ours(folder: Path) -> bool:
    """Whether a folder is nothing but a dataset that this module could have written."""
    entries = list(folder.iterdir())
    saved = (folder / "state.json").exists() and all(e.suffix in (".json", ".arrow") for e in entries)
    return saved or all(entry.suffix == ".json" and entry.is_file() for entry in entries)


def _check_fit(dataset: Dataset, target: Format) -> None:
    def first(condition: pa.ChunkedArray) -> int | None:
        position = pc.index(condition, True).as_py()
        return None if position < 0 else int(dataset.table.column("index")[position].as_py())

    table = dataset.table
    if not target.multi_turn:
        turns = pc.or_(pc.is_valid(table.column("history")), pc.is_valid(table.column("later")))
        row = first(turns)
        if row is not None:
            raise UserError(
                f"row {row} has more than one turn or a system message, which {target.name} cannot hold;"
                " use messages, sharegpt or prompt-completion"
            )
    if target.has_response:
        row = first(pc.is_null(table.column("response")))
        if row is not None:
            raise UserError(f"row {row} has no response, which {target.name} needs; use prompts")


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


def _json(dataset: Dataset, target: Format, file: BinaryIO) -> None:
    records = target.emit(dataset)
    if target.name == "superni":
        tasks = list(records)
        if len(tasks) == 1:
            file.write(_task_file(tasks[0]))
            return
        records = iter(tasks)
    separator = b"[\n"
    for record in records:
        file.write(separator + _dumps(record))
        separator = b",\n"
    file.write(b"\n]\n" if separator == b",\n" else b"[]\n")


def _task_file(task: Record) -> bytes:
    """A task as its collection keeps it; the name of the file is the name of the task."""
    return _dumps({key: task[key] for key in task if key != "name"}, orjson.OPT_INDENT_2) + b"\n"


def _json_lines(dataset: Dataset, target: Format, file: BinaryIO) -> None:
    for record in target.emit(dataset):
        file.write(_dumps(record, orjson.OPT_APPEND_NEWLINE))


def _csv(dataset: Dataset, target: Format, file: BinaryIO) -> None:
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


def _table(dataset: Dataset, target: Format) -> pa.Table:
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
    """Whether Parquet can hold the type: no objects without fields, no lists of nothing but null."""
    if pa.types.is_struct(type):
        return type.num_fields > 0 and all(_storable(field.type, nested=True) for field in type)
    if pa.types.is_list(type):
        return _storable(type.value_type, nested=True)
    return not (nested and pa.types.is_null(type))


def _parquet(dataset: Dataset, target: Format, file: BinaryIO) -> None:
    import pyarrow.parquet as pq

    pq.write_table(_table(dataset, target), file)


def _write_folder(dataset: Dataset, out: Path, target: Format) -> None:
    """Makes the folder beside `out`, then puts it in its place."""
    made, old = (out.absolute().parent / f".{out.name}.{uuid4().hex}" for _ in range(2))
    made.mkdir()
    try:
        if target.name == "superni":
            _task_files(dataset, target, made)
        else:
            from itaudit.data import hub

            hub.save(_table(dataset, target), made)
        if out.exists():
            out.replace(old)
        made.replace(out)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _task_files(dataset: Dataset, target: Format, folder: Path) -> None:
    for number, task in enumerate(target.emit(dataset)):
        name = re.sub(r"[/\0]", "_", str(task.get("name", f"task{number}"))).lstrip(".")
        path = folder / f"{name}.json"
        if not name or path.exists():
            path = folder / f"{name}-{number}.json"
        path.write_bytes(_task_file(task))
