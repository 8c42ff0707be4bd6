"""What the two models' figures say against a content word: shifted, improbable to the base, a guess to the tuned model.

A word is judged by its first token, as in Ghosh et al. 2024, since those that follow are mostly bound by it; a word
with a digit by the most suspect of its tokens, since tokenizers that split numbers leave the first digit to chance.
There are three parts, each 0 to 1, and the score is their mean:

- shift: 0 unshifted, 0.5 marginal, 1 shifted, by the base rank of the token;
- surprise: 1 - the probability that the base model gives to the token;
- doubt: the entropy of the tuned model's distribution, over the alternatives that were kept and one bucket for all
  others, as a share of the highest that so many outcomes can have. What is in the bucket counts as one outcome, so
  that the entropy in nats is a lower bound of the true one.

Where the tuned model's distribution is not known the score is the mean of the first two. High scores say that tuning
made the model say what the base model would not, and that it was not sure either; they know nothing of what is true.
"""

import math
from collections.abc import Sequence

from itaudit.analysis.shift import Thresholds, class_codes
from itaudit.analysis.words import content_words, word_positions
from itaudit.detect.neighbours import are_neighbours
from itaudit.runs.detections import Candidate
from itaudit.runs.rows import TokenScores

_USUAL = Thresholds()
LEAST = 0.6
"""The score from which on a word is a candidate."""


def candidates(
    scores: TokenScores, response: str, thresholds: Thresholds = _USUAL, *, least: float = LEAST
) -> list[Candidate]:
    """The content words of a response whose score is `least` or more, in order; neighbours are one candidate.

    `scores` are those of the response, offsets in characters. A word that no token covers is passed over.
    """
    words = content_words(response)
    found: list[list[tuple[int, int, float, str]]] = []
    for word, position in zip(words, word_positions(words, scores.starts, scores.ends), strict=True):
        if position < 0:
            continue
        after = position + 1
        while any(map(str.isdigit, word.text)) and after < len(scores) and scores.starts[after] < word.end:
            after += 1
        score, reason = max(_judged(scores, at, thresholds) for at in range(position, after))
        if score < least:
            continue
        one = (word.start, word.end, score, reason)
        if found and are_neighbours(response, found[-1][-1][1], word.start):
            found[-1].append(one)
        else:
            found.append([one])
    return [_candidate(response, group) for group in found]


def _candidate(response: str, group: Sequence[tuple[int, int, float, str]]) -> Candidate:
    start, end = group[0][0], group[-1][1]
    _, _, score, reason = max(group, key=lambda one: one[2])
    return Candidate(start, end, response[start:end], round(score, 4), reason)


def _judged(scores: TokenScores, position: int, thresholds: Thresholds) -> tuple[float, str]:
    """The score of a word whose first token stands at a position, and what it is made of."""
    rank = scores.rank_base[position]
    probability = math.exp(min(scores.logprob_base[position], 0.0))
    parts = [class_codes(rank, thresholds).item() / 2, 1 - probability]
    reason = f"base rank {rank}, base probability {probability:.3f}"
    if scores.top_tuned is not None:
        entropy, highest = entropy_bound([logprob for _, logprob in scores.top_tuned[position]])
        parts.append(entropy / highest if highest else 0.0)
        reason += f", entropy at least {entropy:.2f} nats"
    return sum(parts) / len(parts), reason


def entropy_bound(logprobs: Sequence[float]) -> tuple[float, float]:
    """A lower bound of a distribution's entropy by the log-probabilities of some outcomes, and what it is at most.

    Both in nats. All other outcomes are taken for one.
    """
    probabilities = [math.exp(min(logprob, 0.0)) for logprob in logprobs]
    rest = max(0.0, 1 - sum(probabilities))
    entropy = -sum(p * math.log(p) for p in (*probabilities, rest) if p > 0)
    return max(entropy, 0.0), math.log(len(probabilities) + 1)
