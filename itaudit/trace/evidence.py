"""Where the words of a span stand inside an instance."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from itaudit.analysis.words import Word, is_content, words
from itaudit.data.instance import Instance
from itaudit.trace.types import Evidence

EVIDENCE_KEPT = 8
"""The most stretches shown of one source."""


def fields(instance: Instance) -> list[tuple[str, str]]:
    """Names and texts of everything an instance says, the response first; empty fields are left out."""
    named = [("response", instance.response or ""), ("instruction", instance.instruction), ("input", instance.input)]
    named += [(f"history[{number}]", message.content) for number, message in enumerate(instance.history)]
    named += [(f"later[{number}]", message.content) for number, message in enumerate(instance.later)]
    return [(name, text) for name, text in named if text]


def find_evidence(instance: Instance, keys: Sequence[str]) -> tuple[Evidence, ...]:
    """Where the phrase of word keys stands in the instance or, if it does nowhere, its content words.

    Whole words, whatever their case and the punctuation between them; what stands in the response comes first, at
    most EVIDENCE_KEPT stretches, of which every word gets its share.
    """
    texts = fields(instance)
    found = _occurrences(texts, [tuple(keys)]) if keys else []
    if not found and len(keys) > 1:
        found = _occurrences(texts, [(key,) for key in dict.fromkeys(keys) if is_content(key)])
    # The first occurrence of each phrase, then the second of each, and so on, until there are enough.
    kept = sorted(sorted(found, key=lambda place: (place.nth, place.field, place.start))[:EVIDENCE_KEPT], key=_order)
    return tuple(
        Evidence(texts[place.field][0], place.start, place.end, texts[place.field][1][place.start : place.end])
        for place in kept
    )


class _Place(NamedTuple):
    field: int
    start: int
    end: int
    nth: int


def _order(place: _Place) -> tuple[int, int]:
    return place.field, place.start


def _occurrences(texts: Sequence[tuple[str, str]], phrases: Sequence[tuple[str, ...]]) -> list[_Place]:
    found = []
    for phrase in phrases:
        nth = 0
        for field, (_, text) in enumerate(texts):
            # Most sources lack the word; finding that out should not cost finding all their words.
            if text.isascii() and phrase[0] not in text.lower():
                continue
            known = _indexed(text)
            for first in known.places.get(phrase[0], ()):
                last = first + len(phrase) - 1
                if known.keys[first : last + 1] == phrase:
                    found.append(_Place(field, known.words[first].start, known.words[last].end, nth))
                    nth += 1
    return found


class _Indexed(NamedTuple):
    words: tuple[Word, ...]
    keys: tuple[str, ...]
    places: dict[str, list[int]]


@lru_cache(maxsize=512)
def _indexed(text: str) -> _Indexed:
    # All spans of a sentence ask the same few sources.
    found = tuple(words(text))
    keys = tuple(word.key for word in found)
    places: dict[str, list[int]] = {}
    for number, key in enumerate(keys):
        places.setdefault(key, []).append(number)
    return _Indexed(found, keys, places)
