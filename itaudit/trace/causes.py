"""The causal analysis of Ghosh et al. 2024: is a word that the base model would not say borrowed?

Each content word of a response has the base rank of its first token. One below the threshold is *pretrained*: the
base model says it by itself. Any other is *borrowed* where a response of one of the k instances most similar to the
prompt holds it, and *unexplained* where none does. Similarity is BM25 over the prompt side of the instances alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from itaudit.analysis.words import word_key

Outcome = Literal["borrowed", "pretrained", "unexplained"]
OUTCOMES: tuple[Outcome, ...] = ("borrowed", "pretrained", "unexplained")

Bits = npt.NDArray[np.bool_]
UnitDraws = Callable[[Sequence[str]], tuple[Bits, Bits]]
"""The draws of a set of word keys that must stand in one turn: [draws] by instances, and [draws] by words."""


@dataclass(frozen=True, slots=True)
class Similar:
    """An instance similar to the prompt: its row in the source file, and its BM25 score."""

    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Turn:
    """An assistant turn of a similar instance: the instance's row, and the turn's number among its assistant turns."""

    index: int
    turn: int


@dataclass(frozen=True, slots=True)
class CauseWord:
    """A content word of a response: half-open character offsets, and what the similar instances say of it.

    `rank` is the 0-based base rank of its first token, -1 where no token covers it. `frequency` counts the instances
    whose responses hold the word, `turns` are positions in the `turns` of its Causes. The last two hold a bit a
    draw, packed: whether random instances would hold the word, and whether the similar ones hold a random word.
    """

    start: int
    end: int
    text: str
    rank: int
    in_prompt: bool
    frequency: int
    turns: tuple[int, ...]
    by_instances: bytes
    by_words: bytes

    @property
    def key(self) -> str:
        return word_key(self.text)

    @property
    def found(self) -> bool:
        """Whether a similar instance's response holds the word."""
        return bool(self.turns)


@dataclass(frozen=True, slots=True)
class PhraseCause:
    """The content words of a span, and where they come from together.

    `strict_sources` are the rows of the similar instances of which one turn holds all words, most similar first. The
    expected shares, 0 to 1, tell how often chance would find them all in one turn: in as many random instances of
    matching length, and, for another phrase or word that is as frequent, in the same instances.
    """

    words: tuple[CauseWord, ...]
    outcome: Outcome
    strict_sources: tuple[int, ...]
    expected_instances: float
    expected_words: float

    @property
    def strict(self) -> bool:
        """Whether one turn of a similar instance holds all words."""
        return bool(self.strict_sources)


@dataclass(frozen=True, slots=True)
class Causes:
    """The analysis of one response. `instances` is how many there are in all, `draws` how many a word has."""

    prompt_id: str
    similar: tuple[Similar, ...]
    turns: tuple[Turn, ...]
    instances: int
    draws: int
    words: tuple[CauseWord, ...]
    unit_draws: UnitDraws | None = field(default=None, compare=False, repr=False)

    def outcome(self, word: CauseWord, rank: int) -> Outcome:
        """Where a word comes from; `rank` is the lowest base rank that needs an explanation."""
        if 0 <= word.rank < rank:
            return "pretrained"
        return "borrowed" if word.found else "unexplained"

    def sources(self, word: CauseWord) -> tuple[int, ...]:
        """The rows of the similar instances whose responses hold a word, most similar first."""
        return tuple(dict.fromkeys(self.turns[turn].index for turn in word.turns))

    def expected(self, word: CauseWord) -> tuple[float, float]:
        """How often chance would trace a word, as shares of the draws: by instances, and by words."""
        return self._share(word.by_instances), self._share(word.by_words)

    def between(self, start: int, end: int) -> tuple[CauseWord, ...]:
        """The content words that a stretch of the response touches."""
        return tuple(word for word in self.words if word.start < end and start < word.end)

    def word_at(self, offset: int) -> CauseWord | None:
        """The content word that a character belongs to."""
        return next(iter(self.between(offset, offset + 1)), None)

    def phrase(self, start: int, end: int, rank: int) -> PhraseCause | None:
        """What a stretch of the response comes from; None where it holds no content word.

        It is pretrained where all its words are, and borrowed where each word that is not is found.
        """
        words = self.between(start, end)
        if not words:
            return None
        outcomes = {self.outcome(word, rank) for word in words}
        outcome: Outcome = "unexplained" if "unexplained" in outcomes else "borrowed"
        if outcomes == {"pretrained"}:
            outcome = "pretrained"
        by_instances, by_words = self.phrase_draws(words)
        return PhraseCause(
            words, outcome, self.strict_sources(words), float(by_instances.mean()), float(by_words.mean())
        )

    def strict_sources(self, words: Sequence[CauseWord]) -> tuple[int, ...]:
        """The rows of the similar instances of which one turn holds all of the words, most similar first."""
        shared = set.intersection(*(set(word.turns) for word in words)) if words else set()
        return tuple(dict.fromkeys(self.turns[turn].index for turn in sorted(shared)))

    def phrase_draws(self, words: Sequence[CauseWord]) -> tuple[Bits, Bits]:
        """[draws] by instances and [draws] by words: whether chance would find all words in one turn."""
        keys = sorted({word.key for word in words})
        if len(keys) == 1:
            return self.bits(words[0].by_instances), self.bits(words[0].by_words)
        if self.unit_draws is None:
            raise ValueError("a phrase of several words needs the dataset: read the analysis with `run_causes`")
        return self.unit_draws(keys)

    def bits(self, packed: bytes) -> Bits:
        """[draws]: the bits of a word's draws."""
        return np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=self.draws).astype(np.bool_)

    def _share(self, packed: bytes) -> float:
        return int.from_bytes(packed, "big").bit_count() / self.draws if self.draws else 0.0


def causes_row(order: int, causes: Causes) -> dict[str, Any]:
    """An analysis as a row of the CAUSES schema."""
    return {
        "order": order,
        "prompt_id": causes.prompt_id,
        "similar": [{"index": one.index, "score": one.score} for one in causes.similar],
        "turns": [{"index": one.index, "turn": one.turn} for one in causes.turns],
        "instances": causes.instances,
        "draws": causes.draws,
        "words": [{name: getattr(word, name) for name in CauseWord.__dataclass_fields__} for word in causes.words],
    }


def causes_of(row: dict[str, Any], unit_draws: UnitDraws | None = None) -> Causes:
    """The analysis in a row of the CAUSES schema."""
    return Causes(
        prompt_id=row["prompt_id"],
        similar=tuple(Similar(**one) for one in row["similar"]),
        turns=tuple(Turn(**one) for one in row["turns"]),
        instances=row["instances"],
        draws=row["draws"],
        words=tuple(CauseWord(**{**word, "turns": tuple(word["turns"])}) for word in row["words"]),
        unit_draws=unit_draws,
    )
