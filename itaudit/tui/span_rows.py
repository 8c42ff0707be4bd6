"""The instances that a span of a response may come from, by row, in the order in which the stepper lists them."""

from functools import lru_cache
from typing import TYPE_CHECKING

from itaudit.runs.run import Run

if TYPE_CHECKING:
    from itaudit.trace.causes import Causes
    from itaudit.trace.types import Span


class SpanRows:
    """Looks rows up for the spans of one model's responses."""

    def __init__(self, run: Run, label: str) -> None:
        self.run = run
        self.label = label
        self._of_prompt = lru_cache(maxsize=1)(self._read)

    def rows(self, prompt_id: str, start: int, end: int) -> tuple[int, ...]:
        """Instances similar to the prompt that hold words of the span come first, then what the traces found."""
        from itaudit.tui.span_causes import MOST, span_cause

        causes, spans = self._of_prompt(prompt_id)
        cause = span_cause(causes, start, end, self.run.cause_rank) if causes is not None else None
        rows = list(cause.holders[:MOST]) if cause is not None else []
        # The shortest span says most about its words.
        for span in sorted(spans, key=lambda span: span.end - span.start):
            if span.start < end and start < span.end:
                rows += [source.index for source in span.sources]
        return tuple(dict.fromkeys(rows))

    def strict(self, prompt_id: str, start: int, end: int) -> int:
        """How many of the first rows hold all words of the span in one turn."""
        from itaudit.tui.span_causes import MOST, span_cause

        causes, _ = self._of_prompt(prompt_id)
        cause = span_cause(causes, start, end, self.run.cause_rank) if causes is not None else None
        return min(MOST, len(cause.strict)) if cause is not None else 0

    def _read(self, prompt_id: str) -> "tuple[Causes | None, tuple[Span, ...]]":
        from itaudit.runs.causes import run_causes

        return run_causes(self.run, self.label, prompt_id), self.run.spans(self.label, prompt_id) or ()
