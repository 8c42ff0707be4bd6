"""Whatever a report is read as, it says what the tables say: page, Markdown, JSON, CSV and Parquet."""

import csv
import io

import orjson
import pandas
import pyarrow.parquet as pq
from markdown_it import MarkdownIt

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Column, Table, shown
from itaudit.report.exports import csv_of, parquet_of
from itaudit.report.html import raw_value
from itaudit.sanitize import visible_line
from tests.report.conftest import Written
from tests.report.reading import read


def test_every_figure_of_the_page_is_the_tables(written: Written) -> None:
    figures = 0
    page = read(written.text("report.html"))
    for part in written.report.parts:
        for table in part.tables:
            name = f"{part.slug}/{table.name}"
            assert page.headings[name] == [visible_line(column.title) for column in table.columns]
            assert len(page.tables[name]) == len(table.rows)
            for row, cells in zip(table.rows, page.tables[name], strict=True):
                for column, cell in zip(table.columns, cells, strict=True):
                    value = row.get(column.key)
                    assert cell.text == visible_line(shown(value, column)).strip(), (table.name, column.key)
                    assert (cell.attributes.get("data-value") or "") == raw_value(value)
                    figures += isinstance(value, Estimate)
    assert figures > 50


def test_the_page_holds_all_tables_of_all_parts(written: Written) -> None:
    page = written.text("report.html")
    wanted = sum(len(part.tables) for part in written.report.parts)
    assert page.count("data-table=") == wanted + 2
    assert written.report.parts[0].subject.name == "ladder" and wanted > 8


def test_every_figure_of_the_markdown_is_the_tables(written: Written) -> None:
    html = MarkdownIt("commonmark").enable("table").render(written.text("report.md"))
    pages = read(html)
    # Tables of telling responses have no table to equal; all others come in order.
    found = iter(pages.tables.items())
    tables: list[Table] = [table for part in written.report.parts for table in part.tables]
    tables += [written.report.reproduction.facts, written.report.reproduction.files]
    for table in tables:
        titles = [visible_line(column.title) for column in table.columns]
        name, rows = next((name, rows) for name, rows in found if pages.headings[name] == titles)
        assert len(rows) == len(table.rows), name
        for row, cells in zip(table.rows, rows, strict=True):
            told = [visible_line(shown(row.get(column.key), column)).strip() for column in table.columns]
            assert [cell.text for cell in cells] == told


def test_the_json_holds_the_tables(written: Written) -> None:
    told = orjson.loads((written.folder / "report.json").read_bytes())
    for part, subject in zip(written.report.parts, told["subjects"], strict=True):
        assert subject["tables"] == orjson.loads(orjson.dumps([table.to_json() for table in part.tables]))
        assert subject["summary"] == list(part.summary)


def test_csv_and_parquet_hold_every_row(written: Written) -> None:
    files = 0
    for part in written.report.parts:
        for table in part.tables:
            rows = table.flat_rows()
            name = f"tables/{part.subject.name}/{table.name}"
            there = list(csv.DictReader(io.StringIO(written.text(f"{name}.csv"))))
            assert [list(row) for row in there] == [list(row) for row in rows]
            for mine, row in zip(there, rows, strict=True):
                for key, value in row.items():
                    if value is None or isinstance(value, str):
                        assert mine[key].removeprefix("'") == (value or "").removeprefix("'")
                    else:
                        assert float(mine[key]) == value
            arrow = pq.read_table(written.folder / f"{name}.parquet")
            assert arrow.column_names == list(rows[0])
            assert [{key: row[key] for key in rows[0]} for row in arrow.to_pylist()] == rows
            files += 1
    assert files > 8


def test_a_column_has_the_type_of_what_it_is_of(written: Written) -> None:
    """Whoever reads tables by pandas gets numbers as numbers, and nothing as nothing, by CSV as by Parquet."""
    wanted = {"text": "string", "count": "int64"}
    for part in written.report.parts:
        folder = written.folder / "tables" / part.subject.name
        described = pandas.read_csv(folder / "columns.csv", keep_default_na=False)
        for table in part.tables:
            mine = described[described["table"] == table.name]
            assert mine["column"].tolist() == [column.key for column in table.columns]
            assert mine["title"].tolist() == [column.title for column in table.columns]
            schema = pq.read_schema(folder / f"{table.name}.parquet")
            parquet = pandas.read_parquet(folder / f"{table.name}.parquet")
            # Words of a table may be “null” or “nan”.
            sheet = pandas.read_csv(folder / f"{table.name}.csv", keep_default_na=False, na_values={})
            for column in table.columns:
                estimates = any(isinstance(row.get(column.key), Estimate) for row in table.rows)
                named = [
                    name for name in (column.key, f"{column.key}_low", f"{column.key}_high") if name in schema.names
                ]
                assert len(named) == (3 if estimates else 1)
                for name in named:
                    field = schema.field(name)
                    assert str(field.type) == ("double" if estimates else wanted.get(column.kind, "double"))
                    assert field.metadata[b"title"].decode() == column.title
                    empty = parquet[name].isna()
                    assert (sheet[name].astype(str) == "").tolist() == (empty | (parquet[name] == "")).tolist()
                    if column.kind != "text":
                        told = pandas.to_numeric(sheet[name], errors="raise")
                        assert told[~empty].tolist() == parquet[name][~empty].tolist()


def test_a_table_without_numbers_keeps_its_types() -> None:
    """So that the same table of two reports can be put together."""
    columns = (Column("what", "what", "text"), Column("n", "n", "count"), Column("share", "share", "share"))
    table = Table("t", "t", columns, ({"what": None},))
    schema = pq.read_schema(io.BytesIO(parquet_of(table)))
    assert [str(field.type) for field in schema] == ["string", "int64", "double"]
    assert csv_of(table) == b"what,n,share\n,,\n"
    assert csv_of(Table("t", "t", columns, ())) == b"what,n,share\n"
    assert pq.read_table(io.BytesIO(parquet_of(Table("t", "t", columns, ())))).num_rows == 0


def test_plots_say_their_figures_in_words(written: Written) -> None:
    ladder = written.report.parts[0]
    table = next(table for table in ladder.tables if table.name == "size_ladder")
    plot = next(plot for plot in ladder.plots if plot.name.endswith("-ladder"))
    for row in table.rows:
        for column in table.columns:
            if column.key.startswith("kl_"):
                assert shown(row.get(column.key), column) in plot.alt
    page = read(written.text("report.html"))
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(pictures) == sum(len(part.plots) for part in written.report.parts)
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    for attributes in pictures:
        assert attributes["role"] == "img"
        assert all(name in ids for name in str(attributes["aria-labelledby"]).split())
