"""Tables of results as the command line prints them, in whatever width there is."""

from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Column, Table, Value, shown
from itaudit.runs.left_out import LeftOut
from itaudit.sanitize import visible_line

_WIDE = 10_000
"""What is printed into a file or a pipe is not folded."""


def print_tables(tables: Sequence[Table], console: Console | None = None) -> None:
    """Prints tables with their titles and how to read them.

    What is too wide for a terminal gets its intervals below its values; what still is, a line for each value.
    """
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=_WIDE)
    for table in tables:
        console.print()
        console.print(Text(visible_line(table.title), "bold"))
        for folded in (False, True):
            grid = _grid(table, folded)
            if console.measure(grid, options=console.options.update(max_width=_WIDE)).maximum <= console.width:
                console.print(grid)
                break
        else:
            console.print(_records(table))
        for line in (table.note, table.source and f"Published: {table.source}."):
            if line:
                console.print(Text(visible_line(line), "dim"))


def tell_left_out(left_out: Sequence[LeftOut]) -> None:
    """Says on stderr what is left out of tables, a line each."""
    for one in left_out:
        click.echo(visible_line(one.line), err=True)


def _grid(table: Table, folded: bool) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        title = Text(visible_line(column.title))
        grid.add_column(title, justify="left" if column.kind == "text" else "right", no_wrap=not folded)
    for row in table.rows:
        grid.add_row(*(Text(_cell(row.get(column.key), column, folded)) for column in table.columns))
    return grid


def _records(table: Table) -> Text:
    """A block of lines a row: first what it is of, then title and value, one a line."""
    text = Text()
    for row in table.rows:
        names = [c for c in table.columns if c.kind in ("text", "count") and row.get(c.key) is not None]
        values = [c for c in table.columns if c not in names and row.get(c.key) is not None]
        head = ", ".join(f"{c.title} {shown(row.get(c.key), c)}" for c in names)
        text.append(f"{visible_line(head)}\n", "bold")
        for column in values:
            text.append(visible_line(f"  {column.title}: {shown(row.get(column.key), column)}") + "\n")
    text.rstrip()
    return text


def _cell(value: Value, column: Column, folded: bool) -> str:
    if value is None:
        return "–"
    told = visible_line(shown(value, column))
    if folded and isinstance(value, Estimate):
        # The interval below its value, unbroken.
        point, bracket, interval = told.partition(" (")
        return f"{point}\n{bracket.strip()}{interval}"
    return told
