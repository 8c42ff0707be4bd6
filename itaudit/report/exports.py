"""A report's files: HTML, Markdown with its plots, JSON, and every table as CSV and Parquet."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from itaudit import atomic
from itaudit.analysis.table import Column, Table
from itaudit.errors import UserError
from itaudit.report.comparator import comparator_documents
from itaudit.report.document import Report
from itaudit.report.html import html_of
from itaudit.report.markdown import FIGURES, markdown_of
from itaudit.report.svg import standalone

HTML, MARKDOWN, JSON = "report.html", "report.md", "report.json"
COLUMNS = "columns"
"""The file that says what the columns of the other tables are."""
# A spreadsheet would take such text for a formula, whoever wrote it.
_FORMULA = re.compile(r"^[=+\-@\t\r]")


def write_report(report: Report, folder: Path) -> dict[str, Any]:
    """Writes everything into a folder, and returns what `report.json` holds; files of an earlier report there go.

    Raises UserError where the folder can't be written.
    """
    files = dict(_files(report))
    document = document_of(report) | {"files": [*files, JSON]}
    earlier = _earlier(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            atomic.write_bytes(folder / name, content)
        atomic.write_bytes(folder / JSON, orjson.dumps(document, option=orjson.OPT_INDENT_2))
        for name in earlier - set(document["files"]):
            # Another subject's tables must not stand among this one's.
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: can't write the report: {error.strerror}; give another --out") from None
    return document


def document_of(report: Report) -> dict[str, Any]:
    """`{title, written, subjects: [{name, paths, reference, finished, left_out, summary, tables}], reproduce}`."""
    told = report.reproduction
    return {
        "title": report.title,
        "written": report.written,
        "subjects": [part.to_json() for part in report.parts],
        "reproduce": {
            "commands": list(told.commands),
            "facts": told.facts.to_json(),
            "files": told.files.to_json(),
            "recipes": dict(told.recipes),
        },
    }


def csv_of(table: Table) -> bytes:
    """A row a row, estimates as three columns; text that a spreadsheet would run begins with an apostrophe."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([key for column in table.columns for key in table.flat_keys(column)])
    for row in table.flat_rows():
        writer.writerow([_harmless(value) for value in row.values()])
    return file.getvalue().encode()


def parquet_of(table: Table) -> bytes:
    """The same columns, typed; the table's title, note and source, and each column's title, are in the file's metadata.

    A column has its type by what it is of, not by what happens to be in it, so that files of several reports fit
    together.
    """
    rows = table.flat_rows()
    fields, values = [], []
    for column in table.columns:
        for key in table.flat_keys(column):
            values.append(_column([row[key] for row in rows], column))
            fields.append(pa.field(key, values[-1].type, metadata={"title": column.title}))
    told = {"title": table.title, "note": table.note, "source": table.source}
    schema = pa.schema(fields, metadata={key: value for key, value in told.items() if value})
    file = io.BytesIO()
    pq.write_table(pa.table(values, schema=schema), file)
    return file.getvalue()


def columns_of(tables: Sequence[Table]) -> Table:
    """What each column of some tables is: its key, its title with the unit, and how its values read."""
    rows = [
        {"table": table.name, "column": column.key, "title": column.title, "kind": column.kind}
        for table in tables
        for column in table.columns
    ]
    columns = tuple(Column(key, key, "text") for key in ("table", "column", "title", "kind"))
    return Table(COLUMNS, "Columns", columns, tuple(rows))


def _files(report: Report) -> Iterator[tuple[str, bytes]]:
    yield HTML, html_of(report).encode()
    yield MARKDOWN, markdown_of(report).encode()
    for part in report.parts:
        folder = f"{_slug(part.subject.name)}/" if len(report.parts) > 1 else ""
        for plot in part.plots:
            yield f"{FIGURES}/{plot.name}.svg", standalone(plot.svg).encode()
        for table in part.tables:
            yield f"tables/{folder}{table.name}.csv", csv_of(table)
            yield f"tables/{folder}{table.name}.parquet", parquet_of(table)
        yield f"tables/{folder}{COLUMNS}.csv", csv_of(columns_of(part.tables))
        for name, document in comparator_documents(part.beside, part.subject.reference):
            yield f"llm-comparator/{folder}{name}.json", orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _earlier(folder: Path) -> set[str]:
    """The files that an earlier report here says it wrote, those inside the folder alone."""
    try:
        told = orjson.loads((folder / JSON).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return set()
    names = told.get("files", []) if isinstance(told, dict) else []
    root = folder.resolve()
    return {name for name in names if isinstance(name, str) and (root / name).resolve().is_relative_to(root)}


def _harmless(value: str | int | float | None) -> str | int | float | None:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _column(values: list[str | int | float | None], column: Column) -> pa.Array:
    if column.kind == "text" or any(isinstance(value, str) for value in values):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    if column.kind == "count" and not any(isinstance(value, float) for value in values):
        return pa.array(values, pa.int64())
    return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "runs"
