"""Rows gathered into a dataset: numbered, checked, the bad ones set aside."""

from typing import Any

import orjson
import pyarrow as pa

from itaudit.data.dataset import NATIVE, SCHEMA, Dataset, Rejection
from itaudit.data.formats.base import Format, Record, Row, RowError
from itaudit.data.instance import Message
from itaudit.data.sources import Bad, Batch


class Builder:
    """Takes batches of records in the order of the source and makes one dataset of them."""

    def __init__(self, format: Format, turn: int) -> None:
        self._format = format
        self._turn = turn
        self._tables: list[pa.Table] = []
        self._columns: list[list[Any]] = [[] for _ in SCHEMA]
        self._rejected: list[Rejection] = []
        self._tasks: dict[int, Record] = {}
        self._ids: set[str] = set()
        self._index = 0
        self._record = 0
        self._accepted = 0

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
                    self._tasks[self._record] = {"name": f"task{self._record}", **parsed.task}
                for row in parsed.rows:
                    if self._take(row, native_names):
                        kept.append(number)
            self._record += 1
        self._flush(native, kept)

    def finish(self, *, path: str, sha256: str, task_names: list[str] | None = None) -> Dataset:
        """The dataset; `task_names` are the names of task files, which name their tasks."""
        for number, name in enumerate(task_names or []):
            if number in self._tasks:
                self._tasks[number] = {**self._tasks[number], "name": name}
        tables = self._tables or [SCHEMA.empty_table()]
        return Dataset(
            pa.concat_tables(tables, promote_options="permissive"),
            path=path,
            format=self._format.name,
            sha256=sha256,
            rejected=tuple(self._rejected),
            explicit_ids=self._accepted > 0 and len(self._ids) == self._accepted,
            tasks=self._tasks,
        )

    @property
    def rows(self) -> int:
        """How many rows were seen, rejected ones included."""
        return self._index

    def _reject(self, reason: str) -> None:
        self._rejected.append(Rejection(self._index, reason))
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
            str(self._index) if row.id is None else row.id,
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
        self._index += 1
        self._accepted += 1
        return True

    def _flush(self, native: pa.Table | None, kept: list[int]) -> None:
        table = pa.Table.from_arrays(
            [pa.array(values, field.type) for values, field in zip(self._columns, SCHEMA, strict=True)],
            schema=SCHEMA,
        )
        if native is not None:
            chosen = native.take(pa.array(kept, pa.int64()))
            for name in chosen.column_names:
                table = table.append_column(NATIVE + name, chosen.column(name))
        self._tables.append(table)
        self._columns = [[] for _ in SCHEMA]


def _json(value: Record) -> str | None:
    if not value:
        return None
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        raise RowError(f"holds what JSON cannot: {error}") from error


def _turns(messages: tuple[Message, ...]) -> list[dict[str, str]] | None:
    return [{"role": m.role, "content": m.content} for m in messages] if messages else None
