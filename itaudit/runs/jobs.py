"""Jobs: worker processes that outlive the terminal that started them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from itaudit.errors import UserError
from itaudit.runs.run import Run
from itaudit.runs.status import Status, read_status


@contextmanager
def held_back(number: signal.Signals) -> Iterator[None]:
    """Keeps a signal waiting, in this thread and in processes that it starts meanwhile, until they ask for it.

    A worker takes seconds to import its libraries; only then can it answer SIGTERM.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start(run: Run) -> int:
    """Starts a detached worker on a run and returns its pid; raises UserError where one is at work already."""
    hint = f"; `itaudit logs {run.path} -f`"
    return launch(
        ["itaudit.engine.worker", str(run.path)], folder=run.path, log=run.log_path, status=run.status_path, hint=hint
    )


def cancel(run: Run) -> int:
    """Asks the worker to finish its step, save and stop; returns its pid. Raises UserError where there is none."""
    return stop(run.path, run.status())


def launch(module: Sequence[str], *, folder: Path, log: Path, status: Path, hint: str = "") -> int:
    """Starts a detached worker, a module with its arguments, and returns its pid.

    `folder` is what it works on, in words. Raises UserError where one is at work on it already.
    """
    told = read_status(status)
    if told is not None and told.state in ("queued", "running") and told.alive(time.time()):
        raise UserError(f"{folder}: a worker (pid {told.pid}) is at work on it{hint}")
    with log.open("ab") as file, held_back(signal.SIGTERM):
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # Until the worker speaks for itself, so that one that dies before its first word is noticed.
    now = time.time()
    Status(
        state="queued",
        pid=process.pid,
        pid_started=psutil.Process(process.pid).create_time(),
        host=socket.gethostname(),
        started=now,
        heartbeat=now,
    ).write(status)
    return process.pid


def stop(folder: Path, status: Status | None) -> int:
    """Asks the worker of that status to save and stop; returns its pid. Raises UserError where there is none."""
    if status is None or not status.alive(time.time()) or status.state not in ("queued", "running"):
        raise UserError(f"{folder}: no worker is at work on it")
    if status.host != socket.gethostname():
        # That pid belongs to somebody else here.
        raise UserError(f"{folder}: its worker is at work on {status.host}; cancel it there")
    try:
        os.kill(status.pid, signal.SIGTERM)
    except OSError as error:
        raise UserError(f"{folder}: can't signal the worker (pid {status.pid}): {error.strerror}") from None
    return status.pid
