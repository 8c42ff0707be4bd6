"""Text laid out in terminal cells: pure functions over offsets, so that every character keeps its place."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import get_character_cell_size

NARROWEST = 2
"""Cells that a line needs at least: a wide character takes two."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line on the screen: half-open character offsets of the text, and the cells that they take."""

    start: int
    end: int
    cells: int


def character_cells(character: str) -> int:
    """Cells that a character takes; a line feed takes one, for the mark that stands for it."""
    return 1 if character == "\n" else get_character_cell_size(character)


def text_cells(text: str) -> int:
    """Cells that a text takes, its line feeds included."""
    return len(text) if text.isascii() else sum(map(character_cells, text))


def wrap(text: str, width: int) -> list[Line]:
    """The text broken into lines of at most `width` cells, between words where that is possible.

    Lines follow each other without gaps: every character stands in exactly one of them, blanks at the end of a line
    and line feeds included. A text without characters has one empty line. Widths below NARROWEST count as that.
    """
    width = max(width, NARROWEST)
    lines: list[Line] = []
    start, cells = 0, 0
    for unit_start, unit_end, unit_cells in _units(text):
        if cells and cells + unit_cells > width:
            lines.append(Line(start, unit_start, cells))
            start, cells = unit_start, 0
        if unit_cells > width:
            *full, last = _broken(text, unit_start, unit_end, width)
            lines.extend(full)
            start, cells = last.start, last.cells
        else:
            cells += unit_cells
        if text[unit_end - 1] == "\n":
            lines.append(Line(start, unit_end, cells))
            start, cells = unit_end, 0
    if start < len(text) or not lines:
        lines.append(Line(start, len(text), cells))
    return lines


def line_at(lines: list[Line], offset: int) -> int:
    """The number of the line that holds a character; the last for offsets beyond the text."""
    low, high = 0, len(lines) - 1
    while low < high:
        middle = (low + high) // 2
        if offset < lines[middle].end:
            high = middle
        else:
            low = middle + 1
    return low


def shortened(text: str, width: int) -> str:
    """The beginning of a one-line text that fits in `width` cells, with an ellipsis where something is left out."""
    if text_cells(text[: width + 1]) <= width and len(text) <= width:
        return text
    cells = 0
    for taken, character in enumerate(text):
        size = character_cells(character)
        if cells + size > width:
            return text[: taken - _ellipsis_room(text[:taken], width - cells)] + "…" if width > 0 else ""
        cells += size
    return text


def bar(share: float, width: int) -> str:
    """A bar of eighths of cells for a share of 0 to 1, without trailing blanks."""
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _ellipsis_room(text: str, free: int) -> int:
    """How many characters to drop from the end of `text` so that one more cell is free."""
    dropped = 0
    while free < 1 and dropped < len(text):
        dropped += 1
        free += character_cells(text[-dropped])
    return dropped


def _units(text: str) -> Iterator[tuple[int, int, int]]:
    """What must not be parted: a word with the blank after it, a wide character; as (start, end, cells)."""
    start, cells = 0, 0
    wide_before = False
    for offset, character in enumerate(text):
        size = character_cells(character)
        # What has no width of its own belongs to the character before it.
        wide = size > 1 or (size == 0 and wide_before)
        if offset > start and (size > 1 or (wide_before and not wide and not character.isspace())):
            yield start, offset, cells
            start, cells = offset, 0
        cells += size
        wide_before = wide
        # A figure and its per cent sign stay together.
        if character.isspace() and text[offset + 1 : offset + 2] != "%":
            yield start, offset + 1, cells
            start, cells = offset + 1, 0
            wide_before = False
    if start < len(text):
        yield start, len(text), cells


def _broken(text: str, start: int, end: int, width: int) -> Iterator[Line]:
    """A word that is too long for any line, cut where the width is reached."""
    line_start, cells = start, 0
    for offset in range(start, end):
        size = character_cells(text[offset])
        if cells + size > width:
            yield Line(line_start, offset, cells)
            line_start, cells = offset, 0
        cells += size
    yield Line(line_start, end, cells)
