"""A job's progress in a plain terminal, and the summary of a run, for the command line."""

import os
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from itaudit.detect.flagged_causes import causes_line
from itaudit.runs.run import BASE, Run
from itaudit.runs.state import RunState, StageState
from itaudit.runs.watch import Watch
from itaudit.sanitize import visible_line
from itaudit.units import duration_text, pace_text, plural

LOOK_SECONDS = 0.25
LINE_SECONDS = 10.0
"""Between two lines of progress of one stage, where the output is no terminal."""


def follow(
    run: Run,
    console: Console,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> RunState:
    """Shows a job until it ends, and returns how it ended; the worker goes on if this is interrupted.

    On a terminal every stage keeps one line that changes in place; elsewhere there is a line for every change of a
    stage, and one of progress at most every ten seconds. KeyboardInterrupt is the caller's.
    """
    watch = Watch(run)
    watch.poll()
    if console.is_terminal and not console.is_dumb_terminal:
        return _follow_in_place(watch, console, clock, sleep)
    return _follow_in_lines(watch, console, clock, sleep)


def ended(state: RunState) -> bool:
    """Whether a job will say nothing more."""
    return state.job in ("done", "failed", "cancelled")


def _follow_in_place(
    watch: Watch, console: Console, clock: Callable[[], float], sleep: Callable[[float], None]
) -> RunState:
    # Over SSH every repaint costs bandwidth.
    pause = 0.5 if os.environ.get("SSH_CONNECTION") else LOOK_SECONDS
    tasks: dict[str, TaskID] = {}
    notes = 0
    with _progress(console) as progress:
        waiting = progress.add_task("", total=None, **_NO_FIGURES)
        while True:
            state, now = watch.state, clock()
            progress.update(waiting, description=_waiting_words(state), visible=not state.stages and not ended(state))
            for key, stage in state.stages.items():
                if key not in tasks:
                    tasks[key] = progress.add_task(_name(stage), total=1, **_NO_FIGURES)
                progress.update(tasks[key], **_task_fields(state, stage, now))
            for note in state.notes[notes:]:
                progress.console.print(Text(f"• {visible_line(note)}", "yellow"))
            notes = len(state.notes)
            progress.refresh()
            if ended(state):
                break
            sleep(pause)
            watch.poll()
    _tell_end(watch, console)
    return watch.state


_NO_FIGURES: dict[str, Any] = {"count": "", "rate": "", "left": "", "loss": ""}


def _progress(console: Console) -> Progress:
    """A bar a stage; what a narrow terminal has no room for is left out."""
    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
    figures = ["count", "left"]
    if console.width >= 60:
        columns.append(BarColumn(24 if console.width >= 100 else 12))
    if console.width >= 80:
        figures = ["count", "rate", "left", "loss"]
    columns += [TextColumn(f"{{task.fields[{name}]}}", justify="right", markup=False) for name in figures]
    return Progress(*columns, console=console, auto_refresh=False)


def _task_fields(state: RunState, stage: StageState, now: float) -> dict[str, Any]:
    """What the bar of a stage shows; a stage without a known total moves until it is done."""
    figures = _figures(state, stage, now)
    if stage.state == "done":
        return {"total": 1, "completed": 1, **figures}
    unknown = stage.state == "running" and not stage.total
    return {"total": None if unknown else stage.total or 1, "completed": stage.done if stage.total else 0, **figures}


def _figures(state: RunState, stage: StageState, now: float) -> dict[str, str]:
    """The texts beside a stage: how many, how fast, how long, and the newest loss of the model."""
    if stage.state == "waiting" and not stage.done:
        return dict(_NO_FIGURES)
    unit, rate, left = visible_line(stage.unit), stage.rate(now), stage.seconds_left(now)
    took = duration_text(stage.ended - stage.started) if stage.state == "done" and stage.started else ""
    losses = state.losses.get(stage.model, ()) if stage.stage == "tune" else ()
    return {
        "count": f"{stage.done}/{stage.total} {plural(unit)}".strip() if stage.total else "",
        "rate": pace_text(rate) if rate is not None else "",
        "left": f"{duration_text(left)} left" if stage.state == "running" and left is not None else took,
        "loss": f"loss {losses[-1].loss:.3f}" if losses else "",
    }


def _follow_in_lines(
    watch: Watch, console: Console, clock: Callable[[], float], sleep: Callable[[float], None]
) -> RunState:
    job, stages, notes, said_at = "new", dict[str, str](), 0, clock()

    def say(text: str) -> None:
        console.print(Text(text), soft_wrap=True)

    while True:
        state, now = watch.state, clock()
        if state.job != job and not ended(state):
            job = state.job
            say(_waiting_words(state) if job == "queued" else job)
        for note in state.notes[notes:]:
            say(f"note: {visible_line(note)}")
        notes = len(state.notes)
        for key, stage in state.stages.items():
            due = stage.state == "running" and now - said_at >= LINE_SECONDS
            if stage.state != stages.get(key, "waiting") or due:
                stages[key], said_at = stage.state, now
                say("  ".join(filter(None, [_name(stage), stage.state, *_figures(state, stage, now).values()])))
        if ended(state):
            break
        sleep(LOOK_SECONDS)
        watch.poll()
    _tell_end(watch, console)
    return watch.state


def _name(stage: StageState) -> str:
    return visible_line(f"{stage.stage} {stage.model}".strip())


def _waiting_words(state: RunState) -> str:
    return f"waiting for {visible_line(state.waiting_for)}" if state.waiting_for else "starting"


def _tell_end(watch: Watch, console: Console) -> None:
    """The last line; for a failure also its reason and the end of the log."""
    state = watch.state
    took = f" in {duration_text(state.updated - state.started)}" if state.started else ""
    name = visible_line(str(watch.run.path))
    if state.job != "failed":
        console.print(Text(f"{state.job}{took}: {name}"), soft_wrap=True)
        return
    for line in watch.run.log_tail(10):
        console.print(Text(f"  {visible_line(line)}"), soft_wrap=True)
    console.print(Text(f"failed{took}: {visible_line(state.error)}"), soft_wrap=True)


def format_summary(run: Run) -> RenderableType:
    """The models of a run as a table: what was scored, shares of the shift classes, mean KL in nats.

    Below it a line a model on what its shifted words are traced to, where that is looked up.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("model", "method"):
        table.add_column(name, no_wrap=True)
    for name in ("responses", "tokens", "unshifted %", "marginal %", "shifted %", "mean KL (nats)"):
        table.add_column(name, justify="right")
    for label in run.labels:
        method = "base" if label == BASE else run.recipe.models[label].method
        summary = run.summary(label)
        row = [visible_line(label), method]
        if not summary.responses:
            table.add_row(*map(Text, [*row, "not scored yet"]))
            continue
        shares = [f"{100 * share:.1f}" for share in (summary.unshifted, summary.marginal, summary.shifted)]
        kl = "–" if summary.kl_mean is None else f"{summary.kl_mean:.3f}"
        table.add_row(*map(Text, [*row, f"{summary.responses:,}", f"{summary.tokens:,}", *shares, kl]))
    lines = [line for label in run.labels if (line := causes_line(run, label)) is not None]
    return Group(table, *([Text()] if lines else []), *(Text(visible_line(line)) for line in lines))
