"""Words, content words and sentences of a text: the one tokenisation that retrieval, evidence and verbatim spans share.

A word is a run of letters, digits and their combining marks. An apostrophe between letters stays inside (`don't`,
`O'Brien`), but a final `'s` belongs to no word, so that `Zamboni's` holds the word `Zamboni`. Points and thousands
separators stay inside numbers (`3.14`, `1,000`); hyphens and underscores separate. Scripts that are written without
spaces (Han, Hiragana, Thai, Lao, Khmer, Myanmar) give one word a character, so that a length in words is one in
characters there.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import regex

_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_FIRST = rf"[[\p{{L}}\p{{N}}]--{_UNSPACED}]"
_NEXT = rf"[[\p{{L}}\p{{N}}\p{{M}}]--{_UNSPACED}]"
_WORD = regex.compile(
    rf"(?V1)[[\p{{L}}\p{{N}}]&&{_UNSPACED}]\p{{M}}*"
    rf"|(?<![\p{{L}}\p{{N}}\p{{M}}]['’]){_FIRST}(?:{_NEXT}"
    rf"|['’](?![sS](?!{_NEXT}))(?={_FIRST})"
    r"|(?<=\p{Nd})(?:\.(?=\p{Nd})|,(?=\p{Nd}{3}(?!\p{Nd}))))*"
)
# The same words where a text is ASCII, as most are, five times as fast.
_ASCII_WORD = re.compile(
    r"(?<![A-Za-z0-9]')[A-Za-z0-9](?:[A-Za-z0-9]"
    r"|'(?![sS](?![A-Za-z0-9]))(?=[A-Za-z0-9])"
    r"|(?<=[0-9])(?:\.(?=[0-9])|,(?=[0-9]{3}(?![0-9]))))*"
)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]»*]*(?=\s)|[。！？｡]+[」』”’）]*|\n+")
# What makes a full stop part of an abbreviation, an initial or a list number.
_NO_SENTENCE = re.compile(r"(?:\b[^\W\d]|\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|No|Fig)|(?:^|\n)[ \t]*\d+)$")


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it stands in a text: half-open character offsets."""

    start: int
    end: int
    text: str

    @property
    def key(self) -> str:
        return word_key(self.text)


def words(text: str) -> list[Word]:
    """The words of a text, in order."""
    pattern = _ASCII_WORD if text.isascii() else _WORD
    return [Word(match.start(), match.end(), match.group()) for match in pattern.finditer(text)]


def word_key(word: str) -> str:
    """What words are compared by: composed (NFC) and lower-cased, with a typewriter apostrophe."""
    return word.lower() if word.isascii() else unicodedata.normalize("NFC", word).replace("’", "'").lower()


def word_texts(text: str) -> list[str]:
    """A text's words as they stand, in order."""
    found: list[str] = (_ASCII_WORD if text.isascii() else _WORD).findall(text)
    return found


def word_keys(text: str) -> list[str]:
    """The keys of a text's words, in order."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return [word_key(word) for word in _WORD.findall(text)]


@cache
def function_words() -> frozenset[str]:
    """The keys of English function words, from `function_words.txt`."""
    lines = Path(__file__).with_name("function_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def content_words(text: str) -> list[Word]:
    """The words of a text that carry content: numbers and all words but English function words."""
    return [word for word in words(text) if is_content(word.key)]


def is_content(key: str) -> bool:
    """Whether a word key is not a function word; `they'll` and `we've` count by what stands before the apostrophe."""
    head, _, clitic = key.partition("'")
    return (head if clitic in ("d", "ll", "m", "re", "ve") else key) not in function_words()


def word_positions(words: Sequence[Word], starts: npt.ArrayLike, ends: npt.ArrayLike) -> list[int]:
    """The position of each word's first token: the first one that covers the word's first character.

    `starts` and `ends` hold a value a token, in order, offsets half-open in characters. A token that brings the space
    before a word covers that word; a special token, which is empty in characters, covers none. -1 stands for a word
    that no token covers.
    """
    token_starts = np.asarray(starts, dtype=np.int64)
    # Tokens that share a multi-byte character overlap; their ends still never fall.
    token_ends = np.maximum.accumulate(np.asarray(ends, dtype=np.int64))
    firsts = np.array([word.start for word in words], dtype=np.int64)
    found = np.searchsorted(token_ends, firsts, side="right")
    return [
        token if token < len(token_starts) and token_starts[token] <= first else -1
        for token, first in zip(found.tolist(), firsts.tolist(), strict=True)
    ]


def word_ranks(words: Sequence[Word], starts: npt.ArrayLike, ends: npt.ArrayLike, ranks: npt.ArrayLike) -> list[int]:
    """The base rank of each word's first token, -1 for a word that no token covers (see `word_positions`)."""
    token_ranks = np.asarray(ranks, dtype=np.int64)
    return [int(token_ranks[at]) if at >= 0 else -1 for at in word_positions(words, starts, ends)]


def sentence_bounds(text: str) -> list[int]:
    """The offsets where sentences begin, with 0 and the length of the text.

    A sentence ends at a line feed, after `.`, `!`, `?` or `…` (and closing quotes or brackets) before white space,
    and after their full-width forms. A full stop before a lower-case letter, or after a single letter, a common
    title, or a number that opens a line, ends none.
    """
    bounds = [0]
    for match in _SENTENCE_END.finditer(text):
        following = text[match.end() : match.end() + 16].lstrip()
        before = text[max(bounds[-1], match.start() - 16) : match.start()]
        if match.group() == "." and (following[:1].islower() or _NO_SENTENCE.search(before)):
            continue
        bounds.append(match.end())
    if bounds[-1] != len(text):
        bounds.append(len(text))
    return bounds


def sentences_around(bounds: Sequence[int], start: int, end: int) -> tuple[int, int]:
    """The stretch of whole sentences, by their bounds, that holds the offsets `start` to `end`."""
    first = max(min(bisect_right(bounds, start) - 1, len(bounds) - 2), 0)
    last = max(bisect_left(bounds, end), first + 1)
    return bounds[first], bounds[min(last, len(bounds) - 1)]
