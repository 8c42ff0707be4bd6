"""Detectors that ask a model, at work on a run in a process of their own; and what is told of any such job."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from itaudit.errors import UserError
from itaudit.runs import jobs
from itaudit.runs.detections import Detector
from itaudit.runs.run import Run
from itaudit.runs.status import last_word, read_status
from itaudit.runs.worker_log import log_tail

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
_STATES: tuple[JobState, ...] = ("queued", "running", "done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class AskingStatus:
    """How far a job that asks a model is. Counts are of responses, one for each question about it.

    `what` is what it is at, in words; `rate` is in responses a second, None where nothing can be said yet. `error` is
    one line on why it failed.
    """

    state: JobState
    what: str = ""
    done: int = 0
    total: int = 0
    problems: int = 0
    rate: float | None = None
    error: str = ""
    waiting_for: str = ""

    @property
    def at_work(self) -> bool:
        return self.state in ("queued", "running")

    @property
    def seconds_left(self) -> float | None:
        return (self.total - self.done) / self.rate if self.rate and self.state == "running" else None


def start_detecting(run: Run, detectors: Sequence[Detector], labels: Sequence[str]) -> int:
    """Starts a detached worker that fills what the detectors lack of the models; returns its pid.

    Raises UserError where one is at work already, on the detections or on the run itself.
    """
    if run.job() in ("queued", "running"):
        raise UserError(f"{run.path}: its worker is still at work; `itaudit logs {run.path} -f`")
    run.detect_status_path.parent.mkdir(exist_ok=True)
    chosen = [f"--detector={detector}" for detector in detectors] + [f"--model={label}" for label in labels]
    return jobs.launch(
        ["itaudit.engine.detect_worker", str(run.path), "--announced", *chosen],
        folder=run.path,
        log=run.detect_log_path,
        status=run.detect_status_path,
    )


def cancel_detecting(run: Run) -> int:
    """Asks the worker to save what it has and stop; returns its pid. Raises UserError where there is none."""
    return jobs.stop(run.path, read_status(run.detect_status_path))


def detect_status(run: Run) -> AskingStatus | None:
    """What the newest job says of itself; None where there never was one."""
    return asking_status(run.detect_status_path, run.detect_log_path)


def asking_status(path: Path, log: Path) -> AskingStatus | None:
    """What a status file says of a job; None where there never was one. A worker that vanished has failed."""
    told, died = last_word(path)
    if told is None:
        return None
    state: JobState = next((state for state in _STATES if state == told.state), "failed")
    error = told.error
    if died:
        state = "failed"
        error = " ".join(log_tail(log, 1)).strip() or "the worker died without a word"
    stage = told.stages[0] if told.stages else {}
    return AskingStatus(
        state,
        what=stage.get("what", ""),
        done=stage.get("done", 0),
        total=stage.get("total", 0),
        problems=stage.get("problems", 0),
        rate=stage.get("rate") if state == "running" else None,
        error=error,
        waiting_for=stage.get("waiting_for", "") if state == "queued" else "",
    )
