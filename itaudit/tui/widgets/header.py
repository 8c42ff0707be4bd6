"""The first line of the stepper: run, models with the current one in brackets, and how the job is doing."""

from rich.text import Text

from itaudit.runs.state import StageState
from itaudit.sanitize import visible_line
from itaudit.tui.layout import shortened, text_cells
from itaudit.tui.stepping import Stepping


def header_text(stepping: Stepping, width: int) -> Text:
    """The header at a width in cells; what has no room is left out, the models last."""
    models = "  ".join(f"[{label}]" if label == stepping.label else label for label in stepping.models)
    job = job_text(stepping)
    room = width - text_cells(models) - 4
    # A job that is done needs no room where room is short.
    if text_cells(job) > room - 8:
        job = shortened(job, max(room - 8, 0)) if stepping.job != "done" else ""
    name = shortened(f"{visible_line(stepping.run.name)} ▸ responses", max(room - text_cells(job) - 2, 1))
    text = Text(no_wrap=True, overflow="crop")
    text.append(f" {name}", "bold")
    gap = max(1, (width - text_cells(name) - text_cells(models) - text_cells(job) - 2) // 2)
    text.append(" " * gap)
    for number, label in enumerate(stepping.models):
        text.append("  " if number else "")
        text.append(*((f"[{label}]", "bold") if label == stepping.label else (label, "")))
    used = text.cell_len
    text.append(" " * max(1, width - used - text_cells(job) - 1))
    text.append(job, "bold" if stepping.job == "failed" else "")
    return text


def job_text(stepping: Stepping) -> str:
    """`job: score sft 62 % · 41 s left`, or the state of a job that is not running."""
    stage = stepping.state.current
    if stepping.job != "running" or stage is None:
        error = f": {visible_line(stepping.state.error)}" if stepping.job == "failed" and stepping.state.error else ""
        return f"job: {stepping.job}{error}"
    return f"job: {stage_text(stage, stepping.now())}"


def stage_text(stage: StageState, now: float) -> str:
    """Stage, model, percent and time left, as far as they are known."""
    text = f"{stage.stage} {stage.model}".strip()
    if stage.total:
        text += f" {100 * stage.done // stage.total} %"
    left = stage.seconds_left(now)
    return text if left is None else f"{text} · {duration(left)} left"


def duration(seconds: float) -> str:
    """Seconds in the two largest units that matter."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
