"""Ends the app with its terminal, also where SIGHUP is passed over, as it is in whatever nohup started.

Textual goes on without one: reading its input finds nothing, at once and again and again, and drawing waits for ever.
"""

import asyncio
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from textual.app import App

_LOOK = 1000
"""Milliseconds between two looks: not every system wakes those who wait for nothing but a hang-up."""
_GRACE = 3.0
"""Seconds that the app has to end by itself."""


def end_with_terminal(app: App[Any]) -> None:
    """Has a thread watch the terminals that the app reads from and draws on; does nothing where there are none."""
    streams = [stream for stream in (sys.__stdin__, sys.__stderr__) if stream is not None]
    terminals = [stream.fileno() for stream in streams if stream.isatty()]
    if terminals:
        loop = asyncio.get_running_loop()
        watch = threading.Thread(target=_watch, args=(app, loop, terminals), daemon=True, name="itaudit-terminal")
        watch.start()


def _watch(app: App[Any], loop: asyncio.AbstractEventLoop, terminals: Sequence[int]) -> None:
    poll = select.poll()
    for terminal in terminals:
        poll.register(terminal, select.POLLHUP)
    told = 0
    while not told & (select.POLLHUP | select.POLLERR):
        if told & select.POLLNVAL:
            # Closed by ourselves, or of a kind that can't be watched here.
            return
        told = 0
        for _, event in poll.poll(_LOOK):
            told |= event
    try:
        loop.call_soon_threadsafe(app.exit)
    except RuntimeError:
        # The app has ended before; what comes after it is not ours to end.
        return
    time.sleep(_GRACE)
    os._exit(128 + signal.SIGHUP)
