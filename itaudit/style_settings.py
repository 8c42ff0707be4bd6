"""Settings of the analysis of style and copied patterns: `[style]` of a recipe."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field, field_validator

from itaudit.section import Positive, Section

FUNCTION_WORDS = "function_words"
"""The list of English function words that the whole project shares."""
LISTS = ("connectives", "hedges", "emphasis", "framing", "politeness", "self_reference", FUNCTION_WORDS)
"""The word lists there are; `openings` is one more, for the beginnings of responses."""
OPENINGS = "openings"


class Style(Section):
    """Rules and word lists by which style is told from content; see docs/style.md."""

    words: list[str] = list(LISTS)
    """Lists of style words: names of those there are, or text files of the user's own, a word or phrase a line."""
    openings: str = OPENINGS
    """The list of phrases that responses begin with before they say anything, or a text file of the user's own."""
    initiation_words: Positive = 8
    """No response initiation is longer than so many words."""
    opening_words: Annotated[int, Field(ge=1, le=10)] = 3
    """Words of an opening n-gram."""
    span_words: list[Annotated[int, Field(ge=2)]] = [5, 10, 20]
    """Lengths of verbatim spans, in words: the share of a response inside spans at least as long is told for each."""
    top: Positive = 20
    """Most shifted words, and openings, that are told of each model."""

    @field_validator("words")
    @classmethod
    def _lists_there_are(cls, names: list[str]) -> list[str]:
        for name in names:
            _check_list(name)
        return names

    @field_validator("openings")
    @classmethod
    def _list_there_is(cls, name: str) -> str:
        if name != OPENINGS:
            _check_list(name)
        return name

    @field_validator("span_words")
    @classmethod
    def _ascending(cls, lengths: list[int]) -> list[int]:
        if not lengths or lengths != sorted(set(lengths)):
            raise ValueError("expected lengths in ascending order, such as [5, 10, 20]")
        return lengths

    def with_files(self, resolved: Callable[[str, str], str]) -> "Style":
        """The settings with text files of the user's own as `resolved(name, key)` gives their absolute paths."""
        words = [resolved(name, "words") if name.endswith(".txt") else name for name in self.words]
        openings = resolved(self.openings, "openings") if self.openings.endswith(".txt") else self.openings
        return self.model_copy(update={"words": words, "openings": openings})


def _check_list(name: str) -> None:
    if name not in LISTS and not name.endswith(".txt"):
        raise ValueError(f"no list {name!r}; there are {', '.join(LISTS)}, or give a .txt file")
