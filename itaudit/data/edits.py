"""What an overlay holds: edits of instances, what was taken back, names of versions; and how they follow each other."""

import getpass
import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal
from uuid import uuid4

import orjson

from itaudit.data.instance import Instance

TEXTS = ("instruction", "input", "response")
TURNS = ("history", "later")
# What is said of an instance rather than in it.
REMARKS: Mapping[str, Any] = {"deleted": False, "tags": [], "note": ""}
EDITABLE = (*TEXTS, *TURNS, *REMARKS)

Back = Literal["undo", "redo", "drop"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of one instance.

    `edit` is its own id; `id` and `index` are the instance's, `of` the hash of what the source held (see
    `content_hash`). `before` and `after` hold the changed fields, turns as lists of {role, content}. `by` is
    `hand` or the engine, `proposal` names the proposal that was accepted, `checks` what was found about it.
    `replaces` is the edit that this one was made from, which was in conflict and no longer stands.
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
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Reversal:
    """An edit that was taken back (undo), put in force again (redo) or given up while in conflict (drop)."""

    op: Back
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

    def holds(self, edit: str) -> bool:
        """Whether an edit, by its id, stands."""
        return any(one.edit == edit for one in self.standing)


def content_hash(instance: Instance) -> str:
    """32 hex digits that tell whether an instance says what it said: its fields and turns, not its place or id."""
    values = values_of(instance)
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def values_of(instance: Instance) -> dict[str, Any]:
    """The editable fields of an instance, as an edit writes them."""
    turns = {"history": instance.history, "later": instance.later}
    values: dict[str, Any] = {name: getattr(instance, name) for name in TEXTS}
    return values | {name: [{"role": m.role, "content": m.content} for m in turns[name]] for name in TURNS}


def replay(entries: Iterable[Entry]) -> dict[str, Chain]:
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
        chain.standing = [edit for edit in chain.standing if edit.edit != entry.replaces]
        chain.standing.append(entry)
        chain.undone.clear()
        return entry.id
    if isinstance(entry, Reversal):
        found = chains.get(owners.get(entry.edit, ""))
        if found is not None and _reverse(found, entry):
            return owners[entry.edit]
    return None


def _reverse(chain: Chain, entry: Reversal) -> bool:
    if entry.op == "drop":
        dropped = [edit for edit in chain.standing if edit.edit == entry.edit]
        chain.standing = [edit for edit in chain.standing if edit.edit != entry.edit]
        chain.undone += dropped
        return bool(dropped)
    taken, given = (chain.standing, chain.undone) if entry.op == "undo" else (chain.undone, chain.standing)
    fits = bool(taken) and taken[-1].edit == entry.edit
    if fits:
        given.append(taken.pop())
    return fits


def new_edit(
    instance: Instance,
    *,
    of: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    by: str,
    proposal: str = "",
    checks: Mapping[str, Any] | None = None,
    replaces: str = "",
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
        replaces=replaces,
    )


def new_reversal(op: Back, edit: Edit) -> Reversal:
    """A reversal, signed and dated."""
    return Reversal(op, edit.edit, user_name(), time.time())


def user_name() -> str:
    """Who is at the keyboard, or nothing where the system has no name for them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def to_line(entry: Entry) -> bytes:
    """An entry as a line of the overlay, its end included. Raises TypeError where JSON can't hold a value."""
    op = "edit" if isinstance(entry, Edit) else "version" if isinstance(entry, Named) else entry.op
    told = {one.name: getattr(entry, one.name) for one in fields(entry)} | {"op": op}
    optional = ("proposal", "checks", "replaces")
    kept = {name: value for name, value in told.items() if value or name not in optional}
    return orjson.dumps({"v": _FORMAT, "op": op, **kept}, option=orjson.OPT_APPEND_NEWLINE)


def from_line(line: bytes) -> Entry | None:
    """The entry of a line; None for a torn one, or one that this version does not know.

    Keys that are not known are passed over: what changes the meaning of an entry comes with a new version number.
    """
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(told, dict) or told.get("v") != _FORMAT:
        return None
    kind = {"edit": Edit, "version": Named, "undo": Reversal, "redo": Reversal, "drop": Reversal}.get(
        str(told.get("op"))
    )
    if kind is None:
        return None
    known = {one.name: told[one.name] for one in fields(kind) if one.name in told}
    try:
        entry: Entry = kind(**known)
    except TypeError:
        return None
    return entry if _usable(entry) else None


def _usable(entry: Entry) -> bool:
    """Whether every value is of the type that its field says."""
    if not isinstance(entry.user, str) or type(entry.time) not in (float, int):
        return False
    if isinstance(entry, Named):
        return isinstance(entry.name, str)
    if isinstance(entry, Reversal):
        return isinstance(entry.edit, str)
    texts = (entry.edit, entry.id, entry.of, entry.by, entry.proposal, entry.replaces)
    objects = (entry.before, entry.after, entry.checks)
    return (
        all(isinstance(text, str) for text in texts)
        and type(entry.index) is int
        and all(isinstance(one, dict) for one in objects)
        and entry.before.keys() == entry.after.keys()
        and all(fits(name, value) for values in (entry.before, entry.after) for name, value in values.items())
    )


def fits(name: str, value: Any) -> bool:
    """Whether a value is of the kind that an editable field holds."""
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
