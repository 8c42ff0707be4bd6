"""Hostile text made visible: one character for one character, so that offsets survive.

Dataset and model text may hold escape sequences, bidirectional controls, NUL or floods of combining marks. Screens
and terminal output show the text that these functions return; files keep the raw text.
"""

import unicodedata

COMBINING_KEPT = 2
"""Combining marks shown on one character; Zalgo text stacks dozens."""
HIDDEN = "·"
"""Stands for what has no shape of its own: format controls, zero-width characters, unassigned code points."""

_KEPT_LINES = frozenset("\n")
# Variation selectors and the joiner build emoji, but terminals disagree on the width of the result.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")


def visible(text: str) -> str:
    """The text with every invisible or active character replaced by a mark; line feeds stay. Same length."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return _mapped(text, _KEPT_LINES)


def visible_line(text: str) -> str:
    """As `visible`, with line feeds shown too, for places that hold one line. Same length."""
    if text.isascii() and text.isprintable():
        return text
    return _mapped(text, frozenset())


def _mapped(text: str, kept: frozenset[str]) -> str:
    shown: list[str] = []
    combining = 0
    for character in text:
        if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
            combining += 1
            # A mark with nothing to sit on would fall onto whatever the screen has to its left.
            alone = combining == len(shown) + 1 or combining > COMBINING_KEPT
            hidden = alone or character in _INVISIBLE or "\ufe00" <= character <= "\ufe0f"
            shown.append(HIDDEN if hidden else character)
            continue
        combining = 0
        shown.append(character if character in kept else _mark(character))
    return "".join(shown)


def _mark(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        # Control pictures: U+2400 shows NUL, U+241B shows escape, and so on.
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if character in _INVISIBLE:
        return HIDDEN
    match unicodedata.category(character):
        case "Cc" | "Cf" | "Cs" | "Co" | "Cn" | "Zl" | "Zp":
            return HIDDEN
        case "Zs":
            return " "
        case _:
            return character
