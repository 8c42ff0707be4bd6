"""The trace stage: the sources of every shifted or marginal content word, and of the verbatim spans, of a response."""

from itaudit import paths
from itaudit.engine.reporter import Reporter
from itaudit.runs.rows import span_row
from itaudit.runs.run import Run
from itaudit.trace.index import TraceIndex
from itaudit.trace.trace import trace_response

PROMPTS_PER_PART = 32


def trace_responses(label: str, run: Run, reporter: Reporter) -> None:
    """Fills the traces table of a model from its responses and scores; what is in it stays."""
    table = run.table("traces", label)
    if table.closed:
        return
    settings = run.recipe.trace
    done = table.prompt_ids()
    responses = {row["prompt_id"]: row["response"] for row in run.table("responses", label).read().to_pylist()}
    scores = run.table("scores", label).read().select(["order", "prompt_id", "starts", "ends", "rank_base"])
    reporter.stage_started("trace", label, total=len(scores), unit="responses", done=len(done))
    index = TraceIndex.open(run.dataset, engine=settings.engine, cache_dir=paths.cache_dir())
    prompts = {prompt.id: prompt.prompt for prompt in run.prompts()}
    pending = []
    for score in scores.to_pylist():
        if score["prompt_id"] in done:
            continue
        reporter.check()
        spans = trace_response(
            index,
            prompts[score["prompt_id"]],
            responses[score["prompt_id"]],
            starts=score["starts"],
            ends=score["ends"],
            ranks=score["rank_base"],
            thresholds=run.thresholds,
            k=settings.k,
            verbatim_words=settings.verbatim_words,
        )
        pending.append(
            {"order": score["order"], "prompt_id": score["prompt_id"], "spans": [span_row(span) for span in spans]}
        )
        if len(pending) == PROMPTS_PER_PART:
            table.append(pending)
            done.update(row["prompt_id"] for row in pending)
            pending = []
            reporter.progress("trace", label, len(done))
    if pending:
        table.append(pending)
    table.close()
    reporter.stage_done("trace", label)
