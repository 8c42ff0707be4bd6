"""The column that a dataset is listed by, and the direction."""

from collections.abc import Sequence

from textual.content import Content

from itaudit.sanitize import visible_line
from itaudit.tui.screens.list_screen import ListScreen
from itaudit.tui.widgets.line_list import LineList


class SortScreen(ListScreen[str]):
    """Gives the name of a column, with a minus before it for descending, or an empty text for the dataset's order."""

    TITLE = "sort by"

    def __init__(self, columns: Sequence[tuple[str, bool]], current: str) -> None:
        """`columns` are names, and whether each holds numbers: those are wanted largest first."""
        super().__init__()
        self.current = current
        self.choices: list[tuple[str, str]] = [("", "the dataset's order")]
        for name, number in columns:
            ways = [(f"-{name}", "↓", "largest first" if number else "z to a")]
            ways.insert(1 if number else 0, (name, "↑", "smallest first" if number else "a to z"))
            self.choices += [(sort, f"{name} {arrow} {words}") for sort, arrow, words in ways]

    def on_mount(self) -> None:
        super().on_mount()
        sorts = [sort for sort, _ in self.choices]
        self.query_one(LineList).stand_on(sorts.index(self.current) if self.current in sorts else 0)

    def count(self) -> int:
        return len(self.choices)

    def line(self, position: int, width: int) -> Content:
        sort, words = self.choices[position]
        mark = "● " if sort == self.current else "  "
        return Content.assemble((mark, "$accent"), visible_line(words)).truncate(max(1, width), ellipsis=True)

    def on_line_list_opened(self, message: LineList.Opened) -> None:
        self.dismiss(self.choices[message.position][0])
