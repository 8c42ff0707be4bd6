"""The lists of words and phrases that the rules of this package read, one text file each."""

from functools import cache
from pathlib import Path

import regex

_FOLDER = Path(__file__).parent / "phrases"
_ANY = r"(?:[\w'’-]+\s+){0,4}"


@cache
def phrases(name: str) -> tuple[str, ...]:
    """The phrases of `phrases/NAME.txt`, one a line, longest first; lines that begin with # are comments."""
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    kept = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    return tuple(sorted(kept, key=lambda phrase: (-len(phrase), phrase)))


@cache
def listed_words(name: str) -> frozenset[str]:
    """The words of `phrases/NAME.txt`, where a line may hold many."""
    return frozenset(word for line in phrases(name) for word in line.split())


@cache
def _pattern(name: str) -> "regex.Pattern[str]":
    """Any phrase of a list, in any case, with any white space and either apostrophe, and no half words.

    A * in a phrase stands for up to four words.
    """
    spelled = [r"\s+".join(map(_spelled, phrase.split())).replace(rf"{_ANY}\s+", _ANY) for phrase in phrases(name)]
    return regex.compile(rf"(?<![\w])(?:{'|'.join(spelled)})(?!(?<=\w)\w)", regex.IGNORECASE)


def _spelled(word: str) -> str:
    return _ANY if word == "*" else regex.escape(word, special_only=True).replace("'", "['’]")


def opening_end(text: str, name: str) -> int:
    """Where the phrase of a list ends that a text opens with; 0 where it opens with none."""
    match = _pattern(name).match(text)
    return match.end() if match else 0


def has_phrase(text: str, name: str) -> bool:
    """Whether a text holds a phrase of a list."""
    return _pattern(name).search(text) is not None
