"""One job at a time on a device: the others wait behind a file lock."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from itaudit import paths

LOCK_POLL_SECONDS = 0.5


def lock_of(device: object) -> Path:
    """The lock file behind which jobs on one device, by its name in torch, queue."""
    return paths.state_dir() / "locks" / f"{str(device).replace(':', '-')}.lock"


@contextmanager
def held_device(device: object, *, waiting: Callable[[str], None], check: Callable[[], None]) -> Iterator[None]:
    """Holds the lock of a device, which outlives no process.

    While another job has it, `waiting` is told the device once, and `check` is asked now and then whether to go on.
    """
    with held_file(lock_of(device), str(device), waiting=waiting, check=check):
        yield


@contextmanager
def held_file(path: Path, name: str, *, waiting: Callable[[str], None], check: Callable[[], None]) -> Iterator[None]:
    """Holds a lock file, as `held_device` holds that of a device; `name` is what is waited for, in words."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    told = False
    while True:
        try:
            lock.acquire(blocking=False)
            break
        except filelock.Timeout:
            if not told:
                waiting(name)
                told = True
            check()
            time.sleep(LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()
