"""A page in headless Chromium, by its DevTools protocol: what it asks for, what it says, how wide it gets."""

import asyncio
import base64
import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
_LONGEST = 2**28
"""Bytes of one message; a PDF is one."""


class Page:
    """One tab. `problems` are console errors and exceptions, `requests` the addresses that were asked for."""

    def __init__(self, said: asyncio.StreamReader, pipe: int) -> None:
        """`said` is what the browser says, and `pipe` what it reads; messages end with a zero byte."""
        self._said = said
        self._pipe = pipe
        self._session: dict[str, str] = {}
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self.problems: list[str] = []
        self.requests: list[str] = []

    async def listen(self) -> None:
        while True:
            told = json.loads((await self._said.readuntil(b"\0"))[:-1])
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
                continue
            method, params = told["method"], told.get("params", {})
            if method == "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            elif method == "Log.entryAdded":
                self.problems.append(params["entry"]["text"])
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
                self.problems.append(str(params["args"]))
            elif method == "Runtime.exceptionThrown":
                self.problems.append(str(params["exceptionDetails"]))
            elif method == "Page.loadEventFired":
                self._loaded.set()

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        message = {"id": self._number, "method": method, "params": params} | self._session
        os.write(self._pipe, json.dumps(message).encode() + b"\0")
        told = await asyncio.wait_for(answer, 30)
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    async def attach(self) -> None:
        """Turns to the browser's first tab, once it has one."""
        for _ in range(300):
            targets = (await self.ask("Target.getTargets"))["targetInfos"]
            if tabs := [target for target in targets if target["type"] == "page"]:
                told = await self.ask("Target.attachToTarget", targetId=tabs[0]["targetId"], flatten=True)
                self._session = {"sessionId": told["sessionId"]}
                return
            await asyncio.sleep(0.1)
        raise AssertionError("the browser opens no tab")

    async def open(self, path: Path, *, width: int, height: int = 900, dark: bool = False, paper: bool = False) -> None:
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.ask(f"{domain}.enable")
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 700
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.ask("Emulation.setEmulatedMedia", media="print" if paper else "", features=scheme)
        await self.ask("Page.navigate", url=path.resolve().as_uri())
        await asyncio.wait_for(self._loaded.wait(), 30)

    async def evaluate(self, expression: str) -> Any:
        told = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"]["value"]

    async def pdf(self) -> bytes:
        return base64.b64decode((await self.ask("Page.printToPDF", preferCSSPageSize=True))["data"])

    async def picture(self) -> bytes:
        return base64.b64decode(
            (await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True))["data"]
        )


@asynccontextmanager
async def page(profile: Path) -> AsyncIterator[Page]:
    """A tab of a browser with a profile of its own; the test is skipped where there is no browser."""
    if not CHROMIUM:
        pytest.skip("no chromium or google-chrome on the path")
    (read, asked), (said, write) = os.pipe(), os.pipe()
    # The browser's ends get numbers that can't be those that it expects them at.
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read, write)]

    def at_3_and_4() -> None:
        os.dup2(ends[0], 3)
        os.dup2(ends[1], 4)

    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
    command += ["--disable-background-networking", f"--user-data-dir={profile}", "--remote-debugging-pipe"]
    process = subprocess.Popen(
        [*command, "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=at_3_and_4,
        pass_fds=(3, 4),
    )
    for end in (read, write, *ends):
        os.close(end)
    reader = asyncio.StreamReader(limit=_LONGEST)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(said, "rb")
    )
    found = Page(reader, asked)
    listening = asyncio.create_task(found.listen())
    try:
        await found.attach()
        yield found
    finally:
        listening.cancel()
        transport.close()
        os.close(asked)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
