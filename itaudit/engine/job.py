"""A detached job beside the audits: it tells how far it is in a status file, and can be asked to stop.

Exit codes: 0 done, 1 failed, 3 cancelled.
"""

import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import filelock
import psutil

from itaudit.engine.heart import Cancelled, Heart
from itaudit.errors import UserError
from itaudit.runs.status import Status, read_status

HEARTBEAT_SECONDS = 0.5
"""How often the status is renewed; a job of short work shows its progress by it."""
_ANNOUNCED_WITHIN = 10.0

Asked = TypeVar("Asked")


class Job:
    """What a worker says of itself. Use it as a context manager around the work."""

    def __init__(self, status_path: Path) -> None:
        self.status_path = status_path
        self.state = "running"
        self.error = ""
        self.waiting_for = ""
        self._started = time.time()
        self._lock = threading.Lock()
        self._heart = Heart(self.tell, HEARTBEAT_SECONDS)

    def __enter__(self) -> Self:
        self._heart.__enter__()
        self.tell()
        return self

    def __exit__(self, *told: object) -> None:
        self._heart.__exit__(*told)
        with suppress(OSError):
            self.tell()

    def progress(self) -> dict[str, Any]:
        """How far the work is, for the status."""
        return {}

    @property
    def cancelled(self) -> bool:
        return self._heart.cancelled

    def check(self) -> None:
        """Raises Cancelled where the user asked to stop."""
        self._heart.check()

    def wait_for(self, device: str) -> None:
        """Another job has the device; an empty one ends the wait."""
        self.waiting_for = device

    def tell(self) -> None:
        """Writes the status."""
        progress = self.progress() | {"waiting_for": self.waiting_for}
        with self._lock:
            Status(
                state="queued" if self.waiting_for and self.state == "running" else self.state,
                pid=os.getpid(),
                pid_started=psutil.Process().create_time(),
                host=socket.gethostname(),
                started=self._started,
                heartbeat=time.time(),
                stages=[progress],
                error=self.error,
            ).write(self.status_path)


def carry_out(job: Job, work: Callable[[], None]) -> int:
    """Does the work of a job and says in its status how it ended; returns the exit code."""
    with job:
        try:
            work()
        except Cancelled:
            job.state = "cancelled"
            return 3
        except UserError as error:
            # Whoever follows the log stops at the end of the job.
            print(f"error: {error}", file=sys.stderr)
            job.error, job.state = str(error), "failed"
            return 1
        except Exception as error:  # noqa: BLE001  # whatever broke, the job must say so instead of looking at work
            traceback.print_exc()
            told = str(error).splitlines()[0] if str(error) else ""
            job.error, job.state = f"{type(error).__name__}: {told}", "failed"
            return 1
        job.state = "done"
        return 0


def await_announcement(status_path: Path) -> None:
    """Waits until whoever started this process has said so, or their words would replace its first."""
    until = time.monotonic() + _ANNOUNCED_WITHIN
    while time.monotonic() < until:
        told = read_status(status_path)
        if told is not None and told.pid == os.getpid():
            return
        time.sleep(0.01)


def work_in_folder(
    module: str, arguments: Sequence[str], read: Callable[[Path], Asked], work: Callable[[Asked], int]
) -> int:
    """What `python -m MODULE FOLDER [--announced]` does: reads what the folder asks for, and works on it alone.

    Returns the exit code; 2 for wrong arguments.
    """
    if len(arguments) not in (1, 2) or arguments[1:] not in ([], ["--announced"]):
        print(f"usage: python -m {module} FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])

    def begin() -> tuple[Path, Callable[[], int]]:
        asked = read(folder)
        return folder / "status.json", lambda: work(asked)

    return work_alone(begin, announced=len(arguments) == 2)


def work_alone(begin: Callable[[], tuple[Path, Callable[[], int]]], *, announced: bool) -> int:
    """Does a work while no other process does it; returns the exit code.

    `begin` gives the file that the work tells its status in, beside which the lock lies, and the work. `announced` is
    for a process whose starter writes the first status. A UserError is one line on stderr.
    """
    try:
        status, work = begin()
        status.parent.mkdir(exist_ok=True)
        if announced:
            await_announcement(status)
        try:
            with filelock.FileLock(status.with_name("worker.lock"), blocking=False):
                return work()
        except filelock.Timeout:
            raise UserError(f"{status.parent}: another worker is at work on it") from None
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code


class Pace:
    """How fast counted work goes from its first count on: whatever came before that had to wait for its model."""

    def __init__(self) -> None:
        self._began, self._begun_with = 0.0, 0

    def count(self, done: int) -> None:
        """Takes note of how much is done by now."""
        if not self._began:
            self._began, self._begun_with = time.monotonic(), done

    def rate(self, done: int) -> float | None:
        """How much is done in a second; None before that can be told."""
        spent, made = time.monotonic() - self._began, done - self._begun_with
        return made / spent if self._began and made > 0 and spent > 0 else None
