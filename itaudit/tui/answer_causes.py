"""The causal analysis of the answer that is stepped through, read when it is first asked for."""

from functools import cached_property
from typing import TYPE_CHECKING

from itaudit.runs.run import BASE, Run
from itaudit.trace.types import Source, Span
from itaudit.tui.answer import Answer
from itaudit.tui.span_causes import SpanCause, cause_span, span_cause

if TYPE_CHECKING:
    from itaudit.trace.causes import Causes, CauseWord


class AnswerCauses:
    """What explains the words of one answer."""

    def __init__(self, run: Run, answer: Answer) -> None:
        self._run = run
        self._answer = answer
        self._spans: dict[object, Span | None] = {}

    def about(self, answer: Answer) -> "AnswerCauses":
        """The same analysis for the same answer with other marks."""
        told = AnswerCauses(self._run, answer)
        told._spans = self._spans
        if "causes" in self.__dict__:
            told.__dict__["causes"] = self.causes
        return told

    @cached_property
    def causes(self) -> "Causes | None":
        """None for the base model, and where the analysis is not made yet. Raises UserError for a broken table."""
        label = self._answer.label
        if label == BASE or not any(self._run.table("causes", label).version()):
            return None
        from itaudit.runs.causes import run_causes

        return run_causes(self._run, label, self._answer.prompt_id)

    def word_at(self, number: int) -> "CauseWord | None":
        """The content word that a position is part of."""
        if self.causes is None or not self._answer.positions:
            return None
        return next(iter(self.causes.between(*self._answer.text_range(number, number))), None)

    def at(self, number: int) -> SpanCause | None:
        """What explains the flagged span at a position, or the word where none is flagged."""
        word = self.word_at(number)
        if self.causes is None:
            return None
        flag = self._answer.flag_at(number)
        if flag is None and word is None:
            return None
        stretch = (flag.start, flag.end) if flag is not None else (word.start, word.end) if word is not None else (0, 0)
        return span_cause(self.causes, *stretch, self._run.cause_rank)

    def sources_at(self, number: int) -> list[tuple[Span, int, Source]]:
        """(span, rank from 1, source): the similar instances that hold words of the span at a position."""
        cause = self.at(number)
        if cause is None or self.causes is None:
            return []
        if cause.key not in self._spans:
            self._spans[cause.key] = cause_span(self._run, self.causes, cause, self._answer.text)
        span = self._spans[cause.key]
        return [(span, rank, source) for rank, source in enumerate(span.sources, 1)] if span else []
