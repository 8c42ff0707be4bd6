"""The rows of a dataset that were left out."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from itaudit.data.dataset import Rejection
from itaudit.sanitize import visible_line
from itaudit.tui.widgets.line_list import LineList


class RejectedScreen(ModalScreen[None]):
    """The rows that were left out, and why."""

    CSS = """
    RejectedScreen { align: center middle; }
    RejectedScreen LineList {
        width: 90%; height: 80%; border: round $warning; border-title-color: $warning; background: $surface;
    }
    RejectedScreen #reason { width: 90%; height: auto; max-height: 5; padding: 0 1; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,exclamation_mark,q", "close", "close", id="rejected.close")
    ]

    def __init__(self, rejected: Sequence[Rejection]) -> None:
        super().__init__()
        self.rejected = rejected

    def compose(self) -> ComposeResult:
        lines = LineList(self._line, len(self.rejected))
        lines.border_title = Content(f"{len(self.rejected):,} rejected rows")
        lines.border_subtitle = Content("escape closes")
        yield lines
        yield Static(id="reason", markup=False)

    def on_line_list_moved(self, event: LineList.Moved) -> None:
        self._tell(event.position)

    def on_mount(self) -> None:
        self._tell(0)

    def action_close(self) -> None:
        self.dismiss()

    def _tell(self, position: int) -> None:
        each = self.rejected[position]
        self.query_one("#reason", Static).update(Content(f"row {each.index}: {visible_line(each.reason)}"))

    def _line(self, position: int, width: int) -> Content:
        each = self.rejected[position]
        line = Content.assemble((f"{each.index:>6}  ", "$foreground-muted"), visible_line(each.reason[: 2 * width]))
        return line.truncate(max(1, width), ellipsis=True)
