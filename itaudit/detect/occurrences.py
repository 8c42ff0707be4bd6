"""Where a phrase that a model copied from a text stands in it: exactly, or as near as copying by a model allows.

Case, kinds of quotation marks and dashes, amounts of white space and invisible characters make no difference; a
phrase of other words is not found. It never begins or ends inside a word.
"""

import unicodedata

from itaudit.analysis.words import is_content, words

_ALIKE = str.maketrans(
    {mark: "'" for mark in "‘’‚‛´`"} | {mark: '"' for mark in "“”„‟«»"} | {mark: "-" for mark in "‐‑‒–—−"}
)
# What models put around a phrase that they quote.
_AROUND = " \"'"


def normalised(text: str) -> str:
    """The text as phrases are compared: lower case, plain marks, single spaces, nothing invisible."""
    return _normalised(text)[0]


def _normalised(text: str) -> tuple[str, list[int]]:
    """The normalised text, and for each of its characters the offset of the one that it came from."""
    out: list[str] = []
    origins: list[int] = []
    for at, character in enumerate(text):
        if character.isspace():
            character = " "
            if out and out[-1] == " ":
                continue
        elif unicodedata.category(character) in ("Cf", "Cc"):
            continue
        for made in character.translate(_ALIKE).lower():
            out.append(made)
            origins.append(at)
    return "".join(out), origins


def occurrences(text: str, phrase: str) -> list[tuple[int, int]]:
    """Where a phrase stands in a text, half-open and in order; nowhere where it holds no letter and no digit.

    Places where it stands exactly win over those where it stands in another case or with other marks.
    """
    exact = _whole(text, [(at, at + len(phrase)) for at in _found(text, phrase)])
    if exact:
        return exact
    plain, origins = _normalised(text)
    wanted = normalised(phrase).strip(_AROUND)
    return _whole(text, [(origins[at], origins[at + len(wanted) - 1] + 1) for at in _found(plain, wanted)])


def _found(text: str, phrase: str) -> list[int]:
    if not any(character.isalnum() for character in phrase):
        return []
    found, at = list[int](), text.find(phrase)
    while at >= 0:
        found.append(at)
        at = text.find(phrase, at + len(phrase))
    return found


def _whole(text: str, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those places that cut no word, without the white space at their ends."""
    inside = {at for word in words(text) for at in range(word.start + 1, word.end)} if places else set()
    kept = [(start, end) for start, end in places if start not in inside and end not in inside]
    return [_trimmed(text, start, end) for start, end in kept]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


def has_content(phrase: str) -> bool:
    """Whether a phrase holds more than function words: `the` names no place where it stands twice."""
    return any(is_content(word.key) for word in words(phrase))
