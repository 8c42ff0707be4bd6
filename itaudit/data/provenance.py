"""Where each exported instance comes from, as a column of the data itself."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa

from itaudit.data.dataset import NATIVE, Dataset
from itaudit.data.edited_rows import EditedRow

COLUMN = "itaudit_edit"
"""JSON text in every row, so that every container gives it back as it was; empty where nothing was done."""


def with_provenance(dataset: Dataset, rows: Mapping[str, EditedRow], format: str) -> Dataset:
    """The dataset with COLUMN, from the edits of its instances by their ids; `format` is what it will be written as.

    An instance's JSON says `by` (hand and engines, in the order of their edits), `fields`, `time` (UTC, of the last
    edit), `of` (the hash of what the source held), and `tags`, `note` and `proposals` where there are any. What an
    earlier export said of it stands under `earlier`.
    """
    earlier = _earlier(dataset)
    ids = dataset.table.column("id").to_pylist()
    texts = [_told(rows.get(id), old) for id, old in zip(ids, earlier, strict=True)]
    table = dataset.table
    if NATIVE + COLUMN in table.column_names:
        table = table.drop_columns([NATIVE + COLUMN])
    table = _without_key(table, "extra")
    if dataset.format == format == "self-instruct":
        # Instances of one record share its columns; what is said of one of them stands inside it.
        table = _in_items(table, texts)
    else:
        table = table.append_column(NATIVE + COLUMN, pa.array(texts, pa.string()))
    return dataset.replaced(table=table)


def _told(row: EditedRow | None, earlier: str) -> str:
    if row is None or not row.edits:
        return earlier
    last = row.edits[-1]
    told: dict[str, Any] = {
        "by": list(dict.fromkeys(edit.by for edit in row.edits)),
        "fields": sorted({name for edit in row.edits for name in edit.after}),
        "time": utc_text(last.time),
        "of": last.of,
    }
    proposals = [edit.proposal for edit in row.edits if edit.proposal]
    found = {"tags": list(row.tags), "note": row.note, "proposals": proposals, "earlier": earlier}
    told |= {name: value for name, value in found.items() if value}
    return orjson.dumps(told).decode()


def utc_text(seconds: float) -> str:
    """A moment as ISO 8601 in UTC, to the second; empty where a clock gave what is no date."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return ""


def _earlier(dataset: Dataset) -> list[str]:
    """What COLUMN says already, row by row."""
    if not _mentions(dataset.table):
        return [""] * len(dataset)
    found = []
    for row in dataset.rows():
        value = row.extra.get(COLUMN, row.shape.get("item", {}).get(COLUMN))
        found.append(value if isinstance(value, str) else "")
    return found


def _mentions(table: pa.Table) -> bool:
    import pyarrow.compute as pc

    texts = (table.column("extra"), table.column("shape"))
    return NATIVE + COLUMN in table.column_names or any(
        bool(pc.any(pc.match_substring(text, COLUMN)).as_py()) for text in texts
    )


def _without_key(table: pa.Table, column: str) -> pa.Table:
    """Takes COLUMN out of a column of JSON texts."""
    if not _mentions(table):
        return table
    texts = []
    for text in table.column(column).to_pylist():
        value = orjson.loads(text) if text else {}
        value.pop(COLUMN, None)
        texts.append(orjson.dumps(value).decode() if value else None)
    return _replaced(table, column, texts)


def _in_items(table: pa.Table, texts: list[str]) -> pa.Table:
    shapes = []
    for shape, text in zip(table.column("shape").to_pylist(), texts, strict=True):
        value = orjson.loads(shape) if shape else {}
        value["item"] = {**value.get("item", {}), COLUMN: text}
        shapes.append(orjson.dumps(value).decode())
    return _replaced(table, "shape", shapes)


def _replaced(table: pa.Table, column: str, values: list[str | None] | list[str]) -> pa.Table:
    place = table.schema.get_field_index(column)
    return table.set_column(place, table.schema.field(column), pa.array(values, table.schema.field(column).type))
