"""What can be counted of each instance, and the plain columns of its source: the table that filters and sorts read."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from itaudit.data.dataset import NATIVE, Dataset, task_definition

MEASURES = ("words", "chars", "prompt_words", "turns")
"""Words and characters of the response, words of the prompt, assistant turns of the whole conversation."""
OWN = frozenset({*MEASURES, "id", "index", "row", "tag", "instruction", "input", "response", "history", "later"})
"""Names with a meaning of their own; a column of the source that has one is called `extra.NAME`."""
COLUMNS = 64
"""How many columns of the source are kept, in the order in which they appear."""
LONGEST = 200
"""Characters kept of a text: longer ones are no categories."""


def measured(dataset: Dataset) -> pa.Table:
    """One row for each instance, in order: MEASURES as int64, null where there is no response; then columns.

    Columns are the scalars of the source that no field claims (numbers, truth values, texts up to LONGEST), a
    list of one scalar counts as that scalar, and a task's name and categories. Other values are null.
    """
    table = dataset.table.combine_chunks()
    response = _array(table, "response")
    words = word_counts(response)
    absent = pc.is_null(response).to_numpy(zero_copy_only=False)
    columns: dict[str, pa.Array] = {
        "words": pa.array(words, mask=absent),
        "chars": pc.cast(pc.utf8_length(response), pa.int64()),
        "prompt_words": pa.array(_prompt_words(dataset, table)),
        "turns": pa.array(_turns(table, ~absent)),
    }
    for name, column in _source_columns(dataset, table).items():
        while name in columns or name in OWN:
            name = f"extra.{name}"
        columns[name] = column
    return pa.table(columns)


def joined_measures(tables: Sequence[pa.Table]) -> pa.Table:
    """The measures of consecutive parts as one table; a column that is numbers here and text there is text."""
    kinds: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            kinds.setdefault(field.name, set()).add(field.type)
    names = list(kinds)[: len(MEASURES) + COLUMNS]
    schema = pa.schema([(name, _common(kinds[name])) for name in names])
    return pa.concat_tables([conformed(table, schema) for table in tables])


def word_counts(texts: pa.Array) -> npt.NDArray[np.int64]:
    """How many runs of characters between ASCII white space each text holds; 0 for null."""
    if not len(texts):
        return np.zeros(0, np.int64)
    texts = pc.cast(texts, pa.large_string())
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    content = texts.buffers()[2]
    data = np.frombuffer(content, np.uint8)[offsets[0] : offsets[-1]] if content is not None else np.zeros(0, np.uint8)
    begins = offsets - offsets[0]
    # Tab to carriage return are 9 to 13; what lies below wraps around to beyond.
    blank = ((data - np.uint8(9)) < 5) | (data == 32)
    starts = ~blank
    starts[1:] &= blank[:-1]
    # A text's first character starts a word whatever the text before it ends with.
    first = begins[:-1][begins[:-1] < len(data)]
    starts[first] = ~blank[first]
    counts: npt.NDArray[np.int64] = np.diff(np.searchsorted(np.flatnonzero(starts), begins))
    return counts


def _array(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _prompt_words(dataset: Dataset, table: pa.Table) -> npt.NDArray[np.int64]:
    instruction = _array(table, "instruction")
    words = word_counts(instruction) + word_counts(_array(table, "input"))
    if instruction.null_count:
        defined = pc.is_null(instruction).to_numpy(zero_copy_only=False)
        lengths = {record: len(task_definition(task).encode().split()) for record, task in dataset.tasks.items()}
        records = _array(table, "record").to_numpy()[defined]
        words[defined] += np.array([lengths[record] for record in records.tolist()], np.int64)
    return words


def _turns(table: pa.Table, answered: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Assistant messages of each conversation, the response among them."""
    turns = answered.astype(np.int64)
    for name in ("history", "later"):
        column = _array(table, name)
        if column.null_count < len(column):
            roles = pc.struct_field(pc.list_flatten(column), "role")
            parents = pc.list_parent_indices(column).to_numpy()
            answers = pc.equal(roles, "assistant").to_numpy(zero_copy_only=False)
            turns += np.bincount(parents[answers], minlength=len(column))
    return turns


def _source_columns(dataset: Dataset, table: pa.Table) -> dict[str, pa.Array]:
    found: dict[str, pa.Array] = {}
    if dataset.tasks:
        records = _array(table, "record").to_pylist()
        tasks = dataset.tasks
        found["task"] = _column([tasks[r]["name"] if r in tasks else None for r in records])
        found["Categories"] = _column([_scalar(tasks[r].get("Categories")) if r in tasks else None for r in records])
    for name in dataset.native_names[:COLUMNS]:
        column = _native(_array(table, NATIVE + name))
        if column is not None:
            found[name] = column
    for name, values in _extra(_array(table, "extra")).items():
        # A row may bring what its task has too; the row's own word counts.
        if len(found) < COLUMNS or name in found:
            found[name] = _column(values)
    return {name: column for name, column in found.items() if column.null_count < len(column)}


def _extra(column: pa.Array) -> dict[str, list[Any]]:
    """The scalars of the JSON objects, by key, for as many keys as are kept."""
    found: dict[str, list[Any]] = {}
    if column.null_count == len(column):
        return found
    rows = len(column)
    for number, text in enumerate(column.to_pylist()):
        if text is None:
            continue
        for name, value in orjson.loads(text).items():
            scalar = _scalar(value)
            # The id has a place of its own in the dataset.
            if scalar is None or name == "id":
                continue
            values = found.get(name)
            if values is None:
                if len(found) == COLUMNS:
                    continue
                values = found[name] = [None] * rows
            values[number] = scalar
    return found


def _scalar(value: Any) -> Any:
    if type(value) is list and len(value) == 1:
        value = value[0]
    if type(value) is str:
        return value[:LONGEST]
    return value if type(value) in (int, float, bool) else None


def _column(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pa.array(values, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([None if value is None else _text(value) for value in values], pa.large_string())


def _text(value: Any) -> str:
    return value if type(value) is str else orjson.dumps(value).decode()


def _native(column: pa.Array) -> pa.Array | None:
    """A column of an Arrow file as one of the four types that measures have; None where it holds no scalars."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _native(pc.cast(column, kind.value_type))
    if pa.types.is_boolean(kind):
        return column
    if pa.types.is_integer(kind):
        return pc.cast(column, pa.float64() if kind == pa.uint64() else pa.int64(), safe=False)
    if pa.types.is_floating(kind):
        return pc.cast(column, pa.float64())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.utf8_slice_codeunits(pc.cast(column, pa.large_string()), 0, LONGEST)
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        try:
            return pc.cast(column, pa.large_string())
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            return None
    return None


def _common(kinds: Iterable[pa.DataType]) -> pa.DataType:
    kinds = set(kinds)
    if len(kinds) == 1:
        return kinds.pop()
    return pa.float64() if kinds == {pa.int64(), pa.float64()} else pa.large_string()


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns and types of a schema that measures were joined to."""
    if table.schema.equals(schema):
        return table
    columns = [
        pc.cast(table.column(field.name), field.type)
        if field.name in table.column_names
        else pa.chunked_array([pa.nulls(len(table), field.type)])
        for field in schema
    ]
    return pa.table(columns, schema=schema)
