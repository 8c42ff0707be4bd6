"""A question at the foot of the screen that one key answers."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from itaudit.sanitize import visible
from itaudit.tui.choices_text import in_rows


class ChoiceScreen(ModalScreen[str]):
    """Asks, and gives the key that was chosen; an empty text for escape.

    `choices` are keys and what they do. Enter takes the first of them where `enter` says so.
    """

    CSS = """
    ChoiceScreen { background: transparent; align: left bottom; }
    ChoiceScreen Static { width: 1fr; height: auto; padding: 0 1; background: $panel; border-top: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "choose('')", "back", id="choice.back", show=False),
        Binding("enter", "enter", "the first choice", id="choice.enter", show=False),
    ]

    def __init__(self, question: str, choices: Sequence[tuple[str, str]], *, enter: bool = False) -> None:
        super().__init__()
        self.question = question
        self.choices = tuple(choices)
        self.enter = enter

    def compose(self) -> ComposeResult:
        yield Static(id="question", markup=False)

    def on_mount(self) -> None:
        self._paint()

    def on_resize(self) -> None:
        self._paint()

    def _paint(self) -> None:
        choices = [
            Content.assemble((key, "bold $primary"), f" {words}") for key, words in (*self.choices, ("escape", "back"))
        ]
        lines = [Content(visible(self.question)), *in_rows(choices, self.app.size.width - 2)]
        self.query_one("#question", Static).update(Content("\n").join(lines))

    def on_key(self, event: events.Key) -> None:
        if event.character and event.character in dict(self.choices):
            event.stop()
            self.dismiss(event.character)

    def action_choose(self, key: str) -> None:
        self.dismiss(key)

    def action_enter(self) -> None:
        if self.enter:
            self.dismiss(self.choices[0][0])
