"""A dataset in memory: columns in Arrow, instances made when they are asked for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, overload

import orjson
import pyarrow as pa

from itaudit.atomic import replacing
from itaudit.data.instance import Instance, Message
from itaudit.data.task_prompt import task_instruction
from itaudit.errors import UserError
from itaudit.sanitize import visible

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.large_string())]))

# Null stands for what need not be kept: an instruction that is the task's definition, references that are the
# response alone, no extra columns. `shape` is JSON: what the source's format needs to write the row as it
# was. `record` is the object of the source that the row came from; several rows may share one.
SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("id", pa.large_string()),
        ("instruction", pa.large_string()),
        ("input", pa.large_string()),
        ("response", pa.large_string()),
        ("history", _MESSAGES),
        ("later", _MESSAGES),
        ("references", pa.list_(pa.large_string())),
        ("extra", pa.large_string()),
        ("shape", pa.large_string()),
        ("record", pa.int64()),
    ]
)

# Columns of Parquet and `datasets` files that no field claims keep their Arrow type under this prefix.
NATIVE = "extra:"

_METADATA = b"itaudit.dataset"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was left out: its number in the source, counted from 0, and why."""

    index: int
    reason: str


class StoredRow(NamedTuple):
    """An instance and what a writer needs beside it; `extra` lacks what the instance has from its task."""

    instance: Instance
    extra: dict[str, Any]
    shape: dict[str, Any]
    record: int


def task_definition(task: Mapping[str, Any]) -> str:
    """The instruction that the instances of a Super-NaturalInstructions task share: its definition as one text, or
    what a transform made of its definition and examples."""
    return task_instruction(task)


