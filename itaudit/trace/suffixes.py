"""A suffix array over word ids: where a phrase stands, and how far a text runs on as some instance does."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
TokenIds = npt.NDArray[np.int32]

SEPARATOR = 0
"""The id between fields; no query holds it, so that no match crosses from one field into the next."""
BLOCK = 16
"""Words compared at a time; as many separators follow the last field."""


@dataclass(frozen=True, slots=True)
class SuffixArray:
    """`tokens` [N + BLOCK]: fields with a separator before, between and after them; `order` [N]: sorted suffixes.

    Queries are arrays of ids from 1; an id that no field holds, such as the vocabulary's size, matches nothing. All
    searches run over many phrases at once.
    """

    tokens: TokenIds
    order: TokenIds

    def longest(self, query: TokenIds) -> Ints:
        """For each position of `query` the number of words from there on that stand together somewhere."""
        starts = np.arange(len(query), dtype=np.int64)
        ends = np.full(len(query), len(query), dtype=np.int64)
        # The suffix that shares most with a phrase is a neighbour of the place where the phrase would be sorted in.
        place = self._insertion(query, starts, ends, np.full(len(query), -1, dtype=np.int64))
        last = len(self.order) - 1
        before = self._common(self.order[np.maximum(place - 1, 0)], query, starts, ends)
        after = self._common(self.order[np.minimum(place, last)], query, starts, ends)
        return np.maximum(before, after)

    def ranges(self, query: TokenIds, starts: Ints, lengths: Ints) -> tuple[Ints, Ints]:
        """For each phrase `query[start : start + length]` the half-open range of `order` that begins with it."""
        count, ends = len(starts), starts + lengths
        # The end of a phrase sorts below every word to find the lower bound, and above every word to find the upper.
        sentinels = np.repeat(np.array([-1, np.iinfo(np.int32).max], dtype=np.int64), count)
        both = self._insertion(query, np.tile(starts, 2), np.tile(ends, 2), sentinels)
        return both[:count], both[count:]

    def _insertion(self, query: TokenIds, starts: Ints, ends: Ints, sentinels: Ints) -> Ints:
        low = np.zeros(len(starts), dtype=np.int64)
        high = np.full(len(starts), len(self.order), dtype=np.int64)
        while (open_ := np.flatnonzero(low < high)).size:
            middle = (low[open_] + high[open_]) // 2
            suffixes = self.order[middle].astype(np.int64)
            common = self._common(suffixes, query, starts[open_], ends[open_])
            at = starts[open_] + common
            word = np.where(at < ends[open_], query[np.minimum(at, len(query) - 1)], sentinels[open_])
            less = self.tokens[suffixes + common] < word
            low[open_] = np.where(less, middle + 1, low[open_])
            high[open_] = np.where(less, high[open_], middle)
        return low

    def _common(self, suffixes: npt.NDArray[np.integer], query: TokenIds, starts: Ints, ends: Ints) -> Ints:
        """How many words each suffix shares with its phrase `query[start:end]`, from their beginnings."""
        suffixes = suffixes.astype(np.int64)
        common = np.zeros(len(starts), dtype=np.int64)
        open_ = np.arange(len(starts))
        steps = np.arange(BLOCK)
        while open_.size:
            at = (starts[open_] + common[open_])[:, None] + steps
            theirs = self.tokens[(suffixes[open_] + common[open_])[:, None] + steps]
            differ = (at >= ends[open_, None]) | (theirs != query[np.minimum(at, len(query) - 1)])
            run = np.where(differ.any(axis=1), differ.argmax(axis=1), BLOCK)
            common[open_] += run
            open_ = open_[run == BLOCK]
        return common


def suffix_order(tokens: TokenIds) -> TokenIds:
    """The sorted suffixes of `tokens`, which hold nothing below 0."""
    # Imported where it is needed, like every library that only the building of an index takes.
    from pydivsufsort import divsufsort

    return np.asarray(divsufsort(np.ascontiguousarray(tokens, dtype=np.int32)), dtype=np.int32)
