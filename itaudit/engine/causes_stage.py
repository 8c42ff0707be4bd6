"""The causes stage: which words of a model's responses stand in the answers of instances similar to the prompts."""

from itaudit.engine.reporter import Reporter
from itaudit.runs.causes import fill_causes
from itaudit.runs.run import Run


def cause_responses(label: str, run: Run, reporter: Reporter) -> None:
    """Fills the causes table of a model from its responses and scores; what is in it stays."""
    table = run.table("causes", label)
    if table.closed:
        return
    total = len(run.table("scores", label).read())
    reporter.stage_started("causes", label, total=total, unit="responses", done=len(table.prompt_ids()))
    fill_causes(label, run, check=reporter.check, progress=lambda done: reporter.progress("causes", label, done))
    reporter.stage_done("causes", label)
