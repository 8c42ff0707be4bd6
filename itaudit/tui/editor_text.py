"""A text as a multi-line editor can hold it, and back again without the loss of a character.

An editor breaks lines at every kind of line end, and control characters in it would reach the terminal. Each character
that can't stand in it is shown as a mark of its own, which the text does not hold otherwise; an editor may then move,
copy and undo what it likes. Two spellings of the same text never meet, so that saving what was not touched is exact.
"""

from itaudit.errors import UserError
from itaudit.sanitize import visible, visible_line

_PLAIN = frozenset("\n\t")
_NONE: frozenset[str] = frozenset()
_OWN_MARKS = {"\u00a0": "⍽", "\u2028": "⏎", "\u2029": "¶", "\u200d": "⁐"}
# Signs of APL and dot patterns: one cell wide everywhere, and rare in any text.
_MARKS = "".join(map(chr, (*range(0x2336, 0x237B), *range(0x2801, 0x2900))))


class EditorText:
    """One text: `raw` as it is stored, `shown` as the editor holds it; `one_line` marks line feeds and tabs too.

    Raises UserError for a text with more kinds of invisible characters than there are marks.
    """

    def __init__(self, raw: str, *, one_line: bool = False) -> None:
        self.raw = raw
        self._plain = _NONE if one_line else _PLAIN
        # A text whose lines all end alike keeps that end for lines that are added, and needs no mark for it.
        self.crlf = not one_line and "\r\n" in raw and raw.count("\r\n") == raw.count("\n") == raw.count("\r")
        self.marks: dict[str, str] = {}
        self._seen: set[str] = set()
        self.shown = self.shown_of(raw)

    def shown_of(self, text: str) -> str:
        """Any text, such as a pasted one, as this editor holds it."""
        if self.crlf:
            text = text.replace("\r\n", "\n")
        self._seen.update(text)
        for character in dict.fromkeys(_hidden(text, self._plain)):
            if character not in self.marks:
                self.marks[character] = self._free_mark(character)
        return text.translate({ord(raw): mark for raw, mark in self.marks.items()})

    def raw_of(self, shown: str) -> str:
        """What the editor's text stands for; the very text that it began with where nothing changed."""
        if shown == self.shown:
            return self.raw
        text = shown.translate({ord(mark): raw for raw, mark in self.marks.items()})
        return text.replace("\n", "\r\n") if self.crlf else text

    def explained(self) -> str:
        """One line about the marks, such as `hidden characters: ␛ U+001B`; empty where there are none."""
        marks = [f"{mark} U+{ord(raw):04X}" for raw, mark in list(self.marks.items())[:4]]
        more = f" and {len(self.marks) - 4} more" if len(self.marks) > 4 else ""
        line = f"hidden characters: {', '.join(marks)}{more}" if marks else ""
        return " · ".join(part for part in ("lines end in CR LF" if self.crlf else "", line) if part)

    def _free_mark(self, character: str) -> str:
        code = ord(character)
        mark: str
        picture = chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else _OWN_MARKS.get(character, "")
        used = set(self.marks.values())
        for mark in [picture, *_MARKS]:
            if mark and mark not in self._seen and mark not in used:
                return mark
        raise UserError("this text holds too many kinds of invisible characters to edit it here")


def _hidden(text: str, plain: frozenset[str]) -> list[str]:
    shown = visible(text) if plain else visible_line(text)
    if shown == text:
        return []
    return [raw for raw, seen in zip(text, shown, strict=True) if raw != seen and raw not in plain]
