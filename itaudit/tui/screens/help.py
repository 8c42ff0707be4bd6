"""Help: the keys of the screen underneath as they are bound now, and what the token classes look like."""

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from itaudit.sanitize import visible_line
from itaudit.tui.token_shapes import TOKEN_SHAPES

LEGEND = (
    ("unshifted", "rank 0: the base model's own first choice"),
    ("marginal", "rank 1 or 2 in the base model's distribution"),
    ("shifted", "rank 3 or more: what tuning brought in"),
    ("hallucinated", "marked as hallucinated, followed by ✗"),
    ("cursor", "the position that the panels tell about"),
    ("evidence", "the stretch of a source that matches"),
)
"""Token class and meaning, with the thresholds as they are unless a recipe sets others."""

_WIDTH, _EDGES, _WORDS = 84, 5, 38
"""Cells of the box, of its border, padding and scrollbar, and of what a key does where there is room for its id."""

_GROUPS = {"list": "lists", "app": "everywhere", "prompt": "questions", "help": "help", "": "others"}


class HelpScreen(ModalScreen[None]):
    """Lists bindings by group with their ids, which `keys.toml` in the config directory gives other keys."""

    CSS = """
    HelpScreen { align: center middle; }
    HelpScreen #help {
        width: %WIDTH%; max-width: 100%; height: auto; max-height: 100%; background: $surface; border: round $primary;
        border-title-color: $primary; border-subtitle-color: $foreground-muted; padding: 0 1;
        scrollbar-size-vertical: 1;
    }
    """.replace("%WIDTH%", str(_WIDTH))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "close", "close", id="help.close"),
        Binding("j,down", "scroll(1)", "down", id="help.down", show=False),
        Binding("k,up", "scroll(-1)", "up", id="help.up", show=False),
        Binding("pagedown,space", "page(1)", "page down", id="help.page_down", show=False),
        Binding("pageup", "page(-1)", "page up", id="help.page_up", show=False),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help", can_focus=False) as box:
            box.border_title = Content("keys")
            box.border_subtitle = Content("escape closes")
            yield Static(id="text", markup=False)

    def on_mount(self) -> None:
        self._paint()

    def on_resize(self) -> None:
        self._paint()

    def action_close(self) -> None:
        self.dismiss()

    def action_scroll(self, step: int) -> None:
        self.query_one("#help").scroll_relative(y=step, animate=False)

    def action_page(self, direction: int) -> None:
        box = self.query_one("#help")
        box.scroll_relative(y=direction * max(1, box.size.height - 1), animate=False)

    def _paint(self) -> None:
        stack = self.app.screen_stack
        underneath = stack[stack.index(self) - 1]
        wide = self.size.width >= 60
        parts = [
            Content.assemble((group, "bold $primary"), "\n", lines) for group, lines in self._keys(underneath, wide)
        ]
        marks = getattr(underneath, "MARKS", None)
        if marks:
            parts.append(_marks(marks))
        if not marks or getattr(underneath, "SHOWS_TOKENS", False):
            parts.append(_token_classes())
        if wide:
            parts.append(Content.styled("The right column names each binding for keys.toml.", "$foreground-muted"))
        self.query_one("#text", Static).update(Content("\n\n").join(parts))

    def _keys(self, screen: Screen[object], wide: bool) -> Iterable[tuple[str, Content]]:
        """Each group's name and lines: the screen's own group first, then those of its widgets and the app."""
        bound: dict[str, dict[str, tuple[list[str], Binding]]] = {}
        for active in screen.active_bindings.values():
            binding = active.binding
            if not binding.description or binding.system:
                continue
            group = (binding.id or "").partition(".")[0]
            name = binding.id or binding.action
            keys, _ = bound.setdefault(group, {}).setdefault(name, ([], binding))
            shown = visible_line(self.app.get_key_display(binding))
            if shown not in keys:
                keys.append(shown)
        for group in sorted(
            bound, key=lambda group: (group in _GROUPS, list(_GROUPS).index(group) if group in _GROUPS else 0)
        ):
            rows = bound[group].values()
            yield (
                _GROUPS.get(group, group),
                Content("\n").join(self._row(keys, binding, wide) for keys, binding in rows),
            )

    def _row(self, keys: list[str], binding: Binding, wide: bool) -> Content:
        words = binding.tooltip or binding.description
        line = Content.assemble("  ", (" ".join(keys).ljust(14 if wide else 9), "bold $accent"), " ")
        if not wide or not binding.id:
            return line + Content(words)
        id = Content.styled(binding.id, "$foreground-muted")
        room = min(self.size.width, _WIDTH) - _EDGES - line.cell_length
        if len(words) < _WORDS and _WORDS + id.cell_length <= room:
            return line + Content(words.ljust(_WORDS)) + id
        if len(words) + 2 + id.cell_length <= room:
            return line + Content(f"{words}  ") + id
        # Below, where it is found as well, and neither of them is cut.
        return line + Content(f"{words}\n{' ' * line.cell_length}") + id


def _token_classes() -> Content:
    lines = [
        Content.assemble("  ", (name.ljust(14), f"{TOKEN_SHAPES[name]} ${name}"), " ", (meaning, "$foreground-muted"))
        for name, meaning in LEGEND
    ]
    return Content.assemble(("token classes", "bold $primary"), "\n", Content("\n").join(lines))


def _marks(marks: Iterable[tuple[str, str]]) -> Content:
    """What the marks in a screen's list say."""
    lines = [
        Content.assemble("  ", (mark.ljust(14), "bold $accent"), " ", (meaning, "$foreground-muted"))
        for mark, meaning in marks
    ]
    return Content.assemble(("marks", "bold $primary"), "\n", Content("\n").join(lines))
