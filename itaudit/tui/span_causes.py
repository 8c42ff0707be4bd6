"""Where the words of a span come from: the causal analysis of a response, as the stepper shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itaudit.data.instance import Instance
from itaudit.errors import UserError
from itaudit.runs.run import Run
from itaudit.trace.types import Evidence, Source, Span

if TYPE_CHECKING:
    from itaudit.trace.causes import Causes, CauseWord, Outcome

MOST = 10
"""Instances listed that hold words of a span."""


@dataclass(frozen=True, slots=True)
class SpanCause:
    """The content words of a span and what explains them.

    `strict` are the rows of the similar instances of which one turn holds all words, `holders` those that hold any,
    the strict ones first. `similar` counts the instances that were looked at, `instances` all there are.
    """

    words: "tuple[CauseWord, ...]"
    outcome: "Outcome"
    strict: tuple[int, ...]
    holders: tuple[int, ...]
    similar: int
    instances: int

    @property
    def several(self) -> bool:
        """Whether there are different words."""
        return len({word.key for word in self.words}) > 1

    @property
    def key(self) -> tuple[tuple[int, int], ...]:
        return tuple((word.start, word.end) for word in self.words)


def span_cause(causes: "Causes", start: int, end: int, rank: int) -> SpanCause | None:
    """What explains a stretch of the response; None where it holds no content word.

    It is as `Causes.phrase` has it, without the draws, which may take longer than a key may.
    """
    words = causes.between(start, end)
    if not words:
        return None
    outcomes = {causes.outcome(word, rank) for word in words}
    outcome: Outcome = (
        "pretrained" if outcomes == {"pretrained"} else "unexplained" if "unexplained" in outcomes else "borrowed"
    )
    strict = causes.strict_sources(words)
    held: dict[int, set[str]] = {}
    for word in words:
        for row in causes.sources(word):
            held.setdefault(row, set()).add(word.key)
    place = {one.index: number for number, one in enumerate(causes.similar)}
    holders = sorted(held, key=lambda row: (row not in strict, -len(held[row]), place[row]))
    return SpanCause(words, outcome, strict, tuple(holders), len(causes.similar), causes.instances)


def chance_of(causes: "Causes", words: "Sequence[CauseWord]") -> tuple[float, float]:
    """How often chance would find all words in one turn, as shares of 0 to 1.

    In as many random instances, and for other words that are as frequent. The first phrase of several words takes
    as long as reading the words of the dataset does.
    """
    if len({word.key for word in words}) == 1:
        return causes.expected(words[0])
    by_instances, by_words = causes.phrase_draws(words)
    return float(by_instances.mean()), float(by_words.mean())


def cause_span(run: Run, causes: "Causes", cause: SpanCause, text: str) -> Span | None:
    """The similar instances that hold words of the span as its sources, best first; None where none does.

    `text` is the response. Rows that can't be read any more are left out.
    """
    scores = {one.index: one.score for one in causes.similar}
    keys = {word.key for word in cause.words}
    sources = []
    for row in cause.holders[:MOST]:
        try:
            instance = run.dataset[run.dataset.position(row)]
        except (UserError, KeyError):
            continue
        sources.append(Source(row, scores[row], instance.instruction, holding(instance, keys), ()))
    start, end = cause.words[0].start, cause.words[-1].end
    return Span(start, end, text[start:end], "similar", len(cause.holders), tuple(sources)) if sources else None


def holding(instance: Instance, keys: set[str]) -> tuple[Evidence, ...]:
    """Where the answers of an instance hold words, those that follow each other as one; the longest first."""
    found = [
        Evidence(field, start, end, text[start:end])
        for field, text in _answers(instance)
        for start, end in _stretches(text, keys)
    ]
    return tuple(sorted(found, key=lambda evidence: -len(evidence.text)))


def _answers(instance: Instance) -> list[tuple[str, str]]:
    """(field, text) of all assistant turns."""
    turns = [(f"history[{n}]", m.content) for n, m in enumerate(instance.history) if m.role == "assistant"]
    turns.append(("response", instance.response or ""))
    return turns + [(f"later[{n}]", m.content) for n, m in enumerate(instance.later) if m.role == "assistant"]


def _stretches(text: str, keys: set[str]) -> list[tuple[int, int]]:
    from itaudit.analysis.words import words

    stretches: list[tuple[int, int]] = []
    before = -2
    for number, word in enumerate(words(text)):
        if word.key not in keys:
            continue
        if number == before + 1:
            stretches[-1] = (stretches[-1][0], word.end)
        else:
            stretches.append((word.start, word.end))
        before = number
    return stretches


def held_offsets(text: str, span: Span, source: Source) -> frozenset[int]:
    """The characters of a response's words, within a span, that the evidence of a source holds."""
    if not source.evidence:
        return frozenset()
    from itaudit.analysis.words import word_keys, words

    keys = {key for evidence in source.evidence for key in word_keys(evidence.text)}
    return frozenset(
        span.start + offset
        for word in words(text[span.start : span.end])
        if word.key in keys
        for offset in range(word.start, word.end)
    )
