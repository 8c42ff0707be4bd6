"""The last line of every screen: as many keys as fit."""

from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual.screen import Screen
from textual.widget import Widget

from itaudit.tui.layout import text_cells


class KeyBar(Widget, can_focus=False):
    """The screen's bindings in their order of importance; `?` leads to the rest of them."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; width: 1fr; background: $panel; color: $foreground; }
    KeyBar .key-bar--key { color: $primary; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key"}

    _instead: list[tuple[str, str]] | None = None

    def show_instead(self, entries: list[tuple[str, str]] | None) -> None:
        """Shows other keys than the screen's, while a line of text is typed; None shows the screen's again."""
        self._instead = entries
        self.refresh()

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, _: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Text:
        key_style = self.get_component_rich_style("key-bar--key", partial=True)
        text = Text(no_wrap=True)
        for keys, description in fitting(self._instead or list(self._entries()), self.size.width):
            text.append(f" {keys}", key_style)
            text.append(f" {description} ")
        return text

    def _entries(self) -> Iterator[tuple[str, str]]:
        keys: dict[str, list[str]] = {}
        seen: set[str | None] = set()
        # Textual lists what a screen inherits first; what the screen itself binds matters more, or what it says.
        own = [getattr(binding, "id", None) for binding in type(self.screen).BINDINGS]
        order = {id: number for number, id in enumerate(getattr(self.screen, "KEY_ORDER", own))}
        actives = self.screen.active_bindings.values()
        for active in sorted(actives, key=lambda active: order.get(active.binding.id, len(order))):
            binding = active.binding
            # Of several keys for the same, the first one is enough here.
            if binding.show and active.enabled and binding.description and binding.id not in seen:
                seen.add(binding.id)
                keys.setdefault(binding.description, []).append(self.app.get_key_display(binding))
        help = keys.pop("help", None)
        if help:
            yield help[0], "help"
        for description, names in keys.items():
            yield _joined(names), description


def _joined(keys: list[str]) -> str:
    """`h/l`; for a row of numbers `1-3`."""
    if len(keys) > 2 and all(key.isdigit() for key in keys):
        return f"{keys[0]}-{keys[-1]}"
    return "/".join(keys)


def fitting(entries: list[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """The entries that fit in `width` cells; the first, help, is kept before all and stands last."""
    if not entries:
        return []
    first, *others = entries
    room = width - _cells(first)
    kept = []
    for entry in others:
        room -= _cells(entry)
        if room < 0:
            break
        kept.append(entry)
    return [*kept, first]


def _cells(entry: tuple[str, str]) -> int:
    return text_cells(entry[0]) + text_cells(entry[1]) + 3
