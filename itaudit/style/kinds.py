"""Is a token response initiation, style or content? Ghosh et al. 2024 and Lin et al. 2023 told by eye; here by rules.

A position has the first of these kinds that fits it:

- `stop`: it emits no character; EOS, by which the model decides that the answer is long enough.
- `initiation`: it stands in the beginning of the response, which runs from phrases of the list `openings` and style
  words up to the first content word, or over the first token that holds a letter where that is one of content.
- `layout`: it covers no word (punctuation, line feeds, marks of lists and headings), or the number of a list item.
- `listed`: the word is part of a phrase of one of the lists of style words.
- `function`: the word is a function word, where that list counts as style.
- `content`: everything else.

`stop`, `layout`, `listed` and `function` together are style.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import regex

from itaudit.analysis.words import Word, words
from itaudit.style.phrases import Phrases, read_phrases
from itaudit.style_settings import FUNCTION_WORDS, Style

Kind = Literal["initiation", "stop", "layout", "listed", "function", "content"]
KINDS: tuple[Kind, ...] = ("initiation", "stop", "layout", "listed", "function", "content")
INITIATION, STOP, LAYOUT, LISTED, FUNCTION, CONTENT = range(len(KINDS))

Group = Literal["initiation", "style", "content"]
GROUPS: dict[Group, tuple[int, ...]] = {
    "initiation": (INITIATION,),
    "style": (STOP, LAYOUT, LISTED, FUNCTION),
    "content": (CONTENT,),
}

Codes = npt.NDArray[np.int8]

_ITEM_NUMBER = regex.compile(r"(?m)^[ \t]*[(\[]?(\p{Nd}{1,3}|\p{L})(?=[.):\]](?:\s|$))")


@dataclass(frozen=True, slots=True)
class Rules:
    """The lists that kinds are told by, read once for many responses."""

    openings: Phrases
    listed: Phrases
    function: Phrases
    initiation_words: int

    @classmethod
    def of(cls, style: Style) -> "Rules":
        """The rules that a recipe asks for. Raises UserError for a list that can't be read."""
        listed = [name for name in style.words if name != FUNCTION_WORDS]
        function = [FUNCTION_WORDS] if FUNCTION_WORDS in style.words else []
        return cls(read_phrases([style.openings]), read_phrases(listed), read_phrases(function), style.initiation_words)

    @property
    def digest(self) -> str:
        """Changes with any list."""
        lists = (self.openings, self.listed, self.function)
        return ".".join([*(one.digest for one in lists), str(self.initiation_words)])


def word_kinds(text: str, found: Sequence[Word], rules: Rules) -> list[int]:
    """The kind of each word of a text, as an index of KINDS, whatever its place in the response."""
    keys = [word.key for word in found]
    listed, function = rules.listed.covered(keys), rules.function.covered(keys)
    numbers = {match.start(1) for match in _ITEM_NUMBER.finditer(text)}
    return [
        LAYOUT if word.start in numbers else LISTED if styled else FUNCTION if joining else CONTENT
        for word, styled, joining in zip(found, listed, function, strict=True)
    ]


def position_kinds(text: str, starts: npt.ArrayLike, ends: npt.ArrayLike, rules: Rules) -> Codes:
    """[positions] the kind of each, as an index of KINDS, from the half-open character offsets of its token."""
    firsts, lasts = np.asarray(starts, dtype=np.int64), np.asarray(ends, dtype=np.int64)
    found = words(text)
    kinds = word_kinds(text, found, rules)
    codes = np.full(len(firsts), LAYOUT, dtype=np.int8)
    if found:
        # The first word that ends behind the token's first character, if the token reaches it.
        at = np.searchsorted([word.end for word in found], firsts, side="right")
        begins = np.array([*(word.start for word in found), np.iinfo(np.int64).max])[at]
        inside = begins < lasts
        codes[inside] = np.array([*kinds, LAYOUT], dtype=np.int8)[at[inside]]
    codes[: _initiation_positions(firsts, lasts, found, kinds, rules)] = INITIATION
    codes[firsts >= lasts] = STOP
    return codes


def _initiation_positions(
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    found: Sequence[Word],
    kinds: Sequence[int],
    rules: Rules,
) -> int:
    """How many positions at the beginning are response initiation."""
    if not found:
        return min(1, len(starts))
    keys = [word.key for word in found[: 2 * rules.initiation_words]]
    taken = 0
    while taken < min(rules.initiation_words, len(keys)):
        length = rules.openings.length_at(keys, taken)
        if not length and kinds[taken] == CONTENT:
            break
        taken += max(length, 1)
    if taken:
        # A token that brings the space before the next word begins where the last one ends.
        return int(np.searchsorted(starts, found[min(taken, rules.initiation_words, len(found)) - 1].end))
    return int(np.searchsorted(np.maximum.accumulate(ends), found[0].start, side="right")) + 1
