"""Two answers to one prompt: whether a phrase of the one is said in the other, and where their tokens part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from itaudit.analysis.words import is_content, word_keys, words

Fate = Literal["still said", "changed", "gone"]
FATES: tuple[Fate, ...] = ("still said", "changed", "gone")


@dataclass(frozen=True, slots=True)
class PhraseFate:
    """What became of a phrase; half-open character offsets of where it stands in the other answer, if it is still said.

    `changed`: not all of it stands there in one piece, but some of its content words do.
    """

    fate: Fate
    start: int | None = None
    end: int | None = None


def phrase_fate(text: str, start: int, end: int, other: str) -> PhraseFate:
    """What became of `text[start:end]` in another answer.

    Words are compared lower-cased, whatever the punctuation between them. Where the phrase stands several times, the
    place nearest to its own counts. A phrase without words is looked for as it is.
    """
    phrase = text[start:end]
    keys = word_keys(phrase)
    if not keys:
        place = other.find(phrase) if phrase.strip() else -1
        return PhraseFate("still said", place, place + len(phrase)) if place >= 0 else PhraseFate("gone")
    found = words(other)
    there = [word.key for word in found]
    places = [place for place in range(len(there) - len(keys) + 1) if there[place : place + len(keys)] == keys]
    if places:
        nearest = min(places, key=lambda place: abs(found[place].start - start))
        return PhraseFate("still said", found[nearest].start, found[nearest + len(keys) - 1].end)
    content = [key for key in keys if is_content(key)] or keys
    return PhraseFate("changed" if set(content) & set(there) else "gone")


def parting(first: Sequence[object], second: Sequence[object]) -> int | None:
    """The first position at which two lists of tokens differ, which may be the end of one; None where they agree."""
    for position, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return position
    return None if len(first) == len(second) else min(len(first), len(second))
