"""Names in a text, by their capitals: words that are capitalised where a sentence would not capitalise them.

Scripts without capitals (Chinese, Arabic and others) show no names in this way.
"""

from dataclasses import dataclass
from functools import cache

import regex
import Stemmer

from itaudit.analysis.words import function_words, is_content, sentence_bounds, word_keys, words
from itaudit.simplify.phrase_lists import listed_words

# What may stand between the beginning of a sentence, a cell, a quotation or a list item and its first word.
_OPENING = regex.compile(
    r"(?:^|[\n|:;]|[\"'“‘«(\[{<>/=]|(?<!\b(?:Mr|Mrs|Ms|Dr|Prof|St))[.!?…]+[\"'”’)\]]*\s)[\s*_#>~`+•·–—-]*(?:[(\[]?[\p{L}\p{N}]{1,3}[.)\]:][\s*_]*)?$"
)
_LETTERS = regex.compile(r"\p{L}+")
_NEVER = frozenset(("i", "ok", "a.m", "p.m", "am", "pm", "mr", "mrs", "ms", "dr", "st", "jr", "sr", "etc", "a"))


@cache
def _stemmer() -> "Stemmer.Stemmer":
    return Stemmer.Stemmer("english")


def stem(key: str) -> str:
    """What a word key has in common with its inflections: `walks` and `walking` share `walk` (Snowball, English)."""
    stemmed: str = _stemmer().stemWord(key)
    return stemmed


@cache
def common_words() -> frozenset[str]:
    """Stems of common English words: those of `phrases/common_words.txt` and the function words."""
    return frozenset(stem(word) for word in listed_words("common_words") | function_words())


@dataclass(frozen=True, slots=True)
class NameWord:
    """A capitalised word. `sure` tells that no sentence, title or quotation asks for its capital; `following` that
    only a space parts it from the capitalised word before it."""

    start: int
    end: int
    key: str
    sure: bool
    following: bool


def name_words(text: str) -> list[NameWord]:
    """The words of a text that have capitals, but those that are never names, in order."""
    starts = set(sentence_bounds(text))
    titles = _title_lines(text)
    found: list[NameWord] = []
    before = 0
    for word in words(text):
        # Lower case, as most words are, is told without a look at each letter.
        capital = not word.text.islower() and any(c.isupper() or c.istitle() for c in word.text)
        if capital and (key := word.key).split("'")[0] not in _NEVER:
            opening = any(at in starts for at in range(before, word.start + 1)) or bool(
                _OPENING.search(text, max(0, word.start - 24), word.start)
            )
            opening = opening or any(start <= word.start < end for start, end in titles)
            inner = any(c.isupper() for c in word.text[1:])
            following = bool(found) and found[-1].end == before and text[before : word.start] in (" ", "-", "\u00a0")
            found.append(NameWord(word.start, word.end, key, inner or not opening, following))
        before = word.end
    return found


def _title_lines(text: str) -> list[tuple[int, int]]:
    """Lines in which every word of some length has a capital, as headings are often written."""
    lines, start = [], 0
    for line in text.split("\n"):
        long = [word.text for word in words(line) if len(word.text) > 3]
        if len(long) > 1 and line.rstrip()[-1:] not in ".!?" and all(word[0].isupper() for word in long):
            lines.append((start, start + len(line)))
        start += len(line) + 1
    return lines


def is_common(key: str) -> bool:
    """Whether a word, by its key, is one that a sentence may well open with: English alone is known here."""
    if stem(key) in common_words() or not is_content(key):
        return True
    return len(key) > 5 and key.endswith(tuple(listed_words("common_endings")))


class KnownNames:
    """What the texts of an instance hold: every word, and which names stand side by side."""

    def __init__(self, texts: list[str]) -> None:
        self.stems: set[str] = set()
        self._sure: set[str] = set()
        self._pairs: set[tuple[str, str]] = set()
        for text in texts:
            for key in word_keys(text):
                self.stems.update((key, stem(key)))
                if not key.isalpha():
                    # `34.4C` and `HTML5` may be written apart in a proposal.
                    self.stems.update(_LETTERS.findall(key))
            run: list[str] = []
            for name in name_words(text):
                run = [*run, name.key] if name.following else [name.key]
                self._pairs.update((earlier, name.key) for earlier in run[:-1])
                if name.sure:
                    self._sure.add(name.key)

    def holds(self, key: str) -> bool:
        return key in self.stems or stem(key) in self.stems

    def parted(self, one: str, other: str) -> bool:
        """Whether both are names here, and never of one and the same run of names: `Mary` and `Smith`."""
        return one in self._sure and other in self._sure and (one, other) not in self._pairs


def new_names(text: str, known: KnownNames) -> list[tuple[int, int]]:
    """The stretches of a text that are names which `known` lacks, half-open; neighbours are one stretch.

    A word that opens a sentence, a title, a quotation or a list item is a name only if it is no common word.
    """
    names = name_words(text)
    new: list[bool] = []
    for at, name in enumerate(names):
        if known.holds(name.key):
            pair = name.following and known.parted(names[at - 1].key, name.key)
            if pair:
                new[-1] = True
            new.append(pair)
        else:
            new.append(name.sure or not is_common(name.key))
    found: list[tuple[int, int]] = []
    for at, name in enumerate(names):
        if not new[at]:
            continue
        if at and new[at - 1] and name.following:
            found[-1] = (found[-1][0], name.end)
        else:
            found.append((name.start, name.end))
    return found
