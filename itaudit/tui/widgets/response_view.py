"""The prompt and the response, token by token."""

from collections.abc import Container, Iterator, Sequence
from itertools import groupby

from textual import events
from textual.message import Message

from itaudit.analysis.shift import CLASSES
from itaudit.runs.rows import Prompt
from itaudit.sanitize import visible
from itaudit.tui.answer import Answer
from itaudit.tui.labels import label_style
from itaudit.tui.layout import Line, character_cells, line_at, wrap
from itaudit.tui.widgets.panel import Panel, Piece

LINE_FEED_MARK = "↵"
UNSTYLED = ("correct", "style")
"""Labels that say nothing against a stretch: the mark behind it is enough."""
NOT_ANSWERED = "(not answered yet)"


class ResponseView(Panel):
    """Wraps the text by itself, since the tokens' offsets have to survive it."""

    class Pointed(Message):
        """Somebody clicked on a token."""

        def __init__(self, position: int) -> None:
            super().__init__()
            self.position = position

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._turns: list[tuple[str, str]] = []
        self._answer: Answer | None = None
        self._selection = (0, 0)
        self._cursor = 0
        self._held: Container[int] = ()
        self._above: list[Piece] = []
        self._lines: list[Line] = []
        self._key: object = None

    def show(
        self,
        prompt: Prompt | None,
        answer: Answer | None,
        cursor: int,
        selection: tuple[int, int],
        held: Container[int] = (),
    ) -> None:
        """Shows an answer under its prompt with the token under the cursor in sight.

        `held` are the offsets of the words that the chosen source holds.
        """
        same = answer is self._answer
        self._answer, self._cursor, self._selection, self._held = answer, cursor, selection, held
        self._turns = _turns(prompt)
        if not same:
            self.scroll_to(y=0, animate=False, immediate=True, force=True)
        self.changed()
        self.revealed_again()

    def revealed_again(self) -> None:
        if self._answer is None or not self._answer.positions:
            return
        start, end = self._answer.shown_range(self._cursor, self._cursor)
        first, last = line_at(self._lines, start), line_at(self._lines, max(end - 1, start))
        # The prompt stays in sight as long as the cursor allows, since it is what the answer is about.
        self.reveal(0 if self._cursor == 0 else len(self._above) + first, len(self._above) + last)

    def lay_out(self, width: int) -> int:
        key = (width, id(self._answer), tuple(self._turns))
        if key != self._key:
            self._key = key
            self._above = list(_prompt_lines(self._turns, width))
            self._lines = wrap(self._answer.shown.text, width) if self._answer and self._answer.shown.text else []
        return len(self._above) + max(len(self._lines), 1)

    def pieces(self, y: int) -> Sequence[Piece]:
        if y < len(self._above):
            return [self._above[y]]
        if self._answer is None:
            return [("", "")]
        if not self._lines:
            response = self._answer.response
            return [(NOT_ANSWERED if response is None else "(an empty answer)", "dim")]
        line = self._lines[y - len(self._above)]
        return list(self._painted(self._answer, line))

    def _painted(self, answer: Answer, line: Line) -> Iterator[Piece]:
        text = answer.shown.text
        at_cursor = answer.shown_range(self._cursor, self._cursor) if answer.positions else (0, 0)
        selected = answer.shown_range(*self._selection) if answer.positions else (0, 0)
        left, right = _brackets(text, at_cursor, line, answer.shown.inserted)
        characters = []
        for offset in range(line.start, line.end):
            character = text[offset]
            place = answer.shown.places[offset]
            names = self._names(answer, place) if place is not None else answer.shown.inserted[offset]
            if place is None:
                pass
            elif offset in (left, right):
                character, names = ("▐" if offset == left else "▌"), "bracket"
            elif at_cursor[0] <= offset < at_cursor[1]:
                # A blank whose word has gone to the next line is left behind.
                parted = character == " " and offset == line.end - 1 < at_cursor[1] - 1
                names = "" if parted else "cursor"
            elif selected[0] <= offset < selected[1]:
                names = "selected"
            elif character == "\n" and "shifted" not in names and "marginal" not in names:
                names = "dim"
            elif character == " " and _begins_word(text, offset):
                # A token brings the blank before its word along; leaving that plain keeps words apart.
                names = ""
            characters.append((LINE_FEED_MARK if character == "\n" else character, names))
        for names, group in groupby(characters, key=lambda piece: piece[1]):
            yield "".join(character for character, _ in group), names

    def _names(self, answer: Answer, place: int) -> str:
        code = answer.codes[place]
        names: list[str] = [CLASSES[code]] if code >= 0 else []
        label = answer.labels.get(place, "")
        if label and label not in UNSTYLED:
            names.append(label_style(label))
        if place in self._held:
            names.append("evidence")
        return " ".join(names)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        y = -1 if offset is None else offset.y + self.scroll_offset.y - len(self._above)
        if offset is None or self._answer is None or not 0 <= y < len(self._lines):
            return
        line, cells = self._lines[y], 0
        for character in range(line.start, line.end):
            cells += character_cells(self._answer.shown.text[character])
            if cells > offset.x:
                place = self._answer.shown.places[character]
                position = None if place is None else self._answer.position_at(place)
                if position is not None:
                    self.post_message(self.Pointed(position))
                return


def _turns(prompt: Prompt | None) -> list[tuple[str, str]]:
    """(role, visible text) of what the model was given; the role is left out where there is the prompt alone."""
    if prompt is None:
        return []
    if len(prompt.messages) < 2:
        return [("", visible(prompt.prompt))]
    return [(visible(message.get("role", "")), visible(message.get("content", ""))) for message in prompt.messages]


def _prompt_lines(turns: list[tuple[str, str]], width: int) -> Iterator[Piece]:
    for role, text in turns:
        shown = f"{role}: {text}" if role else text
        for line in wrap(shown, width):
            yield shown[line.start : line.end].rstrip("\n"), "strong"
        yield "", ""


def _brackets(text: str, at_cursor: tuple[int, int], line: Line, inserted: Container[int]) -> tuple[int, int]:
    """The blanks around the cursor's token, on the line of its word, that may show as brackets; -1 for none.

    They tell the cursor without colours, and without moving any text.
    """
    start, end = at_cursor
    left = start if end - start > 1 and text[start] == " " and start + 1 < line.end else -1
    while end in inserted:
        end += 1
    right = end if end < len(text) and text[end] == " " else -1
    return left, right


def _begins_word(text: str, offset: int) -> bool:
    return offset + 1 < len(text) and not text[offset + 1].isspace()
