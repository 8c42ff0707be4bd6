"""The list of prompts: two lines each, drawn from the rows in sight alone."""

from collections.abc import Iterator, Sequence

from textual import events
from textual.message import Message

from itaudit.sanitize import visible_line
from itaudit.tui.labels import label_mark
from itaudit.tui.layout import shortened, text_cells
from itaudit.tui.stepping import PromptRow
from itaudit.tui.widgets.panel import Panel, Piece
from itaudit.units import kl_text

LINES = 2
ROOMY = 28
"""Cells from which the figures are written out."""


class PromptList(Panel):
    """Prompts with the figures of the current model's answers."""

    class Chosen(Message):
        """Somebody clicked on a prompt; `place` is where it stands in the list."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._rows: Sequence[PromptRow] = ()
        self._place = 0

    def show(self, rows: Sequence[PromptRow], place: int) -> None:
        """Shows rows with the one at `place` in sight and told apart."""
        if rows is self._rows and place == self._place:
            return
        self._rows, self._place = rows, place
        self.changed()
        self.revealed_again()

    def revealed_again(self) -> None:
        self.reveal(self._place * LINES, self._place * LINES + LINES - 1)

    def lay_out(self, width: int) -> int:  # noqa: ARG002  the same at every width
        return max(len(self._rows), 1) * LINES

    def pieces(self, y: int) -> Iterator[Piece]:
        if not self._rows:
            yield (" no prompts" if y == 0 else "", "dim")
            return
        place, line = divmod(y, LINES)
        row = self._rows[place]
        current = " row" if place == self._place else ""
        room = self.inner_width
        for text, names in _figures(row, room) if line else _heading(row, place == self._place, room):
            short = shortened(text, room)
            room -= text_cells(short)
            yield short, names + current
        yield " " * room, current

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is not None:
            place = (offset.y + self.scroll_offset.y) // LINES
            if place < len(self._rows):
                self.post_message(self.Chosen(place))


def _heading(row: PromptRow, current: bool, width: int) -> list[Piece]:
    return [
        ("▸ " if current else "  ", ""),
        (f"{shortened(visible_line(row.prompt.id), max(width // 3, 4))} ", "dim"),
        (row.start, ""),
    ]


def _figures(row: PromptRow, width: int) -> Iterator[Piece]:
    roomy = width >= ROOMY
    gap = "  " if roomy else " "
    yield gap * 2 if roomy else "  ", ""
    if row.shift is not None:
        share = 100 * row.shift.share_shifted
        yield (f"S {share:4.1f} %" if roomy else f"S {share:2.0f} %"), "dim"
        if row.shift.kl_mean is not None:
            yield f"{gap}KL {kl_text(row.shift.kl_mean, 2)}", "dim"
    else:
        scoring = "answered, not scored" if roomy else "not scored"
        yield (scoring if row.answered else "not answered"), "dim"
    if row.marks:
        mark = label_mark("hallucinated")
        yield f"{gap}{mark}{row.marks:2}" if roomy else f" {mark}{row.marks}", "hallucinated"
