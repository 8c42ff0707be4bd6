"""Jobs: worker processes that outlive the terminal that started them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from itaudit.errors import UserError
from itaudit.runs.run import Run
from itaudit.runs.status import Status


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
    status = run.status()
    if status is not None and status.state in ("queued", "running") and status.alive(time.time()):
        raise UserError(f"{run.path}: a worker (pid {status.pid}) is at work on it; `itaudit logs {run.path} -f`")
    with run.log_path.open("ab") as log, held_back(signal.SIGTERM):
        process = subprocess.Popen(
            [sys.executable, "-m", "itaudit.engine.worker", str(run.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
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
    ).write(run.status_path)
    return process.pid


def cancel(run: Run) -> int:
    """Asks the worker to finish its step, save and stop; returns its pid. Raises UserError where there is none."""
    status = run.status()
    if status is None or not status.alive(time.time()) or status.state not in ("queued", "running"):
        raise UserError(f"{run.path}: no worker is at work on it")
    if status.host != socket.gethostname():
        # That pid belongs to somebody else here.
        raise UserError(f"{run.path}: its worker is at work on {status.host}; cancel it there")
    try:
        os.kill(status.pid, signal.SIGTERM)
    except OSError as error:
        raise UserError(f"{run.path}: can't signal the worker (pid {status.pid}): {error.strerror}") from None
    return status.pid
