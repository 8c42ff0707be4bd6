"""Which models stand side by side."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from itaudit.runs.cells import Cell
from itaudit.runs.side_by_side import MOST
from itaudit.sanitize import visible_line
from itaudit.tui.screens.list_screen import ListScreen
from itaudit.tui.telling import say
from itaudit.tui.widgets.line_list import LineList


class PickModelsScreen(ListScreen[tuple[Cell, ...]]):
    """Lists models; those that are chosen have numbers in the order in which they will stand."""

    TITLE = "models side by side"
    KEYS = "space takes · enter shows · escape closes"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "take", "take", id="pick_models.take", show=False, tooltip="Take or leave a model"),
    ]

    def __init__(self, cells: Sequence[Cell], chosen: Sequence[Cell]) -> None:
        super().__init__()
        self.cells = tuple(cells)
        places = {_place(cell): cell for cell in cells}
        self.chosen = [places[_place(cell)] for cell in chosen if _place(cell) in places]
        self._several = len({cell.run.path for cell in cells}) > 1

    def count(self) -> int:
        return len(self.cells)

    def line(self, position: int, width: int) -> Content:
        cell = self.cells[position]
        number = f"[{self.chosen.index(cell) + 1}]" if cell in self.chosen else "[ ]"
        facts = []
        if cell.size is not None and not cell.is_base:
            facts.append(f"{cell.size:,} instances")
        if not cell.scored:
            facts.append("not all scored")
        where = f"{visible_line(cell.run.name)} " if self._several else ""
        line = Content.assemble(
            f"{number} {where}", (visible_line(cell.label), "bold"), (f"  {', '.join(facts)}", "$foreground-muted")
        )
        return line.truncate(max(1, width), ellipsis=True)

    def action_take(self) -> None:
        lines = self.query_one(LineList)
        cell = self.cells[lines.cursor]
        if cell in self.chosen:
            self.chosen.remove(cell)
        elif len(self.chosen) == MOST:
            say(self.app, f"{MOST} models stand side by side at most; leave one with space first")
            return
        else:
            self.chosen.append(cell)
        lines.remake()

    def on_line_list_opened(self, event: LineList.Opened) -> None:
        self.dismiss(tuple(self.chosen) or (self.cells[event.position],))


def _place(cell: Cell) -> tuple[object, str]:
    return cell.run.path, cell.label
