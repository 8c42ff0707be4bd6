"""A process of this program that works for a screen and says how far it is, one JSON object a line."""

import contextlib
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from typing import Any

import orjson

_PIPE = 1 << 16


class Child:
    """`python -m MODULE ARGUMENTS`, started at once; `ended` is true when everything it said was taken."""

    def __init__(self, module: str, arguments: Iterable[str]) -> None:
        self.ended = False
        self._unread = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def messages(self) -> list[dict[str, Any]]:
        """What it said since; never waits."""
        with contextlib.suppress(BlockingIOError):
            while not self.ended:
                data = os.read(self._output.fileno(), _PIPE)
                self.ended = not data
                self._unread += data
        *lines, self._unread = self._unread.split(b"\n")
        # Whatever else a library prints is nothing that was said here.
        return [orjson.loads(line) for line in lines if line.startswith(b'{"')]

    def wait(self, seconds: float | None) -> None:
        """Waits until it says something or ends, `seconds` at most."""
        if not self.ended:
            select.select([self._output], [], [], seconds)

    def last_words(self) -> str:
        """How it died, once it has ended."""
        code = self._process.wait()
        if code < 0:
            return f"was killed by signal {-code}"
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return f"died ({lines[-1][:200]})" if lines else "died without a word"

    def outlive(self) -> None:
        """Waits for its end, and lets go of it."""
        self._process.wait()
        self.close()

    def close(self) -> None:
        """Ends it, if it still works, and lets go of it."""
        self._process.terminate()
        self._process.wait()
        self._output.close()
        self._errors.close()
        self.ended = True


def say(message: dict[str, Any]) -> None:
    """Says one thing to whoever started this process."""
    sys.stdout.buffer.write(orjson.dumps(message) + b"\n")
    sys.stdout.buffer.flush()
