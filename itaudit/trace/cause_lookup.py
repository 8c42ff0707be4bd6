"""Looks the words of responses up in the answers of the instances most similar to their prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from itaudit.analysis.words import content_words, word_keys, word_ranks
from itaudit.trace.causes import Bits, Causes, CauseWord, Similar, Turn
from itaudit.trace.chance import Chance
from itaudit.trace.index import TraceIndex
from itaudit.trace.response_words import Ints, ResponseWords


@dataclass(frozen=True, slots=True)
class Scored:
    """A response with the character offsets and 0-based base ranks of its tokens."""

    text: str
    starts: npt.ArrayLike
    ends: npt.ArrayLike
    ranks: npt.ArrayLike


class Draws:
    """The draws of several prompts, given the positions of each one's similar instances, dealt when first asked for."""

    def __init__(self, words: ResponseWords, chance: Chance, similar: Mapping[str, Ints]) -> None:
        self.words, self.chance, self.similar = words, chance, similar

    @cached_property
    def _dealt(self) -> tuple[dict[int, int], npt.NDArray[np.int32]]:
        # One deal for all prompts, since it costs the same for one as for a hundred.
        wanted = sorted({at for positions in self.similar.values() for at in positions.tolist()})
        columns = {position: column for column, position in enumerate(wanted)}
        return columns, self.chance.random_instances(np.array(wanted, dtype=np.int64))

    def of(self, prompt_id: str) -> "PromptDraws":
        """The draws of one prompt."""
        columns, dealt = self._dealt
        similar = self.similar[prompt_id]
        return PromptDraws(self.words, self.chance, similar, dealt[:, [columns[at] for at in similar.tolist()]])


class PromptDraws:
    """The draws of one prompt; `turns` are those of its similar instances, most similar first."""

    def __init__(self, words: ResponseWords, chance: Chance, similar: Ints, dealt: npt.NDArray[np.int32]) -> None:
        starts = words.instance_starts
        ranges = [np.arange(starts[at], starts[at + 1]) for at in similar]
        self.turns: Ints = np.concatenate(ranges) if ranges else np.empty(0, dtype=np.int64)
        self._words, self._chance, self._dealt = words, chance, dealt
        self._held = np.zeros(len(words.keys), dtype=np.bool_)
        for turn in self.turns:
            self._held[words.words[words.turn_starts[turn] : words.turn_starts[turn + 1]]] = True

    def draws(self, keys: Sequence[str]) -> tuple[Bits, Bits]:
        """[draws] by instances and by words: whether chance finds all of the word keys in one turn."""
        turns = self._words.turns(keys)
        holders = np.unique(self._words.turn_instances[turns])
        found = bool(np.isin(turns, self.turns).any())
        by_instances = self._chance.by_instances(holders, self._dealt)
        return by_instances, self._chance.by_words(keys, len(holders), self._held, found)


class CauseLookup:
    """The analysis of the responses to some prompts, over one dataset.

    `index` is over the prompt sides of the instances, and `rows` [instances] says which row of the source each is.
    """

    def __init__(
        self, index: TraceIndex, words: ResponseWords, rows: Ints, queries: Mapping[str, str], k: int, chance: Chance
    ) -> None:
        self._words, self._rows = words, rows
        self._hits = {id: index.ranking(query).best(k) for id, query in queries.items()}
        similar = {id: np.array([hit.position for hit in hits], dtype=np.int64) for id, hits in self._hits.items()}
        self.draws = Draws(words, chance, similar)

    def causes(self, prompt_id: str, context: str, scored: Scored) -> Causes:
        """The analysis of one response; `context` is all that the model read, in words."""
        words = self._words
        drawn = self.draws.of(prompt_id)
        turns, known = drawn.turns, set(word_keys(context))
        found = content_words(scored.text)
        # A word that a response repeats is looked up once.
        seen: dict[str, tuple[int, tuple[int, ...], bytes, bytes]] = {}
        for key in (word.key for word in found):
            if key not in seen:
                held = tuple(np.flatnonzero(np.isin(turns, words.turns([key]))).tolist())
                by_instances, by_words = (np.packbits(bits).tobytes() for bits in drawn.draws([key]))
                seen[key] = len(words.holders([key])), held, by_instances, by_words
        ranks = word_ranks(found, scored.starts, scored.ends, scored.ranks)
        owners = words.turn_instances[turns]
        numbers = turns - words.instance_starts[owners]
        return Causes(
            prompt_id=prompt_id,
            similar=tuple(Similar(int(self._rows[hit.position]), hit.score) for hit in self._hits[prompt_id]),
            turns=tuple(
                Turn(index, number) for index, number in zip(self._rows[owners].tolist(), numbers.tolist(), strict=True)
            ),
            instances=words.instances,
            draws=self.draws.chance.draws,
            words=tuple(
                CauseWord(word.start, word.end, word.text, rank, word.key in known, *seen[word.key])
                for word, rank in zip(found, ranks, strict=True)
            ),
        )
