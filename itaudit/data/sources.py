"""Where records come from: files of text, and Arrow tables."""

import csv
import hashlib
import io
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

import orjson
import pyarrow as pa

from itaudit.data import strict_json
from itaudit.data.formats.base import Format, Record, kind
from itaudit.errors import UserError
from itaudit.sanitize import visible

BATCH = 8192
"""Rows of an Arrow table that are read at once."""
_STEP = 256
"""Records in a batch: few, so that first rows come early."""
_SAMPLE = 100
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that cannot be read, and why."""

    reason: str


Batch = tuple[list[Record | Bad], pa.Table | None]


class Source(Protocol):
    """Records in batches, with the columns that keep their Arrow type beside them where there are any."""

    def samples(self) -> list[Iterable[str]]:
        """The keys of some records, to tell the format by; empty if no record could be read."""

    def read(self, format: Format) -> Iterator[Batch]:
        """All records, with nested cells decoded for `format`."""


class HashedFile(io.RawIOBase):
    """A file whose bytes are hashed and counted while they are read, so that it is read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = 0
        self._file = path.open("rb", buffering=0)
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self._digest.update(memoryview(buffer)[:count])
        self.done += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def buffered(self) -> io.BufferedReader:
        """The file as lines and blocks."""
        return io.BufferedReader(self, _BUFFER)

    def sha256(self) -> str:
        """The SHA-256 of what was read."""
        return self._digest.hexdigest()


class TextSource:
    """Records of a JSON or CSV file, read as they are asked for."""

    def __init__(self, records: Iterator[Record | Bad], *, cells: bool = False) -> None:
        self._head = list(islice(records, _SAMPLE))
        self._records = chain(self._head, records)
        self._cells = cells

    def samples(self) -> list[Iterable[str]]:
        return [record for record in self._head if not isinstance(record, Bad)]

    @property
    def first_fault(self) -> str | None:
        """What is wrong with the first record, if anything is."""
        first = self._head[0] if self._head else None
        return first.reason if isinstance(first, Bad) else None

    def read(self, format: Format) -> Iterator[Batch]:
        self._head = []
        step = _step(format)
        while batch := list(islice(self._records, step)):
            yield ([decode_cells(record, format) for record in batch] if self._cells else batch), None


class ArrowSource:
    """Records of Arrow tables that share a schema."""

    def __init__(self, schema: pa.Schema, tables: Iterator[pa.Table]) -> None:
        self._schema = schema
        self._tables = tables

    def samples(self) -> list[Iterable[str]]:
        return [self._schema.names]

    def read(self, format: Format) -> Iterator[Batch]:
        names = self._schema.names
        # JSON columns hold what no single Arrow type can; their values join the record as if read from JSON.
        json = {name for name in names if is_json(self._schema.field(name).type)}
        claimed = {name for name in names if format.claims is None or name in format.claims}
        if "references" in names and _is_texts(self._schema.field("references").type):
            claimed.add("references")
        native = [name for name in names if name not in claimed | json]
        needed = [name for name in names if name in claimed | json | {"id", "question_id"}]
        step = _step(format)
        for table in (whole.slice(start, step) for whole in self._tables for start in range(0, len(whole), step)):
            columns = {name: table.column(name).to_pylist() for name in needed}
            records: list[Record | Bad] = []
            for number in range(table.num_rows):
                record = {}
                for name in needed:
                    value = columns[name][number]
                    if name in json:
                        if value is None:
                            continue
                        value = orjson.loads(value) if isinstance(value, (str, bytes)) else value
                    elif name in claimed and isinstance(value, (list, dict)):
                        value = without_nulls(value)
                    elif value is None and format.claims is None:
                        continue
                    record[name] = value
                records.append(decode_cells(record, format))
            yield records, table.select(native).replace_schema_metadata(None)


def _step(format: Format) -> int:
    """Records in a batch; one where a record may hold thousands of rows."""
    return 1 if format.groups_rows else _STEP


def is_json(type: pa.DataType) -> bool:
    """Whether a column is of Arrow's JSON extension type."""
    return bool(getattr(type, "extension_name", None) == "arrow.json")


def _is_texts(type: pa.DataType) -> bool:
    is_list = pa.types.is_list(type) or pa.types.is_large_list(type)
    return bool(is_list and (pa.types.is_string(type.value_type) or pa.types.is_large_string(type.value_type)))


