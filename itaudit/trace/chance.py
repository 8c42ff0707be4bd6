"""What chance would trace: the same look-up with random instances, and with other words.

*By instances*: a draw deals the answers of the dataset out anew among instances whose answers are of like length, all
at once, so that every prompt looks at as many random answers as it has similar instances, and prompts that share
similar instances share the random ones too. *By words*: a draw puts in the place of each word another of the same
class that as many instances hold, the same one wherever the word stands, and looks for it in the similar instances.
Were answers dealt out among instances by chance, both would find as much as the analysis does.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from itaudit.trace.response_words import WORD_CLASSES, Ints, ResponseWords

Bits = npt.NDArray[np.bool_]

STRATA = 50
"""The most groups of instances of like length that a draw deals among."""
POOL = 20
"""Words that another is drawn from at least; where fewer are exactly as frequent, their neighbours join them."""


class Chance:
    """Draws over one dataset; the same dataset, seed and number of draws give the same draws.

    `k` is the number of similar instances a prompt has.
    """

    def __init__(self, words: ResponseWords, *, k: int, draws: int, seed: int) -> None:
        self.words, self.draws, self._seed = words, draws, seed
        count = words.instances
        # In a group that held few more than a prompt looks at, random instances would be the similar ones again.
        groups = max(1, min(count // max(k, 1), STRATA))
        self._strata = np.array_split(np.argsort(words.lengths, kind="stable"), groups)
        # The chance that one of k random instances is among f: what words of other frequencies are weighed by.
        missed = np.maximum(count - min(k, count) - np.arange(count), 0) / np.maximum(count - np.arange(count), 1)
        self._found = 1 - np.concatenate([[1.0], np.cumprod(missed)])
        self._pools = [self._pool(words.classes == code) for code in range(len(WORD_CLASSES))]
        self._others: dict[tuple[str, ...], npt.NDArray[np.int32] | None] = {}

    def random_instances(self, positions: Ints) -> npt.NDArray[np.int32]:
        """[draws, positions]: whose answers the instances at `positions` have in each draw."""
        rng = np.random.default_rng([self._seed, 1])
        dealt = np.empty((self.draws, len(positions)), dtype=np.int32)
        owner = np.arange(self.words.instances, dtype=np.int32)
        strata = [stratum.astype(np.int32) for stratum in self._strata]
        for draw in range(self.draws):
            for stratum in strata:
                owner[stratum] = rng.permutation(stratum)
            dealt[draw] = owner[positions]
        return dealt

    def by_instances(self, holders: Ints, dealt: npt.NDArray[np.int32]) -> Bits:
        """[draws]: whether one of the random instances, [draws, similar], is among the holders of a word."""
        holds = np.zeros(self.words.instances, dtype=np.bool_)
        holds[holders] = True
        return np.asarray(holds[dealt].any(axis=1), dtype=np.bool_)

    def by_words(self, keys: Sequence[str], frequency: int, held: Bits, found: bool) -> Bits:
        """[draws]: whether the similar instances hold another word, given which words they hold, [vocabulary].

        Several keys are a phrase, which counts as one word of the frequency that it has as a whole. Where no other
        word compares, the word is compared with itself: it is `found` or not.
        """
        if not frequency:
            return np.zeros(self.draws, dtype=np.bool_)
        others = self._other_words(tuple(keys), frequency)
        if others is None:
            return np.full(self.draws, found, dtype=np.bool_)
        bits: Bits = held[others]
        return bits

    def _other_words(self, keys: tuple[str, ...], frequency: int) -> npt.NDArray[np.int32] | None:
        if keys not in self._others:
            pool, weights = self._candidates(keys, frequency)
            chosen = None
            if len(pool):
                digest = hashlib.blake2b("\n".join(keys).encode("utf-8", "surrogatepass"), digest_size=8).digest()
                rng = np.random.default_rng([self._seed, 2, int.from_bytes(digest, "big")])
                chosen = rng.choice(pool, self.draws, p=weights).astype(np.int32)
            self._others[keys] = chosen
        return self._others[keys]

    def _candidates(self, keys: tuple[str, ...], frequency: int) -> tuple[Ints, npt.NDArray[np.float64] | None]:
        """Words to draw from, with their weights; None weighs them alike."""
        numbers, frequencies = self._pools[self.words.class_of(keys)]
        low, high = np.searchsorted(frequencies, [frequency, frequency + 1])
        exact = numbers[low:high]
        if len(keys) == 1:
            exact = exact[exact != self.words.vocabulary[keys[0]]]
        below, above = numbers[max(low - POOL // 2, 0) : low], numbers[high : high + POOL // 2]
        if len(exact) >= POOL or not (len(below) and len(above)):
            return exact, None
        # Rarer and more frequent words are mixed so that, on average, chance finds them as often as the word itself.
        wanted = self._found[frequency]
        rare, common = (self._found[self.words.frequencies[side]].mean() for side in (below, above))
        share = (wanted - rare) / (common - rare) if common > rare else 0.5
        alike = len(exact) / (len(exact) + len(below) + len(above))
        parts = [(exact, alike), (below, (1 - alike) * (1 - share)), (above, (1 - alike) * share)]
        pool = np.concatenate([part for part, _ in parts])
        weights = np.concatenate([np.full(len(part), weight / max(len(part), 1)) for part, weight in parts])
        return pool, weights / weights.sum()

    def _pool(self, chosen: Bits) -> tuple[Ints, Ints]:
        """The content words of a class and their frequencies, ascending."""
        numbers = np.flatnonzero(chosen & self.words.content)
        frequencies = self.words.frequencies[numbers]
        order = np.argsort(frequencies, kind="stable")
        return numbers[order], frequencies[order]
