"""The app ends when its terminal is gone, whatever screen it shows."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from itaudit.runs.run import Run


def started(directory: Path, *arguments: str | Path) -> tuple[subprocess.Popen[bytes], int]:
    """`itaudit` in a terminal of its own, where SIGHUP is passed over; and our end of the terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def as_nohup_does() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = subprocess.Popen(
        [sys.executable, "-m", "itaudit", *map(str, arguments)],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=as_nohup_does,
        env={**os.environ, "TERM": "xterm-256color", "ITAUDIT_RUNS": str(directory)},
    )  # fmt: skip
    os.close(theirs)
    return process, ours


def wait_for(descriptor: int, wanted: bytes, seconds: float = 60) -> None:
    seen, deadline = b"", time.monotonic() + seconds
    while wanted not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([descriptor], [], [], 0.2)[0]:
            seen += os.read(descriptor, 65536)


@pytest.mark.parametrize(
    ("arguments", "shows"),
    [((), b"itaudit"), (("open", "RUN"), b"responses"), (("rate", "RUN", "--rater", "ada"), b"engagement")],
    ids=["home", "stepper", "rate"],
)
def test_no_app_outlives_its_terminal_where_hanging_up_is_passed_over(
    run: Run, arguments: tuple[str, ...], shows: bytes
) -> None:
    process, terminal = started(run.path.parent, *(run.path if word == "RUN" else word for word in arguments))
    try:
        wait_for(terminal, shows)
        os.close(terminal)
        process.wait(20)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
