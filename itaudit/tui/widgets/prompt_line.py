"""One line at the foot of a screen: what happened, or a question with room for its answer."""

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

from itaudit.sanitize import visible_line
from itaudit.tui.widgets.key_bar import KeyBar

_LINGER = 0.025
"""Seconds that a closed question stays in sight: to put it away takes a layout, and its answer should come first."""


class PromptLine(Vertical):
    """Says one line, or asks for one, with a hint below. It takes no room while it has nothing to say."""

    DEFAULT_CSS = """
    PromptLine { height: auto; max-height: 4; display: none; background: $panel; padding: 0 1; }
    PromptLine.-said, PromptLine.-asking { display: block; }
    PromptLine > Horizontal { height: auto; max-height: 3; }
    PromptLine #said { width: 1fr; height: auto; }
    PromptLine Input { display: none; width: 1fr; border: none; height: 1; padding: 0; background: $panel; }
    PromptLine.-asking #said { width: auto; max-width: 50%; margin: 0 1 0 0; }
    PromptLine.-asking Input { display: block; }
    PromptLine > #hint { display: none; height: auto; max-height: 2; color: $foreground-muted; }
    PromptLine.-asking.-hinting > #hint { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "close", id="prompt.cancel", show=False)]

    class Reply(Message):
        """What became of the question named `question`."""

        def __init__(self, question: str, answer: str) -> None:
            super().__init__()
            self.question = question
            self.answer = answer

    class Answered(Reply):
        """The answer, by enter."""

    class Typed(Reply):
        """The answer as far as it is typed."""

    class Cancelled(Reply):
        """The question was closed without an answer."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.question = ""
        self._spoke = False

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(id="said", markup=False)
            yield Input(compact=True)
        yield Static(id="hint", markup=False)

    def say(self, text: str, style: str = "") -> None:
        """Shows a line; an empty one takes it away. A question that is open stays open."""
        if not self.question:
            self._spoke = bool(text)
            self.query_one("#said", Static).update(Content.styled(visible_line(text), style))
            self.set_class(bool(text), "-said")

    def ask(
        self,
        question: str,
        label: str,
        *,
        answer: str = "",
        hint: str = "",
        suggester: Suggester | None = None,
        replace: bool = True,
    ) -> None:
        """Asks for a line, and takes the focus until it is answered or closed.

        What is typed first takes the place of the `answer` that stands there, or goes on from it without `replace`.
        """
        self.question = question
        self.hint(hint)
        self.query_one("#said", Static).update(Content.styled(label, "bold $primary"))
        field = self.query_one(Input)
        field.suggester = suggester
        with field.prevent(Input.Changed):
            field.value = answer
        field.select_on_focus = replace
        for bar in self.screen.query(KeyBar):
            bar.show_instead([("esc", "cancel"), ("⏎", "done")])
        self.add_class("-asking")
        field.focus()
        if not replace:
            field.cursor_position = len(field.value)

    def hint(self, text: str, style: str = "") -> None:
        """Shows a line below the one that is typed; an empty one takes it away."""
        self.query_one("#hint", Static).update(Content.styled(visible_line(text), style))
        self.set_class(bool(text), "-hinting")

    def action_cancel(self) -> None:
        self._close(self.Cancelled)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.question:
            self.post_message(self.Typed(self.question, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close(self.Answered)

    def _close(self, message: type[Reply]) -> None:
        """Closes the question; what the screen makes of the answer is painted before the prompt is put away."""
        question, self.question = self.question, ""
        if not question:
            return
        self._spoke = False
        self.screen.post_message(message(question, self.query_one(Input).value))
        self.set_timer(_LINGER, self._put_away)

    def _put_away(self) -> None:
        if self.question:
            # Asked again meanwhile.
            return
        if not self._spoke:
            self.query_one("#said", Static).update("")
        self.remove_class("-asking", "-hinting")
        self.set_class(self._spoke, "-said")
        for bar in self.screen.query(KeyBar):
            bar.show_instead(None)


class PathSuggester(Suggester):
    """Completes a path by what is in its folder; the right arrow takes the suggestion."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        folder, _, start = value.rpartition("/")
        place = Path(f"{folder}/" if value.startswith("/") or folder else ".").expanduser()
        if not start:
            return None
        try:
            found = min(path for path in place.iterdir() if path.name.startswith(start))
            ending = "/" if found.is_dir() else ""
        except (OSError, ValueError, RuntimeError):
            return None
        return value + found.name[len(start) :] + ending
