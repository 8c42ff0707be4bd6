"""Which words belong to one phrase: those that nothing but a space, a hyphen or the like parts."""

import regex

_BETWEEN = regex.compile(r"(?:['’]s)?[ \t\u00a0]*-?[ \t\u00a0]*|(?<=(?:^|[^\p{L}\p{N}])\p{L})\.[ \t\u00a0]?")


def are_neighbours(text: str, end: int, start: int) -> bool:
    """Whether a word that ends at `end` and one that begins at `start` stand side by side within a line.

    A possessive `'s` and the point of an initial part nothing either.
    """
    return _BETWEEN.fullmatch(text, end, start) is not None
