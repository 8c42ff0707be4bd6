"""A background job in a folder of its own: its status with a heartbeat, SIGTERM, and the wait for a device."""

import os
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Self

import filelock
import psutil
import torch

from itaudit.engine.reporter import Cancelled
from itaudit.engine.worker import LOCK_POLL_SECONDS, lock_of
from itaudit.runs.status import Status, read_status

HEARTBEAT_SECONDS = 0.5
"""How often the status is renewed; a job of short units shows its progress by it."""
_ANNOUNCED_WITHIN = 10.0


class BackgroundJob:
    """What a worker says of itself in `status.json`, and whether it was asked to stop. Use it as a context manager.

    `progress` is what there is to show; the worker changes it in place.
    """

    def __init__(self, folder: Path, progress: dict[str, Any]) -> None:
        self.folder = folder
        self.progress = progress
        self.state = "running"
        self.error = ""
        self.waiting_for = ""
        self._started = time.time()
        self._cancel, self._stop = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, self._asked_to_stop)
        # Whoever started us held it back until now, so that a stop while libraries load is not a death.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self.tell()
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._heart.join()
        with suppress(OSError):
            self.tell()

    @property
    def cancelled(self) -> bool:
        return self._cancel.is_set()

    def check(self) -> None:
        """Raises Cancelled where the user asked to stop."""
        if self.cancelled:
            raise Cancelled

    def tell(self) -> None:
        """Writes the status."""
        with self._lock:
            Status(
                state="queued" if self.waiting_for and self.state == "running" else self.state,
                pid=os.getpid(),
                pid_started=psutil.Process().create_time(),
                host=socket.gethostname(),
                started=self._started,
                heartbeat=time.time(),
                stages=[{**self.progress, "waiting_for": self.waiting_for}],
                error=self.error,
            ).write(self.folder / "status.json")

    def wait_for(self, device: torch.device) -> filelock.BaseFileLock:
        """The held lock of a device; says that the job is queued while another one has it."""
        path = lock_of(device)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        while True:
            try:
                lock.acquire(blocking=False)
            except filelock.Timeout:
                self.waiting_for = str(device)
                self.check()
                time.sleep(LOCK_POLL_SECONDS)
            else:
                self.waiting_for = ""
                return lock

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            # A full disk may pass; a heart that stopped would not start again.
            with suppress(OSError, psutil.Error):
                self.tell()

    def _asked_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._cancel.set()


def await_announcement(folder: Path) -> None:
    """Waits until whoever started us has said so, or their words would replace our first."""
    until = time.monotonic() + _ANNOUNCED_WITHIN
    while time.monotonic() < until:
        told = read_status(folder / "status.json")
        if told is not None and told.pid == os.getpid():
            return
        time.sleep(0.01)
