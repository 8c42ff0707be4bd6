"""A list in a frame over the screen underneath, for choosing."""

from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen

from itaudit.tui.widgets.line_list import LineList

Chosen = TypeVar("Chosen")


class ListScreen(ModalScreen[Chosen | None]):
    """Shows lines that subclasses make; escape closes it, and then nothing is chosen."""

    DEFAULT_CSS = """
    ListScreen { align: center middle; }
    ListScreen LineList {
        width: 64; max-width: 100%; height: auto; max-height: 90%; border: round $primary;
        border-title-color: $primary; border-subtitle-color: $foreground-muted; background: $surface;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "close", "close", id="chooser.close", show=False)]
    TITLE = ""
    KEYS = "enter chooses · escape closes"

    def compose(self) -> ComposeResult:
        lines = LineList(self.line, self.count(), can_stand=self.can_stand)
        lines.border_title = Content(self.TITLE)
        lines.border_subtitle = Content(self.KEYS)
        yield lines

    def on_mount(self) -> None:
        self.fit()

    def fit(self) -> None:
        """Takes as many lines as there are, and makes them anew."""
        lines = self.query_one(LineList)
        lines.styles.height = max(1, self.count()) + 2
        lines.show(self.count())

    def count(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    def line(self, position: int, width: int) -> Content:
        """A line in a width."""
        raise NotImplementedError

    def can_stand(self, position: int) -> bool:
        """Whether a line can be chosen."""
        return 0 <= position < self.count()

    def action_close(self) -> None:
        self.dismiss(None)
