"""The event log of a run: one versioned JSON object a line, appended by the worker, replayed by everyone else."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from itaudit import atomic
from itaudit.errors import UserError

VERSION = 1

Event = dict[str, Any]
"""`v`, `time` (seconds since the epoch), `type`, and what the type brings along; the types are those that
`itaudit.runs.state.reduce` knows."""


class EventLog:
    """Appends events to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, type: str, **facts: Any) -> Event:
        """Writes one event and returns it."""
        event: Event = {"v": VERSION, "time": time.time(), "type": type, **facts}
        atomic.append_line(self.path, orjson.dumps(event, option=orjson.OPT_SERIALIZE_NUMPY))
        return event


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events read from a log, and the byte offset to read on from."""

    events: tuple[Event, ...]
    offset: int


def read_events(path: Path, offset: int = 0) -> EventPage:
    """The complete events from a byte offset on.

    A torn last line is left for the next read; a torn line in the middle, which a crash leaves, is passed over.
    Raises UserError where there is a log that can't be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read()
    except FileNotFoundError:
        return EventPage((), 0)
    except OSError as error:
        raise UserError(f"{path}: can't read the events: {error.strerror}") from None
    end = content.rfind(b"\n") + 1
    return EventPage(tuple(_parsed(content[:end])), offset + end)


def _parsed(content: bytes) -> Iterator[Event]:
    for line in content.splitlines():
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(event, dict) and event.get("v") == VERSION and "type" in event:
            yield event
