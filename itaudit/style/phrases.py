"""Lists of words and phrases: read from text files, and looked for among the words of a text."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from itaudit.analysis.words import function_words, word_keys
from itaudit.errors import UserError
from itaudit.sanitize import visible
from itaudit.style_settings import FUNCTION_WORDS

_FOLDER = Path(__file__).parent / "words"


class Phrases:
    """A set of phrases as word keys, so that case and punctuation do not count."""

    def __init__(self, phrases: Iterable[Sequence[str]]) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for phrase in sorted({tuple(phrase) for phrase in phrases if phrase}, key=lambda one: (-len(one), one)):
            self._by_first.setdefault(phrase[0], []).append(phrase)

    def length_at(self, keys: Sequence[str], at: int) -> int:
        """How many words the longest phrase has that begins at a word; 0 where none does."""
        for phrase in self._by_first.get(keys[at], ()):
            if tuple(keys[at : at + len(phrase)]) == phrase:
                return len(phrase)
        return 0

    def covered(self, keys: Sequence[str]) -> list[bool]:
        """Whether each word is part of a phrase; phrases may overlap."""
        found = [False] * len(keys)
        for at in range(len(keys)):
            if length := self.length_at(keys, at):
                found[at : at + length] = [True] * length
        return found

    @property
    def digest(self) -> str:
        """A hash of the phrases."""
        whole = "\n".join(sorted(" ".join(phrase) for phrases in self._by_first.values() for phrase in phrases))
        return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def read_phrases(names: Iterable[str]) -> Phrases:
    """The phrases of all lists named, or of text files. Raises UserError for a file that can't be read."""
    return Phrases(phrase for name in names for phrase in _read(name))


def _read(name: str) -> list[list[str]]:
    if name == FUNCTION_WORDS:
        return [[word] for word in function_words()]
    path = Path(name) if name.endswith(".txt") else _FOLDER / f"{name}.txt"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"{visible(str(path))}: can't read the word list that [style] names: {why}") from None
    return [word_keys(line) for line in lines if not line.startswith("#")]
