"""Keys and what they do, side by side in as many rows as they take."""

from collections.abc import Iterable, Iterator

from textual.content import Content

BETWEEN = 3
"""Blanks between two choices."""


def in_rows(choices: Iterable[Content], width: int) -> Iterator[Content]:
    """The choices in rows of at most `width` cells, none of them broken unless it is wider than that by itself."""
    row = Content("")
    for choice in choices:
        if row and row.cell_length + BETWEEN + choice.cell_length > width:
            yield row
            row = Content("")
        row += Content(" " * BETWEEN if row else "") + choice
    if row:
        yield row
