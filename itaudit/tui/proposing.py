"""The child process that makes one proposal at a time: started on first use, its model kept, ended with the screen."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import orjson

from itaudit.errors import UserError
from itaudit.sanitize import visible_line

# A line holds a whole response; asyncio would stop at 64 KB.
_LONGEST_LINE = 64 * 2**20
_PATIENCE = 2.0
"""Seconds that a process has to end by itself."""

State = Literal["none", "loading", "ready", "gone"]


def proposer_command(engine: str) -> list[str]:
    """How the process for an engine is started."""
    return [sys.executable, "-m", "itaudit.engine.proposer", "--engine", engine]


class Proposer:
    """Asks a process that speaks JSON lines. It tells when it is ready by its first line."""

    def __init__(self, command: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.command = list(command)
        self.clock = clock
        self.state: State = "none"
        self.since = clock()
        self._process: asyncio.subprocess.Process | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process that writes into it
        self._number = 0
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and alive else None

    async def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Sends a request and gives the answer to it. Raises UserError where the process fails or is gone."""
        async with self._turn:
            if self.pid is None:
                await self._start()
            self._number += 1
            number = self._number
            line = orjson.dumps({**request, "request": number}, default=str) + b"\n"
            process = self._process
            assert process is not None and process.stdin is not None
            try:
                process.stdin.write(line)
                await process.stdin.drain()
            except (BrokenPipeError, ConnectionResetError):
                raise await self._died() from None
            while True:
                answer = await self._read()
                # What was asked before and given up may still be answered.
                if answer.get("request") == number:
                    return answer

    async def _start(self) -> None:
        self.state, self.since = "loading", self.clock()
        self._errors.seek(0)
        self._errors.truncate()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=self._errors,
                limit=_LONGEST_LINE,
            )
        except OSError as error:
            self.state = "gone"
            raise UserError(f"can't start the process that proposes: {error.strerror}") from None
        first = await self._read()
        if first.get("problem"):
            await self.end()
            raise UserError(str(first["problem"]))
        self.state, self.since = "ready", self.clock()

    async def _read(self) -> dict[str, Any]:
        """The next line that is an object; other libraries may print on standard output too."""
        assert self._process is not None and self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                await self.end()
                raise UserError("the process that proposes answered with a line of more than 64 MiB") from None
            if not line:
                raise await self._died()
            try:
                answer = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(answer, dict):
                return answer

    async def _died(self) -> UserError:
        """Says in one line how the process ended, with the last line that it wrote on standard error."""
        assert self._process is not None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _PATIENCE)
        code = self._process.returncode
        await self.end()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        last = next((visible_line(line.strip()) for line in reversed(lines) if line.strip()), "it said nothing")
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        return UserError(f"the process that proposes {how}: {last[:300]}")

    async def end(self) -> None:
        """Ends the process; nothing of it is left when this returns."""
        process, self._process = self._process, None
        self.state = "gone" if process is not None else self.state
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _PATIENCE)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
