"""The edits of a dataset: an append-only file beside it, which is never anything but appended to."""

import hashlib
import os
import re
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from itaudit import paths
from itaudit.data.edits import (
    EDITABLE,
    REMARKS,
    TEXTS,
    TURNS,
    Chain,
    Edit,
    Entry,
    Named,
    Reversal,
    content_hash,
    from_line,
    new_edit,
    replay,
    step,
    to_line,
    user_name,
    values_of,
)
from itaudit.data.sources import shown
from itaudit.errors import UserError

__all__ = [
    "EDITABLE",
    "REMARKS",
    "TEXTS",
    "TURNS",
    "Chain",
    "Edit",
    "Entry",
    "Named",
    "Overlay",
    "Reversal",
    "content_hash",
    "new_edit",
    "replay",
    "user_name",
    "values_of",
    "workshop_folder",
]

EDITED, SOURCE = "edited", "source"
"""The versions that every dataset has: with all its edits, and without any."""

_PATIENCE = 10.0
"""Seconds to wait for another process that is appending."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)


def workshop_folder(source: str) -> Path:
    """Where everything about a dataset's mending stands: beside it, or in the state directory if it can't.

    `source` is a dataset's absolute path or its hub name. A link leads to the workshop of what it points to. What
    stands already stays in use, so that a change of permissions hides no edits.
    """
    path = Path(source)
    if path.is_absolute():
        path = Path(os.path.realpath(path))
        beside = path.with_name(f"{path.name}.workshop")
        elsewhere = _in_state(str(path))
        writable = os.access(path.parent, os.W_OK)
        return beside if beside.exists() or (writable and not elsewhere.exists()) else elsewhere
    return _in_state(source)


def _in_state(source: str) -> Path:
    digest = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return paths.state_dir() / "workshops" / f"{Path(source).name}-{digest}"


class Overlay:
    """The edits file of one dataset. Several processes may append to it; each sees the others' on `refresh`.

    `entries` stand on the lines of the file that `lines` numbers, from 1; `unreadable_lines` are torn, or written
    by a later version. With `until` only so many lines are read, and nothing can be appended: a past version.
    """

    def __init__(self, folder: Path, *, until: int | None = None) -> None:
        self.folder = folder
        self.path = folder / "edits.jsonl"
        self.until = until
        self._forget()

    def _forget(self) -> None:
        self.entries: list[Entry] = []
        self.lines: list[int] = []
        self.unreadable_lines: list[int] = []
        self.chains: dict[str, Chain] = {}
        self.count = 0
        """How many lines were read."""
        self._owners: dict[str, str] = {}
        self._offset = 0
        self._inode: tuple[int, int] | None = None

    @classmethod
    def of(cls, source: str, *, until: int | None = None) -> "Overlay":
        """The overlay of a dataset's path or hub name, read."""
        overlay = cls(workshop_folder(source), until=until)
        overlay.refresh()
        return overlay

    @property
    def unreadable(self) -> int:
        """How many lines were passed over."""
        return len(self.unreadable_lines)

    def refresh(self) -> set[str]:
        """Reads what was appended since; returns the ids of the instances that changed.

        A line that is not whole yet waits for its end. A file that was put in the place of the one that was read is
        read from its beginning. Raises UserError where the file can't be read.
        """
        changed: set[str] = set()
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                inode = (status.st_dev, status.st_ino)
                file.seek(max(self._offset - 1, 0))
                ended = not self._offset or file.read(1) == b"\n"
                if not ended or (self._inode is not None and self._inode != inode):
                    changed |= self.chains.keys()
                    self._forget()
                    file.seek(0)
                self._inode = inode
                data = file.read()
        except FileNotFoundError:
            changed |= self.chains.keys()
            self._forget()
            return changed
        except OSError as error:
            raise UserError(f"{shown(self.path)}: can't read the edits: {error.strerror}; check the file") from None
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.split(b"\n")[:-1]:
            if self.until is not None and self.count >= self.until:
                break
            changed |= self._take(line)
        return changed

    def _take(self, line: bytes) -> set[str]:
        self.count += 1
        entry = from_line(line)
        if entry is None:
            self.unreadable_lines.append(self.count)
            return set()
        self.entries.append(entry)
        self.lines.append(self.count)
        id = step(self.chains, self._owners, entry)
        return set() if id is None else {id}

    def first(self, lines: int) -> list[Entry]:
        """The entries of the first so many lines."""
        return self.entries[: bisect_right(self.lines, lines)]

    def names(self) -> dict[str, int]:
        """The named versions, and on which line of the file each got its name."""
        pairs = zip(self.lines, self.entries, strict=True)
        found: dict[str, int] = {}
        for line, entry in pairs:
            if isinstance(entry, Named):
                found.setdefault(entry.name, line)
        return found

    def line_of(self, version: str) -> int:
        """How many lines make a version: `edited`, `source`, a number of lines or a name. Raises UserError, code 2."""
        if version in (EDITED, SOURCE):
            return self.count if version == EDITED else 0
        if version.isascii() and version.isdigit():
            if int(version[:18]) <= self.count:
                return int(version)
            raise UserError(f"@{version}: the log has {self.count} entries; `itaudit data log` lists them", code=2)
        names = self.names()
        if version not in names:
            known = ", ".join(f"@{name}" for name in (EDITED, SOURCE, *names))
            raise UserError(f"@{version}: no version of that name; there are {known} and @NUMBER", code=2)
        return names[version]

    def name(self, name: str) -> int:
        """Names the present state; returns the line of the name. Raises UserError for a name that can't be used."""
        if not _NAME.fullmatch(name) or name.isdigit() or name in (EDITED, SOURCE):
            wanted = "letters, digits, - _ and . (no number alone), at most 64"
            raise UserError(f"{name!r} can't name a version; use {wanted}", code=2)
        with self.appending():
            taken = self.names().get(name)
            if taken is not None:
                raise UserError(f"{name!r} names entry {taken} already; choose another name", code=2)
            self.append(Named(name, user_name(), time.time()))
            return self.lines[-1]

    @contextmanager
    def appending(self) -> Iterator[set[str]]:
        """Holds the lock, everything that others appended read: what is decided inside stays true until the end.

        Yields the ids that others changed since the last refresh.
        """
        from filelock import FileLock, Timeout

        if self.until is not None:
            raise UserError("this is a past version, which stays as it is; open the dataset without @ to edit it")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "edits.lock", timeout=_PATIENCE):
                self._close_torn()
                yield self.refresh()
        except Timeout:
            raise UserError(f"{shown(self.path)}: another process holds the edits; try again when it is done") from None
        except OSError as error:
            raise UserError(
                f"{shown(self.path)}: can't write the edit: {error.strerror}; nothing was changed"
            ) from None

    def append(self, *entries: Entry) -> None:
        """Writes entries to the disk and takes them into account; only inside `appending`."""
        self._write(b"".join(map(to_line, entries)))
        self.refresh()

    def _close_torn(self) -> None:
        """Ends a line that a killed process left without its end, before anything is decided on what it says."""
        with suppress(FileNotFoundError), self.path.open("rb") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    self._write(b"\n")

    def _write(self, content: bytes) -> None:
        """Appends to the file until it is on the disk, or leaves it as it was."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            try:
                while content:
                    content = content[os.write(descriptor, content) :]
                os.fsync(descriptor)
            except BaseException:
                # What was refused must not come into force with the next line.
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        if size == 0:
            _sync_folder(self.folder)


def _sync_folder(folder: Path) -> None:
    """Makes sure that a new file is found after a power failure."""
    for path in (folder, folder.parent):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
