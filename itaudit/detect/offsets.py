"""The offsets of a text that a file quotes from a response: where it stands exactly, or nowhere.

`detect.locate` finds what a model copied more or less exactly.
"""

from itaudit.errors import UserError


def quoted_offsets(response: str, text: str | None, start: object = None, end: object = None) -> tuple[int, int]:
    """The half-open offsets of a quoted text, which are those given if it stands there, or its only place.

    Without a text the offsets alone count. Raises UserError, which says why, for a text that stands nowhere or at
    several other places, and for offsets beyond the response: nothing is guessed.
    """
    given = _within(response, start, end)
    if text is None:
        if given is None:
            raise UserError(f"{start!r} to {end!r} are no offsets of a response of {len(response)} characters")
        return given
    if not text.strip():
        raise UserError("the text is empty")
    if given is not None and response[given[0] : given[1]] == text:
        return given
    first = response.find(text)
    if first < 0:
        raise UserError(f"{_shown(text)} does not stand in the response")
    if response.find(text, first + 1) >= 0:
        raise UserError(f"{_shown(text)} stands several times in the response, and not at {start!r} to {end!r}")
    return first, first + len(text)


def _within(response: str, start: object, end: object) -> tuple[int, int] | None:
    if not (isinstance(start, int) and isinstance(end, int)) or isinstance(start, bool) or isinstance(end, bool):
        return None
    return (start, end) if 0 <= start < end <= len(response) else None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
