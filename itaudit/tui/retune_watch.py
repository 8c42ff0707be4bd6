"""Says when a re-tune is done, whatever screen its user is on by then."""

from typing import Any

from textual.app import App

from itaudit.errors import UserError
from itaudit.runs.lineage import lineage_of
from itaudit.runs.run import Run
from itaudit.runs.watch import Watch
from itaudit.sanitize import visible_line
from itaudit.tui.progress import job_words

LOOK_SECONDS = 1.0
_SHOWN = 15.0
_WATCHED = "_itaudit_retunes"


def watch_retune(app: App[Any], run: Run) -> None:
    """Looks after a re-tune until it ends; one that is watched already is not watched twice."""
    watched: set[str] = app.__dict__.setdefault(_WATCHED, set())
    if str(run.path) in watched:
        return
    watched.add(str(run.path))
    watch = Watch(run)

    def look() -> None:
        try:
            watch.poll()
        except UserError:
            # The run was removed, or its log is broken: home tells.
            timer.stop()
            watched.discard(str(run.path))
            return
        state = watch.state
        if state.job not in ("done", "failed", "cancelled"):
            return
        timer.stop()
        watched.discard(str(run.path))
        if state.job == "done":
            words = f"{run.name} is done: C shows it beside {_parent_name(run)}"
        else:
            words = f"{run.name}: {job_words(state)}; open it from the list of runs, and R resumes it"
        severity = "information" if state.job == "done" else "warning"
        app.notify(visible_line(words), severity=severity, timeout=_SHOWN, markup=False)  # type: ignore[arg-type]  # two of Textual's literals

    timer = app.set_interval(LOOK_SECONDS, look)


def _parent_name(run: Run) -> str:
    try:
        lineage = lineage_of(run)
    except UserError:
        lineage = None
    return lineage.parent.name if lineage is not None else "the run that it was made from"
