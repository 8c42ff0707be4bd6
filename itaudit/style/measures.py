"""What can be counted of one response: its length, its layout, and how it opens."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import regex

from itaudit.analysis.words import sentence_bounds, word_keys

Measure = Literal["words", "sentences", "sentence_words", "paragraphs", "items", "list", "heading", "bold", "code"]

TITLES: dict[Measure, str] = {
    "words": "words",
    "sentences": "sentences",
    "sentence_words": "words a sentence",
    "paragraphs": "paragraphs",
    "items": "list items",
    "list": "with a list",
    "heading": "with a heading",
    "bold": "with bold type",
    "code": "with a code block",
}
SHARES: tuple[Measure, ...] = ("list", "heading", "bold", "code")
"""Measures that are 1 or 0 of a response, so that their mean is a share."""
MEASURES: tuple[Measure, ...] = tuple(TITLES)

_FENCED = regex.compile(r"(?ms)^[ \t]*(```+|~~~+).*?(?:^[ \t]*\1[`~]*[ \t]*$|\Z)")
_ITEM = regex.compile(r"(?m)^[ \t]*(?:[-*+•‣◦▪●–][ \t]+|[(\[]?(?:\p{Nd}{1,3}|\p{L})[.)\]][ \t]+)\S")
_HEADING = regex.compile(r"(?m)^[ \t]{0,3}#{1,6}[ \t]+\S|^[ \t]*(\*\*|__)[^*_\n]+:?\1:?[ \t]*$")
_BOLD = regex.compile(r"(\*\*|__)(?=\S)[^*_\n]+(?<=\S)\1")
_PARAGRAPH = regex.compile(r"\S(?:.*\n(?![ \t]*\n))*.*")


@dataclass(frozen=True, slots=True)
class Form:
    """The length and layout of one response, and its first words; what stands in code blocks is no layout."""

    words: int
    sentences: int
    paragraphs: int
    items: int
    headings: int
    bold: int
    code: int
    opening: str

    def value(self, measure: Measure) -> float:
        """One measure of the response; words a sentence are 0 where there is no sentence."""
        match measure:
            case "sentence_words":
                return self.words / self.sentences if self.sentences else 0.0
            case "list":
                return float(self.items > 0)
            case "heading":
                return float(self.headings > 0)
            case "bold":
                return float(self.bold > 0)
            case "code":
                return float(self.code > 0)
            case _:
                return float(getattr(self, measure))


def form_of(text: str, opening_words: int) -> Form:
    """What can be counted of a text; its opening is the keys of its first words, fewer where it has fewer."""
    keys = word_keys(text)
    plain, code = _FENCED.subn("", text)
    bounds = sentence_bounds(text)
    filled = sum(1 for start, end in pairwise(bounds) if word_keys(text[start:end]))
    return Form(
        words=len(keys),
        sentences=filled,
        paragraphs=len(_PARAGRAPH.findall(text)),
        items=len(_ITEM.findall(plain)),
        headings=len(_HEADING.findall(plain)),
        bold=len(_BOLD.findall(plain)),
        code=code,
        opening=" ".join(keys[:opening_words]),
    )


def values(forms: list[Form], measure: Measure) -> npt.NDArray[np.float64]:
    """[responses] one measure of each."""
    return np.array([form.value(measure) for form in forms], dtype=np.float64)
