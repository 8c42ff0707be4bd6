"""What is being typed, kept on the disk until it is saved: a terminal that dies takes no text with it."""

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil

from itaudit import atomic, paths


@dataclass(frozen=True, slots=True)
class Draft:
    """An unfinished edit: the instance's id, its fields as they were opened, and those that were changed since.

    `pid` and `started` tell the process that types it; both fields' values are as an edit writes them.
    """

    id: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    time: float = field(default_factory=time.time)
    pid: int = field(default_factory=os.getpid)
    started: float = field(default_factory=lambda: psutil.Process().create_time())


class Drafts:
    """The drafts of one dataset, in its workshop folder, or in the state directory where that can't be written."""

    def __init__(self, workshop: Path) -> None:
        digest = hashlib.sha256(str(workshop.absolute()).encode()).hexdigest()[:12]
        self.folders = (workshop / "drafts", paths.state_dir() / "drafts" / digest)

    def keep(self, draft: Draft) -> None:
        """Writes a draft in place of its former state. Raises OSError where no folder takes it."""
        content = orjson.dumps(asdict(draft))
        for folder in self.folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                atomic.write_bytes(folder / self._name(draft.id, draft.pid), content)
                return
            except OSError as error:
                failure = error
        raise failure

    def found(self, id: str) -> Draft | None:
        """The newest draft of an instance that no other living process is typing."""
        drafts = [draft for path in self._paths(id) if (draft := _read(path)) is not None and draft.id == id]
        return max(
            (draft for draft in drafts if not _typed_elsewhere(draft)), key=lambda draft: draft.time, default=None
        )

    def forget(self, id: str) -> None:
        """Removes the drafts of an instance, save what another process is typing."""
        for path in self._paths(id):
            draft = _read(path)
            if draft is None or not _typed_elsewhere(draft):
                try:
                    path.unlink(missing_ok=True)
                except OSError:
                    continue

    def _paths(self, id: str) -> list[Path]:
        return [path for folder in self.folders for path in folder.glob(f"{_digest(id)}-*.json")]

    @staticmethod
    def _name(id: str, pid: int) -> str:
        return f"{_digest(id)}-{pid}.json"


def _digest(id: str) -> str:
    return hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _read(path: Path) -> Draft | None:
    try:
        draft = Draft(**orjson.loads(path.read_bytes()))
    except (OSError, orjson.JSONDecodeError, TypeError):
        return None
    return draft if isinstance(draft.before, dict) and isinstance(draft.after, dict) else None


def _typed_elsewhere(draft: Draft) -> bool:
    if draft.pid == os.getpid():
        return False
    try:
        started: float = psutil.Process(draft.pid).create_time()
    except psutil.Error:
        return False
    return abs(started - draft.started) < 1
