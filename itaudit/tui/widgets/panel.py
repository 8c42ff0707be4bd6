"""A scrolling panel that draws one line at a time, so that its length costs nothing."""

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import add
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from itaudit.tui.layout import wrap
from itaudit.tui.token_shapes import TOKEN_SHAPES

Piece = tuple[str, str]
"""Text that is safe to show, and the names of its styles parted by blanks: `("Luigi", "shifted hallucinated")`.

The names are those of Panel.COMPONENT_CLASSES without `panel--`; none is the plain style.
"""

_TOKEN_CSS = "\n".join(
    f".panel--{name} {{ color: ${name}; text-style: {shape}; }}" for name, shape in TOKEN_SHAPES.items()
)


class Panel(ScrollView, can_focus=False):
    """Lines under a titled rule. Subclasses say how many lines there are, and what is in each."""

    ALLOW_SELECT = False

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "panel--dim",
        "panel--strong",
        "panel--heading",
        "panel--unshifted",
        "panel--marginal",
        "panel--shifted",
        "panel--hallucinated",
        "panel--unsupported",
        "panel--style",
        "panel--correct",
        "panel--own",
        "panel--candidate",
        "panel--cursor",
        "panel--bracket",
        "panel--selected",
        "panel--evidence",
        "panel--base",
        "panel--tuned",
        "panel--row",
    }

    DEFAULT_CSS = """
    Panel {
        border-top: solid $foreground 30%;
        border-title-color: $foreground 70%;
        border-title-style: none;
        border-title-align: left;
        overflow-x: hidden;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        background: $background;
        color: $foreground;
        &.-active { border-top: solid $primary; border-title-color: $primary; border-title-style: bold; }
        .panel--dim { text-style: dim; }
        .panel--strong { text-style: bold; }
        .panel--heading { color: $primary; text-style: bold; }
        %TOKENS%
        .panel--unsupported { color: $warning; text-style: bold; }
        .panel--style { color: $accent; }
        .panel--correct { color: $success; }
        .panel--own { color: $primary; text-style: bold; }
        .panel--candidate { color: $hallucinated; text-style: bold; }
        .panel--bracket { color: $cursor; text-style: bold; }
        .panel--selected { color: $cursor; text-style: reverse; }
        .panel--base { color: $primary; }
        .panel--tuned { color: $accent; }
        .panel--row { text-style: bold; background: $panel; }
    }
    """.replace("%TOKENS%", _TOKEN_CSS)

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._styles_by_name: dict[str, Style] = {}
        self._laid_out_for = -1

    def lay_out(self, width: int) -> int:
        """Prepares the lines for a width in cells; returns how many there are."""
        raise NotImplementedError

    def pieces(self, y: int) -> Iterable[Piece]:
        """What stands in a line."""
        raise NotImplementedError

    @property
    def inner_width(self) -> int:
        """Cells that a line has."""
        return self.scrollable_content_region.width

    def title(self, *pieces: Piece) -> None:
        """Puts text on the rule above the lines."""
        text = "".join(text for text, _ in pieces)
        self.border_title = Content(f" {text} " if text else "")

    def changed(self) -> None:
        """Draws everything anew."""
        self._laid_out_for = self.inner_width
        self.virtual_size = Size(self._laid_out_for, self.lay_out(self._laid_out_for))
        self.refresh()

    def reveal(self, first: int, last: int) -> None:
        """Scrolls so that the lines from `first` to `last` are in sight, as little as that takes."""
        height = self.scrollable_content_region.height
        if height <= 0:
            return
        top = self.scroll_offset.y
        if last >= top + height:
            top = last - height + 1
        if first < top:
            top = first
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, immediate=True, force=True)

    def on_resize(self, _: events.Resize) -> None:
        if self.inner_width != self._laid_out_for:
            self.changed()
        self.revealed_again()

    def revealed_again(self) -> None:
        """Called when the size has changed, to bring back into sight what should be."""

    def notify_style_update(self) -> None:
        self._styles_by_name.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        line = y + self.scroll_offset.y
        width = self.inner_width
        if not 0 <= line < self.virtual_size.height:
            return Strip.blank(width, self.rich_style)
        pieces = [piece for piece in self.pieces(line) if piece[0]]
        strip = Strip([Segment(text, self._style(names)) for text, names in pieces])
        # Only a row's background goes on to the edge.
        row = bool(pieces) and "row" in pieces[-1][1]
        return strip.adjust_cell_length(width, self._style("row") if row else self.rich_style)

    def _style(self, names: str) -> Style:
        if names not in self._styles_by_name:
            parts = (self.get_component_rich_style(f"panel--{name}", partial=True) for name in names.split())
            self._styles_by_name[names] = reduce(add, parts, self.rich_style)
        return self._styles_by_name[names]


def wrapped(pieces: list[Piece], width: int, indent: int = 4) -> Iterator[list[Piece]]:
    """Pieces of text broken into lines that are indented, less where there is no room."""
    indent = indent if width > 24 else min(indent, 1)
    text = "".join(piece for piece, _ in pieces)
    for line in wrap(text, width - indent):
        row: list[Piece] = [(" " * indent, "")] if indent else []
        offset = 0
        for piece, names in pieces:
            start, end = max(line.start - offset, 0), min(line.end - offset, len(piece))
            if start < end:
                row.append((piece[start:end], names))
            offset += len(piece)
        yield row


def dim_lines(text: str, width: int) -> list[list[Piece]]:
    """A remark, broken into lines."""
    return [[(text[line.start : line.end].rstrip("\n"), "dim")] for line in wrap(text, width)]
