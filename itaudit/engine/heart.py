"""The heart of a worker: it renews what the worker says of itself, and hears whether it was asked to stop."""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Self

import psutil


class Cancelled(Exception):
    """The user asked the worker to stop, and what was done so far is saved."""


class Heart:
    """Answers SIGTERM, and calls `beat` every so many seconds. Use it as a context manager around the work."""

    def __init__(self, beat: Callable[[], None] | None, seconds: float) -> None:
        """Without `beat` it only listens. What fails in it (a full disk, a device that is silent) may pass."""
        self._beat = beat
        self._seconds = seconds
        self._cancel = threading.Event()
        self._stop = threading.Event()
        self._around: Heart | None = None
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        before = signal.signal(signal.SIGTERM, self._asked_to_stop)
        around = getattr(before, "__self__", None)
        if isinstance(around, Heart) and not around._stop.is_set():
            # The work of one job inside another's: whoever is asked to stop, both are.
            self._around = around
            if around.cancelled:
                self._cancel.set()
        # Whoever started us held it back until now, so that a stop while libraries load is not a death.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        if self._beat is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._beat is not None:
            self._thread.join()
        if self._around is not None:
            signal.signal(signal.SIGTERM, self._around._asked_to_stop)

    @property
    def cancelled(self) -> bool:
        """Whether SIGTERM came; a worker ends its step, saves, and calls `check`."""
        return self._cancel.is_set()

    def check(self) -> None:
        """Raises Cancelled where the user asked to stop."""
        if self.cancelled:
            raise Cancelled

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            # A heart that stopped would not start again.
            with suppress(OSError, RuntimeError, psutil.Error):
                if self._beat is not None:
                    self._beat()

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._cancel.set()
        if self._around is not None:
            self._around._asked_to_stop(number, frame)