def without_nulls(value: Any) -> Any:
    """`value` without the null fields of its objects: Arrow gives all structs of a column the same fields."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def decode_cells(record: Record | Bad, format: Format) -> Record | Bad:
    """`record` with the JSON text in its nested columns read."""
    if isinstance(record, Bad):
        return record
    for column in format.nested & record.keys():
        cell = record[column]
        if cell == "":
            # What one task says and another does not leaves a cell with nothing in it.
            del record[column]
        elif isinstance(cell, str):
            if column == "Definition" and not cell.startswith("["):
                continue
            try:
                record[column] = strict_json.loads(cell.encode())
            except strict_json.BadJson as error:
                return Bad(f"{column!r} is not JSON text: {error}")
    if format.either and all(isinstance(record.get(column), str) for column in format.either):
        lists = {column: _message_list(record[column]) for column in format.either}
        if all(lists.values()):
            record |= lists
    return record


def _message_list(cell: str) -> list[Any] | None:
    """The messages that a cell holds as JSON text, or None if it is just text."""
    if not cell.startswith("[{"):
        return None
    try:
        value = strict_json.loads(cell.encode())
    except strict_json.BadJson:
        return None
    is_messages = all(isinstance(item, dict) and {"role", "content"} <= item.keys() for item in value)
    return value if is_messages else None


def json_lines(file: HashedFile) -> Iterator[Record | Bad]:
    """The records of a JSON lines file, blank lines apart. Raises UserError where it is not UTF-8."""
    offset = 0
    with file.buffered() as lines:
        for number, line in enumerate(lines, 1):
            body = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not body.isspace() and body:
                try:
                    value = strict_json.loads(body)
                except strict_json.BadJson as error:
                    column = error.place.partition("column ")[2]
                    yield Bad(f"line {number}{f' column {column}' if column else ''}: {error.reason}")
                except UnicodeDecodeError as error:
                    byte = offset + len(line) - len(body) + error.start
                    raise not_utf8(file.path, byte) from error
                else:
                    yield value if type(value) is dict else Bad(f"is {kind(value)}, expected an object")
            offset += len(line)


def json_array(file: HashedFile) -> Iterator[Record | Bad]:
    """The records of a JSON array. Raises UserError where it is broken or not UTF-8."""
    try:
        with file.buffered() as content:
            for value in strict_json.elements(content):
                if isinstance(value, strict_json.BadJson):
                    yield Bad(str(value))
                else:
                    yield value if type(value) is dict else Bad(f"is {kind(value)}, expected an object")
    except strict_json.BadJson as error:
        raise UserError(f"{shown(file.path)}: {error}; write the file again, or mend it there") from error
    except UnicodeDecodeError as error:
        raise not_utf8(file.path, bad_byte(file.path) or 0) from error


def json_object(path: Path) -> Record:
    """The one object that a file holds. Raises UserError where it is broken or not UTF-8."""
    try:
        value = strict_json.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except strict_json.BadJson as error:
        raise UserError(f"{shown(path)}: {error}; write the file again, or mend it there") from error
    except UnicodeDecodeError as error:
        raise not_utf8(path, bad_byte(path) or 0) from error
    if not isinstance(value, dict):
        raise UserError(f"{shown(path)}: holds {kind(value)}, expected an object or an array of objects")
    return value


def csv_rows(source: HashedFile) -> Iterator[Record | Bad]:
    """The rows of a CSV file, all cells text. Raises UserError where quotes are broken or it is not UTF-8."""
    # The limit belongs to the whole process; a long response is no reason to refuse a file.
    csv.field_size_limit(sys.maxsize)
    path = source.path
    with io.TextIOWrapper(source.buffered(), encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next((row for row in reader if row), [])
            if len(set(header)) < len(header):
                twice = next(name for name in header if header.count(name) > 1)
                raise UserError(f"{shown(path)}: two columns are named {twice!r}; rename one")
            for row in reader:
                if len(row) == len(header):
                    yield dict(zip(header, row, strict=True))
                elif row:
                    counts = f"has {len(row)} cells where the header names {len(header)}"
                    yield Bad(f"line {reader.line_num}: {counts}")
        except csv.Error as error:
            place = f"line {reader.line_num}"
            raise UserError(f"{shown(path)}: {place}: broken CSV ({error}); check its quotes") from error
        except UnicodeDecodeError as error:
            raise not_utf8(path, bad_byte(path) or 0) from error


def parquet(path: Path) -> ArrowSource:
    """The rows of a Parquet file. Raises UserError if it is none or is damaged."""
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error

    def tables() -> Iterator[pa.Table]:
        try:
            for batch in file.iter_batches(batch_size=BATCH):
                yield pa.Table.from_batches([batch])
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from error

    return ArrowSource(schema, tables())


def _damaged(path: Path, error: Exception) -> UserError:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UserError(f"{shown(path)}: damaged Parquet file ({visible(first[:120])}); fetch or write it again")


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(folder: Path, files: Iterable[Path]) -> str:
    """One SHA-256 for files of a folder: of their sorted relative names and their bytes."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape") + b"\0")
        digest.update(bytes.fromhex(file_sha256(path)))
    return digest.hexdigest()


def bad_byte(path: Path) -> int | None:
    """The offset of the first byte that is not UTF-8, or None if all are."""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return offset + error.start
            offset += len(line)
    return None


def not_utf8(path: Path, byte: int) -> UserError:
    """What to say of a text file in another encoding."""
    return UserError(f"{shown(path)}: byte {byte} is not UTF-8; convert the file, e.g. iconv -f LATIN1 -t UTF-8")


def shown(path: Path) -> str:
    """A path as text that is safe to print on one line."""
    return visible(str(path))
