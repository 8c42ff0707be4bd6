"""The suspected sources of a span: which instances a proof tests where nobody names them."""

from collections.abc import Sequence

from itaudit import paths
from itaudit.errors import UserError
from itaudit.proof.spec import Target
from itaudit.runs.rows import Prompt
from itaudit.runs.run import Run
from itaudit.trace.causes import causes_of
from itaudit.trace.index import TraceIndex
from itaudit.trace.trace import trace_span

SUSPECTS = 5
"""Sources tested where nobody says how many."""


class Suspects:
    """Finds the suspected sources of spans in the responses of one model."""

    def __init__(self, run: Run, label: str) -> None:
        self._run = run
        self._label = label
        self._opened: TraceIndex | None = None

    @property
    def _index(self) -> TraceIndex:
        if self._opened is None:
            engine = self._run.recipe.trace.engine
            self._opened = TraceIndex.open(self._run.dataset, engine=engine, cache_dir=paths.cache_dir())
        return self._opened

    def target(self, prompt_id: str, start: int, end: int, *, k: int = SUSPECTS, sources: Sequence[int] = ()) -> Target:
        """A span with the given sources, else the first k suspects: the instances similar to the prompt of which one
        turn holds all words of the span, then the sources of its trace.

        Raises UserError, code 2, for a place that is none.
        """
        prompt = self._run.prompt(prompt_id)
        response = self._run.response(self._label, prompt_id)
        if response is None:
            raise UserError(f"{self._run.path}: {self._label} has not answered prompt {prompt_id!r} yet", code=2)
        text = response.response
        if not 0 <= start < end <= len(text):
            raise UserError(
                f"prompt {prompt_id}, span {start}:{end}: the response of {self._label} has {len(text)} characters",
                code=2,
            )
        rows = tuple(sources) or self._suspects(prompt, text, start, end)[:k]
        return Target(prompt_id, start, end, text[start:end], rows)

    def _suspects(self, prompt: Prompt, text: str, start: int, end: int) -> tuple[int, ...]:
        found: list[int] = []
        row = self._run.table("causes", self._label).row(prompt.id)
        if row is not None:
            causes = causes_of(row)
            found += causes.strict_sources(causes.between(start, end))
        traced = [s for s in self._run.spans(self._label, prompt.id) or () if (s.start, s.end) == (start, end)]
        if not traced:
            traced = [trace_span(self._index, prompt.prompt, text, start, end, k=self._run.recipe.trace.k)]
        found += [source.index for span in traced for source in span.sources]
        learned = self._run.dataset
        return tuple(row for row in dict.fromkeys(found) if learned[learned.position(row)].response)


def shifted_spans(run: Run, label: str, prompt_id: str) -> tuple[tuple[int, int], ...]:
    """The shifted content words of a response that are traced."""
    return tuple((s.start, s.end) for s in run.spans(label, prompt_id) or () if s.kind == "shifted")
