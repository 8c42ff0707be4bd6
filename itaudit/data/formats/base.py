"""What a dataset format is: how a record becomes rows, and rows become records again."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from itaudit.data.dataset import Dataset, StoredRow
from itaudit.data.instance import Message

Record = dict[str, Any]

# The columns that may hold a row's own id, the first that is there.
ID_COLUMNS = ("id", "question_id")


class RowError(ValueError):
    """Why a row cannot be an instance; the text completes "row 7: …"."""


@dataclass(slots=True)
class Row:
    """An instance before it has its number.

    `references` is None where they are the response alone. `instruction` is None where it is the definition
    of the row's task. `shape` is what the format needs to write the row back as it was.
    """

    instruction: str | None
    input: str = ""
    response: str | None = None
    history: tuple[Message, ...] = ()
    later: tuple[Message, ...] = ()
    references: list[str] | None = None
    extra: Record = field(default_factory=dict)
    shape: Record | None = None
    id: str | None = None


@dataclass(slots=True)
class Parsed:
    """What one record holds: rows or the reasons why there are none, in order; and its task, if it is one."""

    rows: list[Row | RowError]
    task: Record | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """A format by name.

    `matches` tells from the keys of a record whether it may be of this format. `parse` takes a record and the
    audited turn. `emit` turns the rows of a dataset into records. `claims` are the columns that the format
    reads, or None if it reads all. `nested` are the columns that hold lists or objects, which a CSV cell
    keeps as JSON text; `either` those that hold text or a list of messages. `groups_rows` is set where a
    record may hold several rows.
    """

    name: str
    matches: Callable[[Iterable[str]], bool]
    parse: Callable[[Record, int], Parsed]
    emit: Callable[[Dataset], Iterator[Record]]
    claims: frozenset[str] | None
    nested: frozenset[str] = frozenset()
    either: frozenset[str] = frozenset()
    multi_turn: bool = False
    has_response: bool = True
    groups_rows: bool = False


def kind(value: Any) -> str:
    """What a value is, in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, float) and value != value:
        return "NaN"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, (list, tuple)) else type(value).__name__


def text(record: Record, key: str) -> str:
    """The text under `key`. Raises RowError where there is none."""
    if key not in record:
        raise RowError(f"no field {key!r}")
    value = record[key]
    if type(value) is not str:
        raise RowError(f"{key!r} is {kind(value)}, expected text")
    return value


def optional_text(record: Record, key: str) -> str:
    """The text under `key`, empty where it is absent or null. Raises RowError for anything else."""
    return "" if record.get(key) is None else text(record, key)


def own_id(record: Record) -> str | None:
    """The id that the record brings, as text, or None."""
    for column in ID_COLUMNS:
        value = record.get(column)
        if type(value) is str or type(value) is int:
            return str(value)
    return None


def rest(record: Record, *claimed: str) -> Record:
    """The columns that the format does not claim."""
    return {key: value for key, value in record.items() if key not in claimed}


def is_references(value: Any, response: str | None) -> bool:
    """Whether a column named `references` holds accepted answers: texts, the response among them."""
    return isinstance(value, list) and all(type(item) is str for item in value) and response in value


def claim_references(row: Row) -> Row:
    """Moves a column of accepted answers out of `extra`, where the row has one."""
    if "references" in row.extra and is_references(row.extra["references"], row.response):
        row.references = row.extra.pop("references")
    return row


def join(record: Record, extra: Mapping[str, Any], index: int) -> Record:
    """`record` and further columns. Raises RowError where one of those would take the name of a field."""
    taken = record.keys() & extra.keys()
    if taken:
        column = min(taken)
        raise RowError(f"row {index}: its column {column!r} is a field of this format; rename it first")
    return {**record, **extra}


def with_extra(record: Record, stored: StoredRow) -> Record:
    """`record`, the accepted answers if there are several, and the row's further columns. Raises RowError."""
    instance = stored.instance
    if instance.references and instance.references != (instance.response,):
        record["references"] = list(instance.references)
    return join(record, instance.extra, instance.index)


def one_row(parse: Callable[[Record], Row]) -> Callable[[Record, int], Parsed]:
    """A parser of records that hold one answer each, which is turn 0 and turn -1."""

    def parse_record(record: Record, turn: int) -> Parsed:
        try:
            row = parse(record)
            if row.response is not None and turn not in (0, -1):
                raise RowError(f"has 1 assistant turn, not the turn {turn} that was asked for")
            row.id = own_id(record)
            return Parsed([claim_references(row)])
        except RowError as error:
            return Parsed([error])

    return parse_record