class Dataset(Sequence[Instance]):
    """Instances of one source, in its order.

    `path` is the absolute path or the hub name that was loaded, `sha256` is of its content, and `rejected`
    says which rows were left out and why. `explicit_ids` is true where every instance brought its own id.
    `tasks` maps `record` numbers to Super-NaturalInstructions tasks (all but their instances, and with the
    task's `name`); other formats have none.
    """

    def __init__(
        self,
        table: pa.Table,
        *,
        path: str,
        format: str,
        sha256: str,
        rejected: tuple[Rejection, ...] = (),
        explicit_ids: bool = False,
        tasks: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> None:
        self.table = table
        self.path = path
        self.format = format
        self.sha256 = sha256
        self.rejected = rejected
        self.explicit_ids = explicit_ids
        self.tasks = dict(tasks or {})
        self._instructions = {record: task_definition(task) for record, task in self.tasks.items()}
        self._columns = [table.column(name) for name in table.column_names]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        return f"Dataset({self.path!r}, format={self.format!r}, instances={len(self)})"

    @overload
    def __getitem__(self, position: int) -> Instance: ...
    @overload
    def __getitem__(self, position: slice) -> "Dataset": ...
    def __getitem__(self, position: int | slice) -> "Instance | Dataset":
        if isinstance(position, slice):
            return self.select(range(len(self))[position])
        return self.row(position).instance

    def __iter__(self) -> Iterator[Instance]:
        for row in self.rows():
            yield row.instance

    def row(self, position: int) -> StoredRow:
        """One instance with its writer's notes. Raises IndexError beyond the end."""
        row = range(len(self))[position]
        return self._stored([column[row].as_py() for column in self._columns])

    def rows(self) -> Iterator[StoredRow]:
        """Every instance with its writer's notes, in order; faster than one at a time."""
        for batch in self.table.to_batches(max_chunksize=8192):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield self._stored(values)

    def position(self, index: int) -> int:
        """Where row `index` of the source stands here. Raises KeyError where it was rejected or left out."""
        return self._positions[index]

    @cached_property
    def _positions(self) -> dict[int, int]:
        return {index: position for position, index in enumerate(self.table.column("index").to_pylist())}

    @cached_property
    def native_names(self) -> list[str]:
        """The extra columns that kept their Arrow type, without their prefix."""
        return [n.removeprefix(NATIVE) for n in self.table.column_names if n.startswith(NATIVE)]

    def _stored(self, values: Sequence[Any]) -> StoredRow:
        index, id, instruction, input, response, history, later, references, extra, shape, record = values[:11]
        own: dict[str, Any] = dict(zip(self.native_names, values[11:], strict=True))
        if extra:
            own |= orjson.loads(extra)
        if references is None:
            references = () if response is None else (response,)
        instance = Instance(
            index=index,
            id=id,
            instruction=self._instructions[record] if instruction is None else instruction,
            input=input,
            response=response,
            history=_messages(history),
            later=_messages(later),
            references=tuple(references),
            extra=self._inherited(record) | own if record in self.tasks else own,
        )
        return StoredRow(instance, own, orjson.loads(shape) if shape else {}, record)

    def _inherited(self, record: int) -> dict[str, Any]:
        task = self.tasks[record]
        inherited = {"task": task["name"]}
        if "Categories" in task:
            inherited["Categories"] = task["Categories"]
        return inherited

    def empty_responses(self) -> list[int]:
        """The rows whose response is empty or blank: valid, but all that they teach is to say nothing."""
        # Heavy to import, and screens that only show a dataset never ask.
        import pyarrow.compute as pc

        blank = pc.and_(
            pc.is_valid(self.table["response"]), pc.equal(pc.utf8_trim_whitespace(self.table["response"]), "")
        )
        indices: list[int] = self.table["index"].filter(blank).to_pylist()
        return indices

    def select(self, positions: Sequence[int]) -> "Dataset":
        """The instances at `positions`, in that order, with everything known about the source."""
        rows = range(len(self))
        chosen = pa.array([rows[position] for position in positions], pa.int64())
        return self.replaced(table=self.table.take(chosen))

    def replaced(
        self,
        *,
        table: pa.Table | None = None,
        tasks: Mapping[int, Mapping[str, Any]] | None = None,
        sha256: str | None = None,
    ) -> "Dataset":
        """The dataset with other rows, tasks or hash, and everything else known about the source."""
        return Dataset(
            self.table if table is None else table,
            path=self.path,
            format=self.format,
            sha256=self.sha256 if sha256 is None else sha256,
            rejected=self.rejected,
            explicit_ids=self.explicit_ids,
            tasks=self.tasks if tasks is None else tasks,
        )

    def save(self, path: Path) -> None:
        """Writes an Arrow IPC file that `open` maps, all metadata inside. Raises UserError if it cannot."""
        try:
            with replacing(path) as file:
                self.write(file)
        except OSError as error:
            raise UserError(f"{visible(str(path))}: cannot be written: {error.strerror or error}") from error

    def write(self, file: BinaryIO) -> None:
        """Writes what `save` saves."""
        metadata = {
            "version": _VERSION,
            "path": self.path,
            "format": self.format,
            "sha256": self.sha256,
            "rejected": [[rejection.index, rejection.reason] for rejection in self.rejected],
            "explicit_ids": self.explicit_ids,
            "tasks": list(self.tasks.items()),
        }
        schema = self.table.schema.with_metadata({_METADATA: orjson.dumps(metadata)})
        options = pa.ipc.IpcWriteOptions(unify_dictionaries=True)
        with pa.ipc.new_file(file, schema, options=options) as writer:
            writer.write_table(self.table.cast(schema))

    @classmethod
    def open(cls, path: Path) -> "Dataset":
        """Maps a file that `save` wrote; nothing is copied. Raises UserError if it is none."""
        shown = visible(str(path))
        try:
            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_file(source).read_all()
        except FileNotFoundError as error:
            raise UserError(f"{shown}: no such file; load the dataset again") from error
        except (OSError, pa.ArrowInvalid) as error:
            raise UserError(f"{shown}: is not a saved dataset; load the dataset again") from error
        kept = (table.schema.metadata or {}).get(_METADATA)
        metadata = orjson.loads(kept) if kept else {}
        if metadata.get("version") != _VERSION:
            raise UserError(f"{shown}: was not saved by this version of itaudit; load the dataset again")
        return cls(
            table.replace_schema_metadata(None),
            path=metadata["path"],
            format=metadata["format"],
            sha256=metadata["sha256"],
            rejected=tuple(Rejection(*rejection) for rejection in metadata["rejected"]),
            explicit_ids=metadata["explicit_ids"],
            tasks=dict(metadata["tasks"]),
        )


def joined(parts: Sequence[Dataset], *, sha256: str = "") -> Dataset:
    """Consecutive parts of a source as one dataset; nothing is copied."""
    last = parts[-1]
    return Dataset(
        pa.concat_tables([part.table for part in parts], promote_options="permissive"),
        path=last.path,
        format=last.format,
        sha256=sha256,
        rejected=tuple(rejection for part in parts for rejection in part.rejected),
        explicit_ids=last.explicit_ids,
        tasks={record: task for part in parts for record, task in part.tasks.items()},
    )


def _messages(turns: list[dict[str, Any]] | None) -> tuple[Message, ...]:
    return tuple(Message(turn["role"], turn["content"]) for turn in turns) if turns else ()
