"""How much of a response stands word for word in answers of the dataset."""

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from itaudit.analysis.words import word_keys
from itaudit.trace.suffixes import BLOCK, SEPARATOR, SuffixArray, suffix_order


class AnswerSuffixes:
    """A suffix array over the words of answers alone: what a dataset asks is no pattern that a model could copy."""

    def __init__(self, answers: Iterable[str]) -> None:
        self._vocabulary: dict[str, int] = {"": SEPARATOR}
        numbers = self._vocabulary
        tokens = array("i", [SEPARATOR])
        for answer in answers:
            tokens.extend([numbers.setdefault(key, len(numbers)) for key in word_keys(answer)])
            tokens.append(SEPARATOR)
        sequence = np.frombuffer(tokens, dtype=np.int32)
        padded = np.concatenate([sequence, np.full(BLOCK, SEPARATOR, dtype=np.int32)])
        self._suffixes = SuffixArray(padded, suffix_order(sequence))

    def copied_words(self, text: str, lengths: Sequence[int]) -> list[int]:
        """For each length, how many words of a text stand in a stretch of at least so many words of one answer.

        Words are compared lower-cased, whatever the punctuation between them.
        """
        unknown = len(self._vocabulary)
        ids = np.array([self._vocabulary.get(key, unknown) for key in word_keys(text)], dtype=np.int32)
        if not len(ids):
            return [0] * len(lengths)
        runs = self._suffixes.longest(ids)
        return [_covered(runs, length) for length in lengths]


def _covered(runs: npt.NDArray[np.int64], length: int) -> int:
    """How many places lie in a run of at least `length`, where `runs` [places] says how far each reaches."""
    starts = np.flatnonzero(runs >= length)
    if not len(starts):
        return 0
    # One more is open from each start to each end.
    changes = np.bincount(starts, minlength=len(runs) + 1) - np.bincount(starts + runs[starts], minlength=len(runs) + 1)
    return int(np.count_nonzero(np.cumsum(changes)[:-1]))
