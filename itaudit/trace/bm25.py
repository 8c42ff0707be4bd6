"""BM25 (ATIRE: k1 1.5, b 0.75, Robertson's idf) over documents of word ids, by bm25s or by rank-bm25.

A query is a set of words: a word counts once however often the query repeats it, since a response caught in a loop
would else drown what it is about. Scores of the two engines agree to float32 where no query word stands in more than
half of the documents. There Robertson's idf falls below zero: bm25s takes it as 0, so that such a word neither helps
nor harms a document, and rank-bm25 as a quarter of the mean idf.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

K1, B = 1.5, 0.75

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Engine(Protocol):
    """Scores documents by distinct word ids."""

    def scores(self, ids: Sequence[int]) -> npt.NDArray[np.floating[Any]]:
        """The score of every document."""

    def contributions(self, ids: Sequence[int], documents: Ints) -> Floats:
        """[words, documents]: what each word adds to the score of each document."""


class Bm25s:
    """bm25s, with every word's contribution computed beforehand and memory-mapped."""

    def __init__(self, directory: Path) -> None:
        from bm25s import BM25

        self._bm25 = BM25.load(directory, mmap=True, show_progress=False)
        # Plain views of the maps: indexing a memmap costs several times what the look-up itself does.
        for name in ("data", "indices", "indptr"):
            self._bm25.scores[name] = np.asarray(self._bm25.scores[name])
        self.vocabulary: dict[str, int] = self._bm25.vocab_dict

    @staticmethod
    def build(documents: list[list[int]], vocabulary: dict[str, int], directory: Path) -> None:
        """Writes the index of `documents`, lists of word ids with at least one word among them."""
        from bm25s import BM25

        bm25 = BM25(k1=K1, b=B, method="atire", idf_method="robertson", backend="numpy", csc_backend="numpy")
        bm25.index((documents, vocabulary), create_empty_token=False, show_progress=False)
        bm25.save(directory, show_progress=False)

    def scores(self, ids: Sequence[int]) -> npt.NDArray[np.floating[Any]]:
        # Words of more than half of the documents add 0 to each of them, and would take most of the time.
        starts, data = self._bm25.scores["indptr"], self._bm25.scores["data"]
        weighing = [word for word in ids if data[starts[word]]]
        found: npt.NDArray[np.floating[Any]] = self._bm25.get_scores_from_ids(weighing)
        return found

    def contributions(self, ids: Sequence[int], documents: Ints) -> Floats:
        matrix = self._bm25.scores
        table = np.zeros((len(ids), len(documents)))
        for row, word in enumerate(ids):
            column = slice(matrix["indptr"][word], matrix["indptr"][word + 1])
            holders, values = matrix["indices"][column], matrix["data"][column]
            if len(holders):
                at = np.minimum(np.searchsorted(holders, documents), len(holders) - 1)
                table[row] = np.where(holders[at] == documents, values[at], 0.0)
        return table


class RankBm25:
    """rank-bm25, the reference: slow, and held in memory."""

    def __init__(self, documents: list[list[int]]) -> None:
        from rank_bm25 import BM25Okapi

        self._bm25 = BM25Okapi(documents, k1=K1, b=B)

    def scores(self, ids: Sequence[int]) -> npt.NDArray[np.floating[Any]]:
        found: npt.NDArray[np.floating[Any]] = self._bm25.get_scores(ids)
        return found

    def contributions(self, ids: Sequence[int], documents: Ints) -> Floats:
        rows = [self._bm25.get_batch_scores([word], documents.tolist()) for word in ids]
        return np.array(rows, dtype=np.float64).reshape(len(ids), len(documents))
