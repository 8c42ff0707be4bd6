"""An experiment's progress in a plain terminal: a line for every run of the matrix."""

import os
import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from itaudit.experiments.experiment import Experiment
from itaudit.experiments.progress import CellProgress, ExperimentProgress, ExperimentWatch, RunProgress
from itaudit.follow import LINE_SECONDS, LOOK_SECONDS
from itaudit.runs.run import BASE
from itaudit.sanitize import visible_line
from itaudit.units import bar, duration_text

_MARKS = {"waiting": "·", "running": "▸", "done": "✓", "stopped": "–"}


def follow_experiment(
    experiment: Experiment, console: Console, *, sleep: Callable[[float], None] = time.sleep
) -> ExperimentProgress:
    """Shows an experiment's job until it ends, and returns how; the worker goes on if this is interrupted.

    On a terminal the matrix stands in place; elsewhere there is a line for every change of a run, and one of progress
    at most every ten seconds. KeyboardInterrupt is the caller's.
    """
    watch = ExperimentWatch(experiment)
    follow = _in_place if console.is_terminal and not console.is_dumb_terminal else _in_lines
    progress = follow(watch, console, sleep)
    console.print(Text(f"{progress.job}: {visible_line(str(experiment.path))}"), soft_wrap=True)
    return progress


def _in_place(watch: ExperimentWatch, console: Console, sleep: Callable[[float], None]) -> ExperimentProgress:
    # Over SSH every repaint costs bandwidth.
    pause = 0.5 if os.environ.get("SSH_CONNECTION") else LOOK_SECONDS
    with Live(console=console, auto_refresh=False) as live:
        while True:
            progress = watch.poll()
            live.update(progress_table(progress, height=console.height), refresh=True)
            if not progress.at_work:
                return progress
            sleep(pause)


def _in_lines(watch: ExperimentWatch, console: Console, sleep: Callable[[float], None]) -> ExperimentProgress:
    told: dict[str, tuple[str, ...]] = {}
    said_at = time.monotonic()
    while True:
        progress = watch.poll()
        for run in progress.runs:
            now = (run.job, *(cell.state for cell in run.cells))
            if now != told.get(run.planned.name, ("new", *("waiting" for _ in run.cells))):
                told[run.planned.name], said_at = now, time.monotonic()
                console.print(Text(run_line(run)), soft_wrap=True)
        if time.monotonic() - said_at >= LINE_SECONDS:
            said_at = time.monotonic()
            console.print(Text(total_line(progress)), soft_wrap=True)
        if not progress.at_work:
            return progress
        sleep(LOOK_SECONDS)


def progress_table(progress: ExperimentProgress, *, height: int = 0) -> RenderableType:
    """The matrix, a row a run: its job, its models, what is at work; below it the whole. `height` is the terminal's."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for column in range(3):
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=None if column < 2 else 1)
    for run in _shown(progress.runs, height - 3):
        cells = "  ".join(f"{_MARKS[cell.state]} {cell.label}" for cell in run.cells if cell.label != BASE)
        table.add_row(Text(visible_line(run.planned.name)), Text(cells), Text(_run_words(run), _style(run)))
    return Group(table, Text(total_line(progress)))


def _shown(runs: tuple[RunProgress, ...], rows: int) -> tuple[RunProgress, ...]:
    """As many runs as there is room for, around the one at work."""
    if rows <= 0 or len(runs) <= rows:
        return runs
    at = next((place for place, run in enumerate(runs) if run.job in ("queued", "running")), 0)
    first = min(max(at - rows // 2, 0), len(runs) - rows)
    return runs[first : first + rows]


def run_line(run: RunProgress) -> str:
    """A run in one line: its name, its models, what it is at."""
    cells = "  ".join(f"{_MARKS[cell.state]} {cell.label}" for cell in run.cells if cell.label != BASE)
    return f"{visible_line(run.planned.name)}  {cells}  {_run_words(run)}".rstrip()


def total_line(progress: ExperimentProgress) -> str:
    """The whole in one line: models done, what is at work, time left."""
    done, total = progress.done, progress.total
    words = [f"{bar(done / total if total else 0.0, 20)} {done}/{total} models"]
    if progress.waiting_for:
        words.append(f"waiting for {visible_line(progress.waiting_for)}")
    elif progress.doing:
        words.append(visible_line(progress.doing))
    if progress.seconds_left is not None and progress.at_work:
        words.append(f"{duration_text(progress.seconds_left)} left")
    if failed := len(progress.failed):
        words.append(f"{failed} failed")
    return "  ".join(words)


def _run_words(run: RunProgress) -> str:
    if run.job == "failed":
        return f"failed: {visible_line(run.error)}"
    if run.job in ("queued", "running"):
        at = next((cell for cell in run.cells if cell.state == "running"), None)
        return _cell_words(at) if at is not None else run.job
    return "" if run.job == "new" else run.job


def _cell_words(cell: CellProgress) -> str:
    if cell.stage is None:
        return visible_line(cell.label)
    counted = f" {cell.stage.done}/{cell.stage.total}" if cell.stage.total else ""
    return visible_line(f"{cell.stage.stage} {cell.label}") + counted


def _style(run: RunProgress) -> str:
    return {"failed": "red", "running": "bold"}.get(run.job, "dim" if run.job == "new" else "")
