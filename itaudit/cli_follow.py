"""How the command line follows a job to its end."""

import os
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import click

LOOK_SECONDS = 0.25
"""Between two looks at a job; every repaint costs bandwidth over SSH, so that it is twice as long there."""
LINE_SECONDS = 10.0


class Followed(Protocol):
    """What is told of a job: how much is done, of how much, and whether its worker is at work."""

    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def at_work(self) -> bool: ...


Status = TypeVar("Status", bound=Followed)


def follow_job(look: Callable[[], Status], words: Callable[[Status], str]) -> Status:
    """Shows a job's progress on stderr until it ends: in place at a terminal, else a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        return _follow_in_lines(look, words)
    pause = 0.5 if os.environ.get("SSH_CONNECTION") else LOOK_SECONDS
    columns = [BarColumn(24)] if console.width >= 80 else []
    with Progress(
        TextColumn("{task.description}", markup=False), *columns, console=console, auto_refresh=False
    ) as progress:
        task = progress.add_task("", total=None)
        while True:
            status = look()
            progress.update(task, description=words(status), completed=status.done, total=status.total or None)
            progress.refresh()
            if not status.at_work:
                return status
            time.sleep(pause)


def _follow_in_lines(look: Callable[[], Status], words: Callable[[Status], str]) -> Status:
    said = 0.0
    while True:
        status = look()
        if not status.at_work or time.monotonic() - said > LINE_SECONDS:
            click.echo(words(status), err=True)
            said = time.monotonic()
        if not status.at_work:
            return status
        time.sleep(LOOK_SECONDS)
