"""What a response states that its reference answer, or the prompt's own input, does not support.

Numbers, dates and names are compared by what they amount to (`simplify.facts`), content words by their stems. What the
prompt says itself is supported. Nothing here knows what is true: a correct fact that the reference leaves out is
flagged too, and a wrong sentence made of the reference's own words is not.

Scores, by kind: a number or a date 0.9, a name 0.8, a content word 0.4 times its weight, half of that for common
English words. The weight is the share of the response's content words that are supported: next to a reference that the
response follows closely, an odd word stands out; next to a short one almost every word is unsupported, and that says
little. A response of few words is an answer to the point, whose words all count: of n content words, the weight is at
least 4 / n, and at most 1. Where it is under 0.3 no mere word is flagged. A span of several scores as its highest.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import regex

from itaudit.analysis.words import content_words, words
from itaudit.detect.neighbours import are_neighbours
from itaudit.runs.detections import Candidate, Detection
from itaudit.runs.rows import Prompt
from itaudit.simplify.dates import dates
from itaudit.simplify.facts import KnownFacts, NewFact
from itaudit.simplify.names import is_common
from itaudit.simplify.numbers import numbers

FACT_SCORES = {"number": 0.9, "date": 0.9, "name": 0.8}
WORD_SCORE = 0.4
FEW = 4
"""Content words of an answer that is all to the point."""
LEAST_WEIGHT = 0.3
COMMON = 0.5
"""What a common word's score is multiplied by."""

_BLANK_LINE = regex.compile(r"\n[ \t]*\n")


@dataclass(frozen=True, slots=True)
class _Unsupported:
    start: int
    end: int
    kind: str
    score: float


def detect(prompt: Prompt, response: str) -> Detection:
    """What a run's prompt does not support of a response to it."""
    references = [prompt.reference] if prompt.reference and prompt.reference.strip() else []
    inputs = prompt_inputs(prompt)
    if not references and not inputs:
        return Detection(prompt.id, (), "the prompt has neither a reference nor an input")
    return Detection(prompt.id, tuple(candidates(response, prompt.prompt, references, inputs)))


def prompt_inputs(prompt: Prompt) -> list[str]:
    """The texts that a prompt gives to work on: what follows its first blank line, and the turns before it."""
    parts = _BLANK_LINE.split(prompt.prompt.strip(), maxsplit=1)
    earlier = [message["content"] for message in prompt.messages[:-1] if message["role"] != "system"]
    return [text for text in (*parts[1:], *earlier) if text.strip()]


def candidates(response: str, prompt: str, references: Sequence[str], inputs: Sequence[str]) -> list[Candidate]:
    """The stretches of a response that neither references nor inputs nor the prompt support, in order.

    Unsupported words that only a space or a hyphen parts are one candidate.
    """
    texts = [*references, *inputs, prompt]
    source = "reference" if references else "input"
    found: list[list[_Unsupported]] = []
    for one in _unsupported(response, texts):
        if found and are_neighbours(response, found[-1][-1].end, one.start):
            found[-1].append(one)
        else:
            found.append([one])
    return [_candidate(response, group, source) for group in found]


def _candidate(response: str, group: Sequence[_Unsupported], source: str) -> Candidate:
    start, end = group[0].start, group[-1].end
    kinds = " and ".join(dict.fromkeys(one.kind for one in sorted(group, key=lambda one: -one.score)))
    reason = f"{kinds} not in the {source}"
    return Candidate(start, end, response[start:end], round(max(one.score for one in group), 4), reason)


def _unsupported(response: str, texts: Sequence[str]) -> list[_Unsupported]:
    known = KnownFacts(texts)
    facts = [fact for fact in known.new_in(response) if not _says_little(fact)]
    found = [_Unsupported(fact.start, fact.end, fact.kind, FACT_SCORES[fact.kind]) for fact in facts]
    # Numbers and dates that are not new are known, however they are written.
    judged = [(fact.start, fact.end) for fact in facts]
    judged += [(number.start, number.end) for number in numbers(response)]
    judged += [(date.start, date.end) for date in dates(response)]
    whole = _whole_words(response, [*found, *_words(response, known, judged)])
    return sorted(whole, key=lambda one: one.start)


def _says_little(fact: NewFact) -> bool:
    """A lone Latin letter, and `first`: what was first performed is a claim about the performance."""
    return fact.text.lower() == "first" or (fact.kind == "name" and len(fact.text) == 1 and fact.text.isascii())


def _whole_words(response: str, found: Sequence[_Unsupported]) -> Iterator[_Unsupported]:
    """Each stretch with the rest of the words that it ends in: the 1870 of `1870s`."""
    bounds = [(word.start, word.end) for word in words(response)]
    starts = [start for start, _ in bounds]
    for one in found:
        first, last = bisect_right(starts, one.start) - 1, bisect_right(starts, one.end - 1) - 1
        start = bounds[first][0] if first >= 0 and one.start < bounds[first][1] else one.start
        end = bounds[last][1] if last >= 0 and one.end < bounds[last][1] else one.end
        yield replace(one, start=start, end=end)


def _words(response: str, known: KnownFacts, judged: Sequence[tuple[int, int]]) -> Iterator[_Unsupported]:
    """The content words that stand in no text in any inflection, but those that were judged as facts."""
    taken = bytearray(len(response))
    for start, end in judged:
        taken[start:end] = b"\1" * (end - start)
    content = [word for word in content_words(response) if len(word.text) > 1 or not word.text.isascii()]
    missing = [word for word in content if not known.holds_word(word.key)]
    if not missing:
        return
    weight = min(1.0, max(len(content) - len(missing), FEW) / len(content))
    for word in missing if weight >= LEAST_WEIGHT else ():
        if not any(taken[word.start : word.end]):
            score = WORD_SCORE * weight * (COMMON if is_common(word.key) else 1)
            yield _Unsupported(word.start, word.end, "word", score)
