"""Which columns the list of a dataset shows, and in which order."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from itaudit.sanitize import visible_line
from itaudit.tui.screens.list_screen import ListScreen
from itaudit.tui.widgets.line_list import LineList


class ColumnsScreen(ListScreen[list[str]]):
    """Gives the names of the columns that were chosen, in their order, once it is closed."""

    TITLE = "columns"
    KEYS = "enter shows/hides · [ ] move · escape closes"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "show_or_hide", "show or hide", id="columns.toggle"),
        Binding("left_square_bracket", "shift(-1)", "move up", id="columns.up"),
        Binding("right_square_bracket", "shift(1)", "move down", id="columns.down"),
    ]

    def __init__(self, available: Sequence[str], chosen: Sequence[str]) -> None:
        super().__init__()
        # A column that this dataset lacks stays chosen for those that have it.
        self._absent = [name for name in chosen if name not in available]
        self._chosen = {name for name in chosen if name in available}
        first = [name for name in chosen if name in available]
        self.names = first + [name for name in available if name not in first]

    def count(self) -> int:
        return len(self.names)

    def line(self, position: int, width: int) -> Content:
        name = self.names[position]
        box = ("[x] ", "bold $accent") if name in self._chosen else ("[ ] ", "$foreground-muted")
        return Content.assemble(box, visible_line(name)).truncate(max(1, width), ellipsis=True)

    def on_line_list_opened(self) -> None:
        self.action_show_or_hide()

    def action_show_or_hide(self) -> None:
        lines = self.query_one(LineList)
        self._chosen ^= {self.names[lines.cursor]}
        lines.remake()

    def action_shift(self, step: int) -> None:
        """Moves the column at the cursor among the others."""
        lines = self.query_one(LineList)
        here, there = lines.cursor, lines.cursor + step
        if 0 <= there < len(self.names):
            self.names[here], self.names[there] = self.names[there], self.names[here]
            lines.remake()
            lines.stand_on(there)

    def action_close(self) -> None:
        self.dismiss([name for name in self.names if name in self._chosen] + self._absent)
