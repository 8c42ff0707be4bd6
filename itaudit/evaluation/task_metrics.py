"""Exact match and ROUGE-L as Tk-Instruct scores Super-NaturalInstructions (Wang et al. 2022, arXiv 2204.07705).

Several references count as one: the score is the highest over them. Both scores are 0 to 1.
"""

import string
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Literal

Metric = Literal["exact_match", "rouge_l"]

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised_answer(text: str) -> str:
    """Lower case, no ASCII punctuation, single spaces. Articles stay: Tk-Instruct switched off what SQuAD does."""
    return " ".join(text.lower().translate(_PUNCTUATION).split())


def exact_match(response: str, references: Sequence[str]) -> float:
    """1 where the response equals a reference after normalisation, else 0; without references ValueError."""
    answer = normalised_answer(response)
    return float(max(answer == normalised_answer(reference) for reference in references))


def rouge_l(response: str, references: Sequence[str]) -> float:
    """F-measure of the longest common subsequence of stemmed words, of the best reference.

    Words are runs of a-z and 0-9 after lower-casing, as published: text in other scripts has none, and scores 0.
    """
    return max(_rouge_l(response, reference) for reference in references)


def score(metric: Metric, response: str, references: Sequence[str]) -> float:
    """The score of a response by either metric."""
    return exact_match(response, references) if metric == "exact_match" else rouge_l(response, references)


@lru_cache(maxsize=65_536)
def _rouge_l(response: str, reference: str) -> float:
    return float(_scorer().score(target=reference, prediction=response)["rougeL"].fmeasure)


@cache
def _scorer() -> Any:
    # Imported where it is needed: it brings a whole toolkit for its stemmer.
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)
