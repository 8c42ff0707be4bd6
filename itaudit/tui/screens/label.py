"""Which label a mark gets, and a note: asked at the foot of the screen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from itaudit.sanitize import visible_line
from itaudit.tui.choices_text import in_rows
from itaudit.tui.labels import LABEL_MARKS, OWN_MARK, label_mark, label_style
from itaudit.tui.layout import shortened

KEYS = {"h": "hallucinated", "u": "unsupported", "s": "style", "c": "correct"}
OTHER = "o"
LONGEST = 40
"""Characters of a label at most."""
_COLORS = {
    "hallucinated": "$hallucinated",
    "unsupported": "$warning",
    "style": "$accent",
    "correct": "$success",
    "own": "$primary",
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """What was chosen."""

    label: str
    note: str


class LabelScreen(ModalScreen[Labelled | None]):
    """A label by one key, then a note; None for escape. `own` are the user's labels, the most used first."""

    AUTO_FOCUS = ""
    CSS = """
    LabelScreen { background: transparent; align: left bottom; }
    LabelScreen Static { width: 1fr; height: auto; background: $panel; padding: 0 1; }
    LabelScreen #question { border-top: solid $primary; }
    LabelScreen Input { display: none; border: none; height: 1; padding: 0 1; background: $panel; }
    LabelScreen.-typing Input { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "back", id="label.back", show=False)]

    def __init__(self, text: str, own: Sequence[str], note: str = "") -> None:
        super().__init__()
        self.text = text
        self.own = tuple(own)
        self.note = note
        self.label = ""
        self._numbered = dict(zip("123456789", self.own, strict=False))

    def compose(self) -> ComposeResult:
        yield Static(id="question", markup=False)
        yield Input(compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        self._ask_label()

    def _ask_label(self) -> None:
        self.label = ""
        self.remove_class("-typing")
        self.set_focus(None)
        choices = [
            Content.assemble(
                (key, "bold $primary"),
                " ",
                (label_mark(label), _COLORS[label_style(label)]),
                f" {shortened(visible_line(label), LONGEST)}",
            )
            for key, label in (*KEYS.items(), *self._numbered.items())
        ]
        choices.append(Content.assemble((OTHER, "bold $primary"), " ", (OWN_MARK, _COLORS["own"]), " another"))
        choices.append(Content.assemble(("escape", "bold $primary"), " back"))
        lines = [Content(f"label of “{self._short()}”"), *in_rows(choices, self.app.size.width - 2)]
        self.query_one("#question", Static).update(Content("\n").join(lines))

    def _short(self) -> str:
        return shortened(visible_line(self.text), max(self.app.size.width - 14, 8))

    def on_key(self, event: events.Key) -> None:
        if self.has_class("-typing"):
            return
        character = event.character or ""
        if character in KEYS or character in self._numbered:
            event.stop()
            self._ask_note(KEYS.get(character) or self._numbered[character])
        elif character == OTHER:
            event.stop()
            self._type("label", "", f"a label of your own for “{self._short()}”")

    def _ask_note(self, label: str) -> None:
        self.label = label
        self._type("note", self.note, f"{label_mark(label)} {visible_line(label)}: a note, or enter for none")

    def _type(self, what: str, text: str, question: str) -> None:
        self.query_one("#question", Static).update(Content(question))
        field = self.query_one(Input)
        field.suggester = SuggestFromList(self.own) if what == "label" and self.own else None
        field.max_length = LONGEST if what == "label" else None
        field.value = text
        field.cursor_position = len(text)
        self.add_class("-typing")
        field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        if self.label:
            self.dismiss(Labelled(self.label, text))
        elif text:
            # The usual labels may be typed, too, in whatever case.
            self._ask_note(text.lower() if text.lower() in LABEL_MARKS else text)

    def action_back(self) -> None:
        """From the note or a typed label to the choice of labels, from there away."""
        if self.has_class("-typing"):
            self._ask_label()
        else:
            self.dismiss(None)
