"""A long text to read, wrapped once and painted line by line, so that a new text costs no layout of the screen."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

MARGIN = 1


class ReadingPane(ScrollView, can_focus=True):
    """Shows a text from its beginning, or from the line of its focus where that would lie below."""

    DEFAULT_CSS = """
    ReadingPane { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll_down", "scroll down", id="reading.down", show=False),
        Binding("k,up", "scroll_up", "scroll up", id="reading.up", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._content = Content()
        self._focus: int | None = None
        self._lines: list[Content] = []
        self._width = 0
        self._placed = 0

    def show(self, content: Content, focus: int | None = None, *, keep: bool = False) -> None:
        """Shows a text; `focus` is an offset in it that is brought into view, unless the place is kept."""
        self._content, self._focus = content, focus
        self._wrap(keep)

    def on_resize(self) -> None:
        if self.scrollable_content_region.width != self._width:
            self._wrap()
        elif self.scroll_target_y == self._placed:
            # Nobody scrolled: what was in view must be so at the new height too.
            self._place(self._width - 2 * MARGIN)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.refresh()

    def _wrap(self, keep: bool = False) -> None:
        self._width = self.scrollable_content_region.width
        width = self._width - 2 * MARGIN
        if width < 1:
            self._lines = []
            return
        self._lines = self._content.wrap(width)
        # Set without the layout of the whole screen that Textual would do for it, at every key.
        size = Size(0, len(self._lines))
        self.set_reactive(Widget.virtual_size, size)
        self._scroll_update(size)
        if not keep:
            self._place(width)
        self.refresh()

    def _place(self, width: int) -> None:
        if width > 0:
            self._placed = self._first_line(width)
            self.scroll_to(y=self._placed, animate=False)

    def _first_line(self, width: int) -> int:
        height = self.scrollable_content_region.height
        if self._focus is None or not height:
            return 0
        line = len(self._content[: self._focus + 1].wrap(width)) - 1
        return 0 if line < height - 1 else max(0, line - height // 3)

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        number = y + self.scroll_offset.y
        base = self.visual_style
        if number >= len(self._lines):
            return Strip.blank(width, base.rich_style)
        line = Content(" " * MARGIN) + self._lines[number]
        return Strip(line.render_segments(base)).adjust_cell_length(width, base.rich_style)
