"""The index that traces are looked up in: similar instances by BM25, and what stands in an instance verbatim."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from itaudit.analysis.words import word_key, word_keys, words
from itaudit.trace.bm25 import Engine, RankBm25
from itaudit.trace.evidence import find_evidence
from itaudit.trace.index_files import IndexFiles, Instances, cached_files
from itaudit.trace.suffixes import TokenIds
from itaudit.trace.types import Source

ENGINES = ("bm25s", "rank-bm25")

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Hit:
    """An instance that a query found: its position, its score, and what each query word adds, largest first."""

    position: int
    score: float
    words: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A verbatim span, half-open character offsets of the response, and the positions of all instances that hold it."""

    start: int
    end: int
    positions: Positions


class TraceIndex:
    """An index over the instances of one dataset. A document is a whole instance: every field and message of it."""

    def __init__(self, instances: Instances, files: IndexFiles, engine: str) -> None:
        self._instances = instances
        self._suffixes = files.suffixes
        self._starts = files.instance_starts
        self._vocabulary = files.bm25.vocabulary if files.bm25 else {"": 0}
        self._engine: Engine | None = files.bm25
        if engine == "rank-bm25" and files.bm25:
            self._engine = RankBm25(files.documents())

    @classmethod
    def open(cls, dataset: Instances, *, engine: str = "bm25s", cache_dir: Path) -> "TraceIndex":
        """The index of a dataset, from the cache where the same texts were indexed before.

        Raises ValueError for an engine not in ENGINES, and UserError if the cache can't be written.
        """
        if engine not in ENGINES:
            raise ValueError(f"engine: {engine!r} is not one of {', '.join(ENGINES)}")
        return cls(dataset, cached_files(dataset, cache_dir / "trace"), engine)

    def ranking(self, query: str) -> "Ranking":
        """All instances scored by a query, whose known words count once each."""
        vocabulary = self._vocabulary
        known = {vocabulary[key]: key for key in word_keys(query) if key in vocabulary}
        # A fixed order of summation makes the scores of a query the same whatever the order of its words.
        ids = sorted(known)
        scores = self._engine.scores(ids) if self._engine and ids else np.zeros(len(self._instances), np.float32)
        return Ranking(self, ids, [known[number] for number in ids], scores)

    def sources(self, query: str, *, span: str | None, k: int) -> tuple[Source, ...]:
        """The `k` instances most similar to `query`, best first, with evidence of the span's words."""
        return self.with_evidence(self.ranking(query).best(k), word_keys(span or ""))

    def with_evidence(self, hits: Sequence[Hit], keys: Sequence[str]) -> tuple[Source, ...]:
        """The sources that hits lead to, with evidence of a span given as word keys."""
        found = []
        for hit in hits:
            instance = self._instances[hit.position]
            evidence = find_evidence(instance, keys)
            found.append(Source(instance.index, hit.score, instance.instruction, evidence, hit.words))
        return tuple(found)

    def contributions(self, ids: Sequence[int], positions: Positions) -> npt.NDArray[np.float64]:
        """[words, instances]: what each word id adds to the score of each instance."""
        if self._engine is None:
            return np.zeros((len(ids), len(positions)))
        return self._engine.contributions(ids, positions)

    def holders(self, keys: Sequence[str]) -> Positions:
        """The positions of the instances that hold a phrase of word keys within one field, ascending."""
        ids = self._ids(keys)
        if not len(ids):
            return np.empty(0, dtype=np.int64)
        return self._holders(ids, np.array([0]), np.array([len(ids)]))[0]

    def frequency(self, text: str) -> int:
        """The number of instances that hold the text as whole words; 0 for a text without words."""
        return len(self.holders(word_keys(text)))

    def matches(self, response: str, *, min_words: int) -> list[Match]:
        """The maximal stretches of at least `min_words` words that stand in an instance, by where they start.

        Words are compared lower-cased, whatever the punctuation between them. Maximal: no word can be added on
        either side, so that stretches from different instances may overlap and none lies inside another.
        """
        found = words(response)
        if not found:
            return []
        ids = self._ids([word_key(word.text) for word in found])
        lengths = self._suffixes.longest(ids)
        # A match that starts one word earlier reaches at least as far if it is longer by that word.
        inside = np.concatenate([[False], lengths[:-1] == lengths[1:] + 1])
        first = np.flatnonzero((lengths >= max(min_words, 1)) & ~inside)
        holders = self._holders(ids, first, lengths[first])
        ends = (first + lengths[first] - 1).tolist()
        return [
            Match(found[start].start, found[end].end, positions)
            for start, end, positions in zip(first.tolist(), ends, holders, strict=True)
        ]

    def verbatim(self, response: str, *, min_words: int) -> list[tuple[int, int, int]]:
        """`matches` as start, end and the first position of each."""
        found = self.matches(response, min_words=min_words)
        return [(match.start, match.end, int(match.positions[0])) for match in found]

    def _ids(self, keys: Sequence[str]) -> TokenIds:
        unknown = len(self._vocabulary)
        return np.array([self._vocabulary.get(key, unknown) for key in keys], dtype=np.int32)

    def _holders(self, ids: TokenIds, starts: Positions, lengths: Positions) -> list[Positions]:
        low, high = self._suffixes.ranges(ids, starts, lengths)
        return [
            np.unique(np.searchsorted(self._starts, self._suffixes.order[a:b], side="right") - 1)
            for a, b in zip(low.tolist(), high.tolist(), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The scores [instances] of all instances for one query of word ids."""

    index: TraceIndex
    ids: list[int]
    words: list[str]
    scores: npt.NDArray[np.floating[Any]]

    def best(self, k: int) -> tuple[Hit, ...]:
        """The `k` best instances that hold a query word; equal scores go by position, lower first.

        A word that stands in half of the instances or more weighs nothing, so that the last ones may score 0.
        """
        k = min(k, len(self.scores))
        if k < 1 or not self.ids:
            return ()
        lowest = np.partition(self.scores, -k)[-k]
        if lowest > 0:
            return self.best_of(np.flatnonzero(self.scores >= lowest), k)
        return self.best_of(np.unique(np.concatenate([self.index.holders([word]) for word in self.words])), k)

    def best_of(self, positions: Positions, k: int) -> tuple[Hit, ...]:
        """The `k` best among the instances at `positions`, which are ascending."""
        chosen = positions[np.argsort(-self.scores[positions], kind="stable")[: max(k, 0)]]
        table = self.index.contributions(self.ids, chosen)
        return tuple(
            Hit(position, float(self.scores[position]), self._contributions(column))
            for position, column in zip(chosen.tolist(), table.T, strict=True)
        )

    def _contributions(self, column: npt.NDArray[np.float64]) -> tuple[tuple[str, float], ...]:
        weighed = [(word, value) for word, value in zip(self.words, column.tolist(), strict=True) if value]
        return tuple(sorted(weighed, key=lambda pair: (-pair[1], pair[0])))
