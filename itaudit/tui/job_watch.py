"""Says when a re-tune or a proof is done, whatever screen its user is on by then."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.app import App

from itaudit.errors import UserError
from itaudit.runs.lineage import lineage_of
from itaudit.runs.run import Run, is_run
from itaudit.runs.watch import Watch
from itaudit.sanitize import visible_line
from itaudit.tui.progress import job_words

if TYPE_CHECKING:
    from itaudit.proof.jobs import Proof

LOOK_SECONDS = 1.0
_SHOWN = 15.0
_WATCHED = "_itaudit_jobs"

End = tuple[bool, str]
"""Whether it went well, and what to say."""


def watch_retune(app: App[Any], run: Run) -> None:
    """Looks after a re-tune until it ends."""
    watch = Watch(run)

    def look() -> End | None:
        if not is_run(run.path):
            # It was taken away: the lists tell.
            return False, ""
        watch.poll()
        state = watch.state
        if state.job not in ("done", "failed", "cancelled"):
            return None
        if state.job == "done":
            return True, f"{run.name} is done: C shows it beside {_parent_name(run)}"
        return False, f"{run.name}: {job_words(state)}; open it from the list of runs, and R resumes it"

    _look_after(app, str(run.path), look)


def watch_proof(app: App[Any], proof: "Proof") -> None:
    """Looks after a proof until it ends."""

    def look() -> End | None:
        status = proof.status()
        if status.at_work:
            return None
        if status.state == "done":
            return True, f"proof {proof.name} is done: P shows what it says"
        reason = f": {status.error}" if status.error else ""
        return False, f"proof {proof.name} {status.state}{reason}; P lists it, and R resumes it"

    _look_after(app, str(proof.folder), look)


def _look_after(app: App[Any], key: str, look: Callable[[], End | None]) -> None:
    """Tells what `look` says at the end; what is watched already is not watched twice."""
    watched: set[str] = app.__dict__.setdefault(_WATCHED, set())
    if key in watched:
        return
    watched.add(key)

    def tick() -> None:
        try:
            end = look()
        except (UserError, OSError):
            # It was removed, or its log is broken: the lists tell.
            end = False, ""
        if end is None:
            return
        timer.stop()
        watched.discard(key)
        well, words = end
        if words:
            severity = "information" if well else "warning"
            app.notify(visible_line(words), severity=severity, timeout=_SHOWN, markup=False)  # type: ignore[arg-type]  # two of Textual's literals

    timer = app.set_interval(LOOK_SECONDS, tick)


def _parent_name(run: Run) -> str:
    try:
        lineage = lineage_of(run)
    except UserError:
        lineage = None
    return lineage.parent.name if lineage is not None else "the run that it was made from"
