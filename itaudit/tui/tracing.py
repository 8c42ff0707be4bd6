"""Tracing what the user selects."""

from itaudit import paths
from itaudit.runs.run import Run
from itaudit.trace.types import Span


def traced_span(run: Run, prompt: str, response: str, start: int, end: int) -> Span:
    """The sources of a stretch of a response; raises UserError where the dataset can't be read or indexed."""
    # Retrieval takes long to import, and few sessions trace anything beyond what the run has traced.
    from itaudit.trace.index import TraceIndex
    from itaudit.trace.trace import trace_span

    settings = run.recipe.trace
    index = TraceIndex.open(run.dataset, engine=settings.engine, cache_dir=paths.cache_dir())
    return trace_span(index, prompt, response, start, end, k=settings.k)
