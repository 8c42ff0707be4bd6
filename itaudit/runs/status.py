"""`status.json`: what the worker says of itself, and whether that can still be believed."""

import socket
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from itaudit import atomic

HEARTBEAT_SECONDS = 2.0
"""How often a worker renews its status."""
STALE_SECONDS = 60.0
"""A worker on another host that has been silent for so long counts as dead."""


@dataclass(frozen=True, slots=True)
class Status:
    """The worker's last word. Times are seconds since the epoch; `pid_started` tells a reused pid apart."""

    state: str
    pid: int
    pid_started: float
    host: str
    started: float
    heartbeat: float
    stages: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""

    def write(self, path: Path) -> None:
        atomic.write_bytes(path, orjson.dumps({"v": 1, **asdict(self)}, option=orjson.OPT_INDENT_2))

    def alive(self, now: float) -> bool:
        """Whether the worker that wrote this still exists."""
        if self.host != socket.gethostname():
            return now - self.heartbeat < STALE_SECONDS
        # Screens open on runs whose job is long over, and then need not load it.
        import psutil

        try:
            process = psutil.Process(self.pid)
            return bool(abs(process.create_time() - self.pid_started) < 2 and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


def last_word(path: Path) -> tuple[Status | None, bool]:
    """The status in a file, and whether its worker is gone without having told how it ended.

    What a worker wrote before its last word can be read after this and is whole.
    """
    told = read_status(path)
    if not _gone(told):
        return told, False
    # One that ends between the two looks has written its last word before it went.
    told = read_status(path)
    return told, _gone(told)


def _gone(told: Status | None) -> bool:
    return told is not None and told.state in ("queued", "running") and not told.alive(time.time())


def read_status(path: Path) -> Status | None:
    """The status in a file; None where there is none or it can't be read as one."""
    try:
        content = orjson.loads(path.read_bytes())
        content.pop("v", None)
        status = Status(**content)
    except (OSError, orjson.JSONDecodeError, TypeError, AttributeError):
        return None
    times = (status.pid_started, status.started, status.heartbeat)
    # Somebody's edit must not pass for a worker: its pid would be looked for, and signalled.
    usable = isinstance(status.pid, int) and status.pid > 0 and all(isinstance(time, int | float) for time in times)
    told = isinstance(status.stages, list) and all(isinstance(stage, dict) for stage in status.stages)
    texts = isinstance(status.state, str) and isinstance(status.error, str)
    return status if usable and told and texts else None
