"""A list of any length, one line an entry, of which only the lines on the screen are ever made."""

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

CURSOR = "▸"


class LineList(ScrollView, can_focus=True):
    """Shows `line(position, width)` for each of `count` positions, and moves a cursor over those that can be chosen.

    The text of a line is the caller's to sanitise; a mark tells the cursor's line where colours can't. `moved` is
    called before the message is posted, for what has to be painted together with the list.
    """

    DEFAULT_CSS = """
    LineList { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", id="list.down", show=False),
        Binding("k,up", "move(-1)", "up", id="list.up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "page down", id="list.page_down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "page up", id="list.page_up", show=False),
        Binding("home,less_than_sign", "first", "first", id="list.first", show=False),
        Binding("end,G,greater_than_sign", "last", "last", id="list.last", show=False),
        Binding("enter", "select", "open", id="list.open"),
    ]

    cursor: reactive[int] = reactive(0, repaint=False)

    class Moved(Message):
        """The cursor stands on another line."""

        def __init__(self, lines: "LineList", position: int) -> None:
            super().__init__()
            self.lines = lines
            self.position = position

        @property
        def control(self) -> "LineList":
            return self.lines

    class Opened(Moved):
        """A line was chosen with enter or a click."""

    def __init__(
        self,
        line: Callable[[int, int], Content],
        count: int = 0,
        *,
        can_stand: Callable[[int], bool] = lambda _: True,
        moved: Callable[[], None] | None = None,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._moved = moved
        self._line = line
        self._can_stand = can_stand
        self.count = count
        self._made: LRUCache[tuple[int, int], Content] = LRUCache(512)

    def on_mount(self) -> None:
        self.show(self.count)

    def show(self, count: int) -> None:
        """Shows `count` lines, made anew; the cursor stays where it is, or goes to the nearest line there is."""
        self.count = count
        self._made.clear()
        self.virtual_size = Size(0, count)
        self.cursor = self._nearest(min(self.cursor, count - 1), 1)
        self.refresh()

    def grow(self, count: int) -> None:
        """Shows more lines after those there are, which stay as they are made."""
        before, self.count = self.count, count
        # Set without the layout of the whole screen that Textual would do for it, several times a second.
        size = Size(0, count)
        self.set_reactive(Widget.virtual_size, size)
        self._scroll_update(size)
        if before < self.scroll_offset.y + self.size.height:
            self.refresh()

    def remake(self) -> None:
        """Makes the lines anew where they are: what they tell has changed."""
        self._made.clear()
        self.refresh()

    def stand_on(self, position: int, *, below: int | None = None) -> None:
        """Puts the cursor on a line and brings it into view, `below` so many lines of the list where that is given."""
        self.cursor = self._nearest(position, 1)
        if below is not None:
            self.scroll_to(y=max(0, self.cursor - below), animate=False, immediate=True, force=True)
        self._into_view()

    def watch_cursor(self, before: int, now: int) -> None:
        if before != now:
            for line in (before, now):
                self.refresh(Region(0, line - self.scroll_offset.y, self.size.width, 1))
            if self._moved is not None:
                self._moved()
            self.post_message(self.Moved(self, now))

    def on_resize(self) -> None:
        self._into_view()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        position = y + self.scroll_offset.y
        base = self.visual_style
        if position >= self.count:
            return Strip.blank(width, base.rich_style)
        here = position == self.cursor and self._can_stand(position)
        mark = Content.styled(f"{CURSOR} ", "bold $cursor" if self.has_focus else "$cursor") if here else Content("  ")
        key = (position, max(0, width - 2))
        line = self._made.get(key)
        if line is None:
            line = self._made[key] = self._line(*key)
        content = mark + line
        if here:
            base += Style.parse("on $panel")
        return Strip(content.render_segments(base)).adjust_cell_length(width, base.rich_style)

    def action_move(self, step: int) -> None:
        self.cursor = self._nearest(self.cursor + step, step)
        self._into_view()

    def action_page(self, direction: int) -> None:
        step = direction * max(1, self.scrollable_content_region.height - 1)
        self.cursor = self._nearest(max(0, min(self.count - 1, self.cursor + step)), direction)
        self._into_view()

    def action_first(self) -> None:
        self.scroll_to(y=0, animate=False)
        self.stand_on(0)

    def action_last(self) -> None:
        self.cursor = self._nearest(self.count - 1, -1)
        self._into_view()

    def action_select(self) -> None:
        if self.count and self._can_stand(self.cursor):
            self.post_message(self.Opened(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        position = event.y + self.scroll_offset.y
        if 0 <= position < self.count and self._can_stand(position):
            again = position == self.cursor
            self.cursor = position
            if again or event.chain == 2:
                self.action_select()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def _nearest(self, position: int, direction: int) -> int:
        """The nearest line that the cursor can stand on, in a direction first, then in the other; 0 without any."""
        direction = 1 if direction > 0 else -1
        for step in (direction, -direction):
            candidate = max(0, min(self.count - 1, position))
            while 0 <= candidate < self.count:
                if self._can_stand(candidate):
                    return candidate
                candidate += step
        return 0

    def _into_view(self) -> None:
        height = self.scrollable_content_region.height
        if not height:
            return
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)
