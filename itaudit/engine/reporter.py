"""What a worker says while it works: events, its status with a heartbeat, and whether it was asked to stop."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil

from itaudit.engine.heart import Heart
from itaudit.runs.run import Run
from itaudit.runs.state import RunState, StageState, replay
from itaudit.runs.status import HEARTBEAT_SECONDS, Status

PROGRESS_SECONDS = 0.3
"""Least time between two progress events of a stage; a fast stage would flood the log."""


class Reporter:
    """Writes the events and the status of one worker. Use it as a context manager around the work."""

    def __init__(self, run: Run, *, owner: bool = True) -> None:
        """`owner` is the worker itself; a process that it started tells events and leaves the status alone."""
        self._run = run
        self._owner = owner
        self._log = run.event_log()
        self._state = RunState()
        self._read_to = 0
        self._started = time.time()
        self._lock = threading.Lock()
        self._last_progress = 0.0
        self._spoke = False
        self._memory: Callable[[], tuple[int, int]] | None = None
        self._beats = 0
        self._heart = Heart(self._beat if owner else None, HEARTBEAT_SECONDS)

    def __enter__(self) -> "Reporter":
        self._heart.__enter__()
        if self._owner:
            self._write_status()
        return self

    def __exit__(self, *told: object) -> None:
        self._heart.__exit__(*told)
        if self._owner:
            self._write_status()

    @property
    def cancelled(self) -> bool:
        """Whether SIGTERM came; a stage ends its step, saves, and calls `check`."""
        return self._heart.cancelled

    def check(self) -> None:
        """Raises Cancelled where the user asked to stop."""
        self._heart.check()

    def watch_memory(self, read: Callable[[], tuple[int, int]]) -> None:
        """Reports what `read` returns, bytes in use and in all, with every second heartbeat."""
        self._memory = read

    def queued(self, lock: str) -> None:
        self._event("job_queued", pid=os.getpid(), lock=lock)

    def started(self, device: str, plan: Sequence[tuple[str, str]]) -> None:
        self._event("job_started", pid=os.getpid(), device=device, plan=[list(stage) for stage in plan])

    def ended(self, type: str, error: str = "") -> None:
        """`type` is job_done, job_failed or job_cancelled."""
        self._event(type, **({"error": error} if error else {}))

    def stage_started(self, stage: str, model: str, *, total: int, unit: str, done: int = 0) -> None:
        self._last_progress = 0.0
        self._event("stage_started", stage=stage, model=model, total=total, unit=unit, done=done)

    def progress(self, stage: str, model: str, done: int) -> None:
        """Says how far a stage is, unless it was said a moment ago."""
        now = time.monotonic()
        if now - self._last_progress >= PROGRESS_SECONDS:
            self._last_progress = now
            self._event("stage_progress", stage=stage, model=model, done=done)

    def told_done(self, stage: str, model: str) -> bool:
        """Whether the events say that a stage is done."""
        found = self._state.stages.get(StageState(stage, model).key)
        return found is not None and found.state == "done"

    def stage_done(self, stage: str, model: str, **facts: Any) -> None:
        self._event("stage_done", stage=stage, model=model, **facts)

    def loss(self, model: str, **facts: float) -> None:
        self._event("loss", model=model, **facts)

    def note(self, text: str) -> None:
        """Something that the user should know of; it is shown with the run."""
        self._event("note", text=text)

    def _event(self, type: str, **facts: Any) -> None:
        self._log.append(type, **facts)
        self._spoke = True
        if self._owner and type != "stage_progress":
            self._write_status()

    def _write_status(self) -> None:
        with self._lock:
            # The log, not memory, is what happened: processes that tune for us write to it too.
            page = self._run.events(self._read_to)
            self._read_to = page.offset
            state = self._state = replay(page.events, self._state)
            self._status_of(state).write(self._run.status_path)

    def _status_of(self, state: RunState) -> Status:
        return Status(
            # A worker that has said nothing yet is about to; how the one before it ended would read as its own end.
            state=state.job if self._spoke else "queued",
            pid=os.getpid(),
            # Told anew each time: it moves when the clock is set, for those who ask the system as well.
            pid_started=psutil.Process().create_time(),
            host=socket.gethostname(),
            started=self._started,
            heartbeat=time.time(),
            stages=[
                {"stage": s.stage, "model": s.model, "state": s.state, "done": s.done, "total": s.total}
                for s in state.stages.values()
            ],
            error=state.error,
        )

    def _beat(self) -> None:
        self._beats += 1
        if self._memory is not None and self._beats % 2:
            used, total = self._memory()
            self._event("memory", used=used, total=total)
        else:
            self._write_status()
