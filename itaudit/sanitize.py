"""Hostile text made visible: one visible character for each character, so that offsets survive."""

import unicodedata

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _mark(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if unicodedata.category(character) in _INVISIBLE else character


def visible(text: str) -> str:
    """`text` with each control, format and unassigned character replaced by a visible mark; same length."""
    return text if text.isascii() and text.isprintable() else "".join(map(_mark, text))
