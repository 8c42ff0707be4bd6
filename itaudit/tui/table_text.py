"""Tables of results as text in a width: in one piece where they fit, else with intervals below, else in several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.content import Content

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Column, Table, Value, shown
from itaudit.runs.left_out import LeftOut
from itaudit.sanitize import visible_line
from itaudit.tui.layout import text_cells, wrap

GAP = 2
HEAD = "bold $primary"
MUTED = "$foreground-muted"
WIDEST = 36
"""Cells of a line of words at most; longer ones go on below."""


@dataclass(frozen=True, slots=True)
class _Laid:
    """A column as it is set: `title` and each row's texts line by line; words stand left, figures right."""

    column: Column
    title: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    width: int

    @property
    def words(self) -> bool:
        return self.column.kind == "text"


def table_text(table: Table, width: int) -> Content:
    """A table with its title, and what there is to say on how to read it."""
    return Content("\n").join(table_lines(table, width))


def table_lines(table: Table, width: int) -> list[Content]:
    """The same line by line."""
    title = visible_line(table.title)
    lines = [*(Content.styled(line, HEAD) for line in _in_lines(title, width)), Content()]
    bands = _bands(table, width)
    if any(_cells(band) > width for band in bands):
        lines += _records(table, width)
        bands = []
    for number, band in enumerate(bands):
        if number:
            lines.append(Content())
        lines += _lines(table, band)
    for text in (table.note, f"Source: {table.source}" if table.source else ""):
        if text:
            lines += [Content(), *wrapped(text, width, MUTED)]
    return lines


def left_out_text(left_out: Sequence[LeftOut], width: int) -> Content:
    """What is left out of tables, and why, with an empty line to part it from them."""
    lines = [line for one in left_out for line in wrapped(f"✗ {one.line}", width, "$error")]
    return Content("\n").join([*lines, Content()])


def wrapped(text: str, width: int, style: str) -> list[Content]:
    """A text in as many lines as it takes."""
    shown_text = visible_line(text)
    return [Content.styled(shown_text[line.start : line.end].rstrip(), style) for line in wrap(shown_text, width)]


def _bands(table: Table, width: int) -> list[list[_Laid]]:
    """The columns of each piece of the table: one where it fits, else each begins with the columns that name a row."""
    first = _laid(table, table.columns[0], width // 2, below=False)
    # What stands beside the first name at least fits in a line.
    room = width - first.width - GAP
    whole = [first, *(_laid(table, column, room, below=False) for column in table.columns[1:])]
    if _cells(whole) <= width:
        return [whole]
    laid = [first, *(_laid(table, column, room, below=True) for column in table.columns[1:])]
    names = laid[: _named_by(table)]
    most = max((column.width for column in laid[len(names) :]), default=0)
    while len(names) > 1 and names[-1].words and _cells(names) + GAP + most > width:
        # A name in words that others tell rows apart without can stand in a piece of its own.
        if not _tells_apart(table, len(names) - 1):
            break
        names.pop()
    # Counts say least, and can wait for the last piece.
    others = sorted(laid[len(names) :], key=lambda column: column.column.kind == "count")
    bands: list[list[_Laid]] = []
    band = list(names)
    for column in others:
        if len(band) > len(names) and _cells([*band, column]) > width:
            bands.append(band)
            band = list(names)
        band.append(column)
    return [*bands, band]


def _named_by(table: Table) -> int:
    """How many columns at the beginning tell one row from the others."""
    if all(column.kind == "text" for column in table.columns):
        return 1
    for count, column in enumerate(table.columns, 1):
        if any(isinstance(row.get(column.key), Estimate | float) for row in table.rows):
            return max(count - 1, 1)
        if _tells_apart(table, count):
            following = table.columns[count : count + 1]
            # A name in words that stands beside still belongs to it.
            return count + sum(each.kind == "text" and len(each.title) < 12 for each in following)
    return 1


def _tells_apart(table: Table, count: int) -> bool:
    """Whether no two rows are the same in so many columns at the beginning."""
    keys = [column.key for column in table.columns[:count]]
    return len({tuple(row.get(key) for key in keys) for row in table.rows}) == len(table.rows)


def _records(table: Table, width: int) -> Iterator[Content]:
    """A block of lines a row, where no figure has room beside the names: first these, then a figure a line."""
    count = _named_by(table)
    for number, row in enumerate(table.rows):
        if number:
            yield Content()
        names = (shown(row[column.key], column) for column in table.columns[:count] if row.get(column.key) is not None)
        for line in _in_lines(visible_line(" · ".join(names)), width):
            yield Content.styled(line, "bold")
        for column in table.columns[count:]:
            if row.get(column.key) not in (None, ""):
                told = visible_line(f"{column.title}: {shown(row.get(column.key), column)}")
                yield from (Content(f"  {line}") for line in _in_lines(told, max(width - 2, 1)))


def _cells(band: Sequence[_Laid]) -> int:
    return sum(column.width for column in band) + GAP * (len(band) - 1)


def _laid(table: Table, column: Column, room: int, *, below: bool) -> _Laid:
    rows = tuple(_texts(row.get(column.key), column, below) for row in table.rows)
    inner = max((text_cells(line) for row in rows for line in row), default=0)
    if column.kind == "text":
        # Whole: the end of a value may be all that tells it from its neighbour's.
        inner = min(inner, WIDEST, max(room, 8))
        rows = tuple(tuple(part for line in row for part in _in_lines(line, inner)) for row in rows)
    title = visible_line(column.title)
    longest = max(map(text_cells, title.split()), default=0)
    width = max(inner, longest, 3)
    # A long title would take more room than what stands below it.
    lines = _in_lines(title, max(width, min(text_cells(title), 14)))
    return _Laid(column, lines, rows, max(width, *(text_cells(line) for line in lines)))


def _in_lines(text: str, width: int) -> tuple[str, ...]:
    return tuple(text[line.start : line.end].rstrip() for line in wrap(text, width))


def _texts(value: Value, column: Column, below: bool) -> tuple[str, ...]:
    if isinstance(value, Estimate) and below and value.low is not None and value.high is not None:
        text, interval = shown(value, column).split(" (", 1)
        return text, interval.removesuffix(")")
    return (visible_line(shown(value, column)) if value is not None else "–",)


def _lines(table: Table, band: Sequence[_Laid]) -> Iterator[Content]:
    height = max(len(column.title) for column in band)
    for number in range(height):
        yield Content.styled(_joined(band, [_from_below(column.title, number, height) for column in band]), "bold")
    for row in range(len(table.rows)):
        depth = max(len(column.rows[row]) for column in band)
        for number in range(depth):
            texts = [column.rows[row][number] if number < len(column.rows[row]) else "" for column in band]
            yield Content.styled(_joined(band, texts), MUTED if number else "")


def _from_below(title: Sequence[str], number: int, height: int) -> str:
    place = number - (height - len(title))
    return title[place] if place >= 0 else ""


def _joined(band: Sequence[_Laid], texts: Sequence[str]) -> str:
    parts = []
    for column, text in zip(band, texts, strict=True):
        pad = " " * max(column.width - text_cells(text), 0)
        parts.append(f"{text}{pad}" if column.words else f"{pad}{text}")
    return (" " * GAP).join(parts).rstrip()
