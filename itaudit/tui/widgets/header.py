"""The first line of the stepper: run, models with the current one in brackets, and how the job is doing."""

from rich.text import Text

from itaudit.sanitize import visible_line
from itaudit.tui.layout import shortened, text_cells
from itaudit.tui.progress import job_words, stage_progress
from itaudit.tui.stepping import Stepping


def header_text(stepping: Stepping, width: int) -> Text:
    """The header at a width in cells; what has no room is left out, the models last."""
    models = "  ".join(f"[{label}]" if label == stepping.label else label for label in stepping.models)
    job = job_text(stepping)
    room = width - text_cells(models) - 4
    # A job that is done needs no room where room is short.
    if text_cells(job) > room - 8:
        job = shortened(job, max(room - 8, 0)) if stepping.state.job != "done" else ""
    name = shortened(f"{visible_line(stepping.where)} ▸ responses", max(room - text_cells(job) - 2, 1))
    text = Text(no_wrap=True, overflow="crop")
    text.append(f" {name}", "bold")
    gap = max(1, (width - text_cells(name) - text_cells(models) - text_cells(job) - 2) // 2)
    text.append(" " * gap)
    for number, label in enumerate(stepping.models):
        text.append("  " if number else "")
        text.append(*((f"[{label}]", "bold") if label == stepping.label else (label, "")))
    used = text.cell_len
    text.append(" " * max(1, width - used - text_cells(job) - 1))
    text.append(job, "bold" if stepping.state.job == "failed" else "")
    return text


def job_text(stepping: Stepping) -> str:
    """`job: score sft 62 % · 41 s left`, or the state of a job that is not running."""
    state = stepping.state
    if state.job == "running" and state.current is not None:
        return f"job: {stage_progress(state.current, stepping.now())}"
    return f"job: {job_words(state)}"
