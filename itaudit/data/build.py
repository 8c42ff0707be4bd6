"""Rows gathered into a dataset: numbered, checked, the bad ones set aside."""

from typing import Any

import orjson
import pyarrow as pa

from itaudit.data.dataset import NATIVE, SCHEMA, Dataset, Rejection
from itaudit.data.formats.base import Format, Record, Row, RowError
from itaudit.data.instance import Message
from itaudit.data.sources import Bad, Batch


class Builder:
    """Takes batches of records in the order of the source and makes parts of a dataset of them.

    `task_names` are the names of task files, which name their tasks.
    """

    def __init__(self, format: Format, turn: int, *, path: str, task_names: list[str] | None = None) -> None:
        self._format = format
        self._turn = turn
        self._path = path
        self._names = task_names or []
        self._columns: list[list[Any]] = [[] for _ in SCHEMA]
        self._native: list[pa.Table] = []
        self._rejected: list[Rejection] = []
        self._tasks: dict[int, Record] = {}
        self._ids: set[str] = set()
        # Which rows were numbered for want of an id: one byte a row.
        self._numbered = bytearray()
        self._index = 0
        self._record = 0
        self._accepted = 0
        self.weight = 0
        """Characters of the rows that are in no part yet, roughly."""

    def add(self, batch: Batch) -> None:
        """Parses a batch; the columns that keep their Arrow type follow the rows that are accepted."""
        records, native = batch
        native_names = frozenset(native.column_names) if native is not None else frozenset()
        kept: list[int] = []
        for number, record in enumerate(records):
            if isinstance(record, Bad):
                self._reject(record.reason)
            else:
                parsed = self._format.parse(record, self._turn)
                if parsed.task is not None:
                    name = self._names[self._record] if self._record < len(self._names) else f"task{self._record}"
                    self._tasks[self._record] = {**parsed.task, "name": name}
                for row in parsed.rows:
                    if self._take(row, native_names):
                        kept.append(number)
            self._record += 1
        if native is not None:
            self._native.append(native if len(kept) == len(native) else native.take(pa.array(kept, pa.int64())))

    @property
    def rows(self) -> int:
        """How many rows were seen, rejected ones included."""
        return self._index

    @property
    def waiting(self) -> int:
        """How many accepted rows are in no part yet."""
        return len(self._columns[0])

    def part(self) -> Dataset:
        """What was added since the last part; its `explicit_ids` counts the earlier parts too, its hash is empty."""
        table = pa.Table.from_arrays(
            [pa.array(values, field.type) for values, field in zip(self._columns, SCHEMA, strict=True)],
            schema=SCHEMA,
        )
        if self._native:
            native = pa.concat_tables(self._native, promote_options="permissive").combine_chunks()
            for name in native.column_names:
                table = table.append_column(NATIVE + name, native.column(name))
        part = Dataset(
            table,
            path=self._path,
            format=self._format.name,
            sha256="",
            rejected=tuple(self._rejected),
            explicit_ids=self._accepted > 0 and len(self._ids) == self._accepted,
            tasks=self._tasks,
        )
        self._columns = [[] for _ in SCHEMA]
        self.weight = 0
        self._native, self._rejected, self._tasks = [], [], {}
        return part

    def _reject(self, reason: str) -> None:
        self._rejected.append(Rejection(self._index, reason))
        self._numbered.append(False)
        self._index += 1

    def _take(self, row: Row | RowError, native_names: frozenset[str]) -> bool:
        try:
            if isinstance(row, RowError):
                raise row
            if row.instruction is not None and not row.instruction.strip():
                raise RowError("the instruction is empty")
            if row.id is not None and row.id in self._ids:
                raise RowError(f"the id {row.id[:80]!r} is taken by an earlier row")
            extra = _json({k: v for k, v in row.extra.items() if k not in native_names})
            shape = _json(row.shape) if row.shape else None
        except RowError as error:
            self._reject(str(error))
            return False
        if row.id is not None:
            self._ids.add(row.id)
        values = (
            self._index,
            self._id(row.id),
            row.instruction,
            row.input,
            row.response,
            _turns(row.history),
            _turns(row.later),
            None if row.references == [row.response] else row.references,
            extra,
            shape,
            self._record,
        )
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        self.weight += len(row.input) + len(row.response or "") + len(extra or "")
        for message in (*row.history, *row.later):
            self.weight += len(message.content)
        self._numbered.append(row.id is None)
        self._index += 1
        self._accepted += 1
        return True

    def _id(self, own: str | None) -> str:
        """A row's own id, or its number; told apart where one row's number is another row's id."""
        id = str(self._index) if own is None else own
        if own is None:
            taken = id in self._ids
        else:
            number = int(own) if own.isascii() and own.isdigit() and len(own) < 19 else len(self._numbered)
            taken = str(number) == own and number < len(self._numbered) and bool(self._numbered[number])
        return f"{id}#{self._index}" if taken else id


def _json(value: Record) -> str | None:
    if not value:
        return None
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        raise RowError(f"holds what JSON cannot: {error}") from error


def _turns(messages: tuple[Message, ...]) -> list[dict[str, str]] | None:
    return [{"role": m.role, "content": m.content} for m in messages] if messages else None
