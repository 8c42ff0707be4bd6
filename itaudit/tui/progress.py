"""A job's progress as text: the words and marks that home, the live run and lists share."""

from collections.abc import Sequence

from textual.content import Content

from itaudit.runs.state import JobState, RunState, StageState
from itaudit.sanitize import visible_line
from itaudit.units import bar, duration_text, pace_text, plural, size_text

JOB_MARKS: dict[JobState, tuple[str, str]] = {
    "new": ("○", "$foreground-muted"),
    "queued": ("◔", "$warning"),
    "running": ("▶", "bold $primary"),
    "done": ("✓", "$success"),
    "failed": ("✗", "bold $error"),
    "cancelled": ("■", "$warning"),
}
"""A mark and a style for each state of a job: told by shape as well as by colour."""

_STAGE_MARKS = {"waiting": ("·", "$foreground-muted"), "running": ("▶", "bold $primary"), "done": ("✓", "$success")}


def job_mark(job: JobState) -> Content:
    mark, style = JOB_MARKS[job]
    return Content.styled(mark, style)


def job_words(state: RunState) -> str:
    """The state of a job in a few words, with its reason where there is one."""
    if state.job == "queued" and state.waiting_for:
        return f"waiting for {visible_line(state.waiting_for)}"
    if state.job == "failed" and state.error:
        return f"failed: {visible_line(state.error)}"
    return {"new": "not started", "queued": "starting"}.get(state.job, state.job)


def stage_name(stage: StageState) -> str:
    return visible_line(f"{stage.stage} {stage.model}".strip())


def stage_share(stage: StageState) -> float:
    """How much of a stage is done, 0 to 1."""
    if stage.state == "done":
        return 1.0
    return min(1.0, stage.done / stage.total) if stage.total else 0.0


def stage_progress(stage: StageState, now: float) -> str:
    """`sft 62 % · 41 s left`, for places that hold one short line."""
    left = stage.seconds_left(now)
    words = f"{stage_name(stage)} {100 * stage_share(stage):.0f} %"
    return words if left is None else f"{words} · {duration_text(left)} left"


BAR_WIDTH = 24


def stage_lines(stages: Sequence[StageState], now: float, width: int) -> list[Content]:
    """A line a stage, in columns: mark, name, bar, count, rate and time, as far as the width goes."""
    rows = [_figures(stage, now) for stage in stages]
    names = [stage_name(stage) for stage in stages]
    widths = [max(map(len, column), default=0) for column in zip(*rows, strict=True)] or [0, 0, 0]
    free = width - 2 - max(map(len, names), default=0) - 2
    # What does not fit goes from the least important on: the rate, then the bar, then the count.
    shown = [column for column in (2, 0, 1) if widths[column]]
    while shown and sum(widths[column] + 2 for column in shown) > free:
        shown.pop()
    free -= sum(widths[column] + 2 for column in shown)
    bar_width = min(BAR_WIDTH, free) if free >= 6 else 0
    lines = []
    for stage, name, row in zip(stages, names, rows, strict=True):
        mark, style = _STAGE_MARKS[stage.state]
        began = stage.state != "waiting" or stage.done > 0
        line = Content.assemble((f"{mark} ", style), name.ljust(max(map(len, names))))
        if began and bar_width:
            line += Content.assemble("  ", (bar(stage_share(stage), bar_width), style))
        for column in sorted(shown) if began else ():
            line += Content.assemble("  ", row[column].rjust(widths[column]))
        if stage.state != "running":
            line = line.stylize_before("$foreground-muted")
        lines.append(line.truncate(max(1, width), ellipsis=True))
    return lines


def _figures(stage: StageState, now: float) -> tuple[str, str, str]:
    """How many of how many, the rate, and the time that it took or that is left."""
    unit, rate = visible_line(stage.unit), stage.rate(now)
    count = f"{stage.done}/{stage.total} {plural(unit)}" if stage.total else f"{stage.done or ''}"
    pace = pace_text(rate) if rate is not None else ""
    if stage.state == "done":
        took = duration_text(stage.ended - stage.started) if stage.started else ""
        return count.strip(), pace, took
    if stage.state == "waiting":
        return (count.strip(), "", "interrupted") if stage.done else ("", "", "")
    left = stage.seconds_left(now)
    return count.strip(), pace, "" if left is None else f"{duration_text(left)} left"


def device_line(state: RunState) -> str:
    """The device and its memory, as far as they are known."""
    parts = [visible_line(state.device)] if state.device else []
    if state.memory is not None:
        parts.append(f"memory {size_text(state.memory.used)} of {size_text(state.memory.total)}")
    return " · ".join(parts)


def tuning_line(state: RunState) -> str:
    """The newest loss, epoch and throughput of the model that is tuned; of the last one when none is."""
    current = state.current
    labels = [label for label, points in state.losses.items() if points]
    if not labels:
        return ""
    label = current.model if current is not None and current.model in labels else labels[-1]
    newest = state.losses[label][-1]
    return (
        f"{visible_line(label)} {newest.loss:.3f} · epoch {newest.epoch:.1f} · {newest.tokens_per_second:,.0f} tokens/s"
    )
