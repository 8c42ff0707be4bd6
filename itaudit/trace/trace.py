"""Traces: from spans of a response to the instances they may come from.

The query of a span is the prompt and the span's context: the sentences of the response that it touches. Spans of the
same context share one retrieval.
"""

from bisect import bisect_left, bisect_right

import numpy.typing as npt

from itaudit.analysis.shift import Thresholds, shift_class
from itaudit.analysis.words import content_words, sentence_bounds, sentences_around, word_ranks, words
from itaudit.trace.index import Hit, Match, Ranking, TraceIndex
from itaudit.trace.types import Span, SpanKind


def trace_response(
    index: TraceIndex,
    prompt: str,
    response: str,
    *,
    starts: npt.ArrayLike,
    ends: npt.ArrayLike,
    ranks: npt.ArrayLike,
    thresholds: Thresholds,
    k: int,
    verbatim_words: int,
) -> tuple[Span, ...]:
    """The spans of a scored response, by start: its shifted and marginal content words, and its verbatim spans.

    A content word has the class of its first token. `starts`, `ends` and `ranks` hold the character offsets and the
    0-based base rank of each token; `k` is sources a span, `verbatim_words` the shortest verbatim span in words.
    """
    lookup = _Lookup(index, prompt, response, k)
    spans = []
    content = content_words(response)
    for word, rank in zip(content, word_ranks(content, starts, ends, ranks), strict=True):
        kind = shift_class(rank, thresholds)
        if kind != "unshifted":
            spans.append(lookup.similar(word.start, word.end, kind))
    spans += [lookup.copied(match) for match in index.matches(response, min_words=verbatim_words)]
    return tuple(sorted(spans, key=lambda span: (span.start, span.end)))


def trace_span(index: TraceIndex, prompt: str, response: str, start: int, end: int, *, k: int) -> Span:
    """The trace of a span that a user selected. Raises ValueError for offsets that are no stretch of the response."""
    if not 0 <= start < end <= len(response):
        raise ValueError(f"{start}:{end} is no stretch of a response of {len(response)} characters")
    return _Lookup(index, prompt, response, k).similar(start, end, "selected")


def verbatim_spans(index: TraceIndex, prompt: str, response: str, *, k: int, min_words: int) -> tuple[Span, ...]:
    """The verbatim spans of a response, by start; their sources are the instances that hold them, best first."""
    lookup = _Lookup(index, prompt, response, k)
    return tuple(lookup.copied(match) for match in index.matches(response, min_words=min_words))


class _Lookup:
    """Sources of one response's spans, with one retrieval a context."""

    def __init__(self, index: TraceIndex, prompt: str, response: str, k: int) -> None:
        self.index, self.prompt, self.response, self.k = index, prompt, response, k
        self._words = words(response)
        self._bounds = sentence_bounds(response)
        self._rankings: dict[tuple[int, int], Ranking] = {}
        self._hits: dict[tuple[int, int], tuple[Hit, ...]] = {}

    def similar(self, start: int, end: int, kind: SpanKind) -> Span:
        """A span with the instances most similar to its prompt and context."""
        context = sentences_around(self._bounds, start, end)
        if context not in self._hits:
            self._hits[context] = self._ranking(context).best(self.k)
        keys = self._keys(start, end)
        sources = self.index.with_evidence(self._hits[context], keys)
        return Span(start, end, self.response[start:end], kind, len(self.index.holders(keys)), sources)

    def copied(self, match: Match) -> Span:
        """A verbatim span with the instances that hold it, those most similar to its prompt and context first."""
        ranking = self._ranking(sentences_around(self._bounds, match.start, match.end))
        hits = ranking.best_of(match.positions, self.k)
        sources = self.index.with_evidence(hits, self._keys(match.start, match.end))
        text = self.response[match.start : match.end]
        return Span(match.start, match.end, text, "verbatim", len(match.positions), sources)

    def _ranking(self, context: tuple[int, int]) -> Ranking:
        if context not in self._rankings:
            self._rankings[context] = self.index.ranking(f"{self.prompt}\n{self.response[slice(*context)]}")
        return self._rankings[context]

    def _keys(self, start: int, end: int) -> list[str]:
        # A selection that cuts a word means the word.
        first = bisect_right(self._words, start, key=lambda word: word.end)
        last = bisect_left(self._words, end, key=lambda word: word.start)
        return [word.key for word in self._words[first:last]]
