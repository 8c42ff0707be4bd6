"""The edits of a dataset: an append-only file beside it, which is never anything but appended to."""

import getpass
import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import orjson

from itaudit import atomic, paths
from itaudit.data.instance import Instance
from itaudit.errors import UserError

TEXTS = ("instruction", "input", "response")
TURNS = ("history", "later")
# What is said of an instance rather than in it.
REMARKS: Mapping[str, Any] = {"deleted": False, "tags": [], "note": ""}
EDITABLE = (*TEXTS, *TURNS, *REMARKS)

_PATIENCE = 10.0
"""Seconds to wait for another process that is appending."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of one instance.

    `edit` is its own id; `id` and `index` are the instance's, `of` the hash of what the source held (see
    `content_hash`). `before` and `after` hold the changed fields, turns as lists of {role, content}. `by` is
    `hand` or the engine, `proposal` names the proposal that was accepted, `checks` what was found about it.
    """

    edit: str
    id: str
    index: int
    of: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    by: str
    user: str
    time: float
    proposal: str = ""
    checks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reversal:
    """An edit that was taken back, or put in force again."""

    op: Literal["undo", "redo"]
    edit: str
    user: str
    time: float


@dataclass(frozen=True, slots=True)
class Named:
    """A name for the state that all entries before it make."""

    name: str
    user: str
    time: float


Entry = Edit | Reversal | Named


@dataclass
class Chain:
    """The edits of one instance: those that stand and those taken back, both oldest first."""

    standing: list[Edit] = field(default_factory=list)
    undone: list[Edit] = field(default_factory=list)


def content_hash(instance: Instance) -> str:
    """32 hex digits that tell whether an instance says what it said: its fields and turns, not its place or id."""
    values = values_of(instance)
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def values_of(instance: Instance) -> dict[str, Any]:
    """The editable fields of an instance, as an edit writes them."""
    turns = {"history": instance.history, "later": instance.later}
    values: dict[str, Any] = {name: getattr(instance, name) for name in TEXTS}
    return values | {name: [{"role": m.role, "content": m.content} for m in turns[name]] for name in TURNS}


def workshop_folder(source: str) -> Path:
    """Where everything about a dataset's mending stands: beside it, or in the state directory if it can't.

    `source` is a dataset's absolute path or its hub name.
    """
    path = Path(source)
    beside = path.with_name(f"{path.name}.workshop")
    if path.is_absolute() and (beside.is_dir() or os.access(path.parent, os.W_OK)):
        return beside
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    return paths.state_dir() / "workshops" / f"{path.name}-{digest}"


def replay(entries: Sequence[Entry]) -> dict[str, Chain]:
    """The edits of every instance, by its id, after the entries.

    An entry that does not fit (an edit seen before, an undo of what no longer stands last) changes nothing.
    """
    chains: dict[str, Chain] = {}
    owners: dict[str, str] = {}
    for entry in entries:
        step(chains, owners, entry)
    return chains


def step(chains: dict[str, Chain], owners: dict[str, str], entry: Entry) -> str | None:
    """Takes one more entry into account; returns the id of the instance that it changed, if any."""
    if isinstance(entry, Edit):
        if entry.edit in owners:
            return None
        owners[entry.edit] = entry.id
        chain = chains.setdefault(entry.id, Chain())
        chain.standing.append(entry)
        chain.undone.clear()
        return entry.id
    if isinstance(entry, Reversal):
        found = chains.get(owners.get(entry.edit, ""))
        if found is None:
            return None
        taken, given = (found.standing, found.undone) if entry.op == "undo" else (found.undone, found.standing)
        if taken and taken[-1].edit == entry.edit:
            given.append(taken.pop())
            return owners[entry.edit]
    return None


