"""How long a text is and how hard it reads: words, sentences, Flesch–Kincaid grade (textstat)."""

from dataclasses import dataclass
from itertools import pairwise

from itaudit.analysis.words import sentence_bounds
from itaudit.simplify.plain import undecorated


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one text: words, sentences and characters, and the US school grade; None where there is no English to read.

    Words are what stands between white space, as everywhere that a length is told.
    """

    words: int
    sentences: int
    characters: int
    grade: float | None


def measures(text: str) -> Measures:
    """The measures of a text; decoration is not read aloud."""
    plain = undecorated(text)
    bounds = sentence_bounds(plain)
    sentences = sum(1 for start, end in pairwise(bounds) if _speaks(plain[start:end]))
    return Measures(len(text.encode(errors="replace").split()), sentences, len(text), grade(plain))


def _speaks(sentence: str) -> bool:
    return any(character.isalnum() for character in sentence)


def grade(text: str) -> float | None:
    """The Flesch–Kincaid grade by textstat: 0.39 words a sentence + 11.8 syllables a word - 15.59.

    It is fitted to English prose: None where fewer than half of the letters are ASCII, or there is no word at all.
    """
    letters = [character for character in text if character.isalpha()]
    if not letters or 2 * sum(map(str.isascii, letters)) < len(letters):
        return None
    # Loads a pronouncing dictionary on first use (0.7 s, 75 MB), which screens that show no proposal can do without.
    import textstat

    return round(float(textstat.flesch_kincaid_grade(text)), 2)


def load_dictionary() -> None:
    """Takes the time that the first grade takes, where nobody waits for it."""
    grade("warm")
