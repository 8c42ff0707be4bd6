"""Tables of results to read, however many: laid out beside the screen, and painted line by line."""

from collections.abc import Callable, Sequence

from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from itaudit.analysis.table import Table
from itaudit.sanitize import visible_line
from itaudit.tui.background import Background
from itaudit.tui.layout import wrap
from itaudit.tui.table_text import MUTED, table_lines


class TablesText(Widget):
    """As high as its lines are many, so that whatever holds it scrolls; no line is broken anew."""

    DEFAULT_CSS = """
    TablesText { width: 1fr; height: 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tables: tuple[Table, ...] = ()
        self._width = 0
        self._lines: list[Content] = []
        self._laying: Background[list[Content]] = Background(self)

    @property
    def busy(self) -> bool:
        """Whether not all tables stand there yet."""
        return self._laying.busy

    def on_unmount(self) -> None:
        self._laying.cancel()

    def show(self, tables: Sequence[Table], width: int) -> None:
        """Shows tables at a width in cells: the first as soon as it is laid out, with a line on those to come.

        What stands there stays until there is as much again, where more tables of the same names come.
        """
        same = len(tables) == len(self._tables) and all(map(_is, tables, self._tables))
        if same and width == self._width:
            return
        before = [table.name for table in self._tables]
        instead = bool(before) and before == [table.name for table in tables[: len(before)]]
        self._tables, self._width = tuple(tables), width
        if not instead:
            self._take([_to_come(len(tables))])

        def work(report: Callable[[list[Content]], None]) -> None:
            lines: list[Content] = []
            for number, table in enumerate(tables):
                lines += [Content(), *table_lines(table, width)] if number else table_lines(table, width)
                if not number and not instead and len(tables) > 1:
                    report([*lines, Content(), _to_come(len(tables) - 1)])
            report(lines)

        self._laying.start(work, self._take, fail=lambda problem: self.say(problem, width, "$error"))

    def say(self, text: str, width: int, style: str = MUTED) -> None:
        """Says something in place of tables, broken into lines."""
        self._laying.cancel()
        self._tables, self._width = (), 0
        text = visible_line(text)
        self._take([Content.styled(text[line.start : line.end].rstrip(), style) for line in wrap(text, width)])

    def _take(self, lines: list[Content]) -> None:
        self._lines = lines
        self.styles.height = max(1, len(lines))
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        base = self.visual_style
        line = self._lines[y] if y < len(self._lines) else Content()
        return Strip(line.render_segments(base)).adjust_cell_length(self.size.width, base.rich_style)


def _is(one: Table, other: Table) -> bool:
    return one is other


def _to_come(count: int) -> Content:
    return Content.styled(f"laying out {count} {'table' if count == 1 else 'tables'} …", MUTED)