class Overlay:
    """The edits file of one dataset. Several processes may append to it; each sees the others' on `refresh`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "edits.jsonl"
        self.entries: list[Entry] = []
        self.unreadable = 0
        self.chains: dict[str, Chain] = {}
        self._owners: dict[str, str] = {}
        self._offset = 0

    @classmethod
    def of(cls, source: str) -> "Overlay":
        """The overlay of a dataset's path or hub name, read."""
        overlay = cls(workshop_folder(source))
        overlay.refresh()
        return overlay

    def refresh(self) -> set[str]:
        """Reads what was appended since; returns the ids of the instances that changed.

        A line that is not whole yet waits for its end. Raises UserError where the file can't be read.
        """
        changed: set[str] = set()
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return changed
        except OSError as error:
            raise UserError(f"{self.path}: can't read the edits: {error.strerror}; check the file") from None
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.split(b"\n")[:-1]:
            entry = _read(line)
            if entry is None:
                self.unreadable += 1
                continue
            self.entries.append(entry)
            id = step(self.chains, self._owners, entry)
            if id is not None:
                changed.add(id)
        return changed

    @contextmanager
    def appending(self) -> Iterator[set[str]]:
        """Holds the lock, everything that others appended read: what is decided inside stays true until the end.

        Yields the ids that others changed since the last refresh.
        """
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "edits.lock", timeout=_PATIENCE):
                yield self.refresh()
        except Timeout:
            raise UserError(f"{self.path}: another process holds the edits; try again when it is done") from None
        except OSError as error:
            raise UserError(f"{self.path}: can't write the edit: {error.strerror}; nothing was changed") from None

    def append(self, entry: Entry) -> None:
        """Writes an entry to the disk and takes it into account; only inside `appending`."""
        atomic.append_line(self.path, _line(entry), sync=True)
        self.refresh()


def new_edit(
    instance: Instance,
    *,
    of: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    by: str,
    proposal: str = "",
    checks: Mapping[str, Any] | None = None,
) -> Edit:
    """An edit, signed and dated."""
    return Edit(
        edit=uuid4().hex,
        id=instance.id,
        index=instance.index,
        of=of,
        before=before,
        after=after,
        by=by,
        user=user_name(),
        time=time.time(),
        proposal=proposal,
        checks=checks or {},
    )


def user_name() -> str:
    """Who is at the keyboard, or nothing where the system has no name for them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _line(entry: Entry) -> bytes:
    if isinstance(entry, Edit):
        fields: dict[str, Any] = {name: getattr(entry, name) for name in Edit.__slots__}
        kept = {name: value for name, value in fields.items() if value or name not in ("proposal", "checks")}
        return orjson.dumps({"v": 1, "op": "edit", **kept})
    if isinstance(entry, Reversal):
        return orjson.dumps({"v": 1, "op": entry.op, "edit": entry.edit, "user": entry.user, "time": entry.time})
    return orjson.dumps({"v": 1, "op": "version", "name": entry.name, "user": entry.user, "time": entry.time})


def _read(line: bytes) -> Entry | None:
    """The entry of a line; None for a torn one, or one that this version does not know."""
    try:
        fields = orjson.loads(line)
        if fields.pop("v", None) != 1:
            return None
        op = fields.pop("op", None)
        if op == "edit":
            edit = Edit(**fields)
            return edit if _usable(edit) else None
        if op in ("undo", "redo"):
            return Reversal(op, **fields)
        return Named(**fields) if op == "version" else None
    except (orjson.JSONDecodeError, TypeError, AttributeError):
        return None


def _usable(edit: Edit) -> bool:
    texts = (edit.edit, edit.id, edit.of, edit.by)
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(edit.before, dict)
        and isinstance(edit.after, dict)
        and edit.before.keys() == edit.after.keys()
        and all(_fits(name, value) for values in (edit.before, edit.after) for name, value in values.items())
    )


def _fits(name: str, value: Any) -> bool:
    """Whether a value is of the kind that its field holds."""
    if name == "response":
        return value is None or isinstance(value, str)
    if name in ("instruction", "input", "note"):
        return isinstance(value, str)
    if name == "deleted":
        return isinstance(value, bool)
    if name == "tags":
        return isinstance(value, list) and all(isinstance(tag, str) for tag in value)
    return name in TURNS and isinstance(value, list) and all(_is_turn(turn) for turn in value)


def _is_turn(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"role", "content"}
        and value["role"] in ("system", "user", "assistant", "tool")
        and isinstance(value["content"], str)
    )
