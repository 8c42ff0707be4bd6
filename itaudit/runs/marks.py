"""Marks: what people say about spans of responses, in an append-only file.

A line is a mark that was put, or one that was taken away. A later line about a place, which is a model, a prompt and
two offsets, replaces the earlier. Undoing appends too: an `undo` line takes back the newest act about its place, and
restores what stood there. Lines that one call wrote, such as an import, share an `act` and are undone as one.
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import orjson

from itaudit import atomic
from itaudit.errors import UserError

VERSION = 1
LABELS = ("hallucinated", "unsupported", "style", "correct")
"""The labels that there are always; any other short line is a label of the user's own."""
FLAGGED = frozenset(("hallucinated", "unsupported"))
"""The labels that say that a span is not to be trusted; all others say nothing of that kind, or the opposite."""
LABEL_LENGTH = 40

Place = tuple[str, str, int, int]
"""Model, prompt, and the half-open character offsets."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A labelled span: half-open character offsets of the response, and the text that stood there.

    `detector` names the detector whose candidate it confirms or overrides, several parted by commas; it is empty where
    the mark is a person's own. `score` is that candidate's, where there is one. `time` is in seconds since the epoch.
    """

    model: str
    prompt_id: str
    start: int
    end: int
    text: str
    label: str = "hallucinated"
    by: str = ""
    time: float = 0.0
    note: str = ""
    detector: str = ""
    score: float | None = None

    @property
    def key(self) -> Place:
        return self.model, self.prompt_id, self.start, self.end

    @property
    def flagged(self) -> bool:
        """Whether the mark says that the span is not to be trusted."""
        return self.label in FLAGGED

    def stands_in(self, response: str) -> bool:
        """Whether the text that was marked still stands at its offsets."""
        return response[self.start : self.end] == self.text and bool(self.text)


@dataclass(frozen=True, slots=True)
class Change:
    """What stood at a place before and after an act."""

    before: Mark | None
    after: Mark | None


_NAMES = tuple(field.name for field in fields(Mark))


@dataclass(frozen=True, slots=True)
class _Line:
    mark: Mark
    removed: bool
    undo: bool
    act: str


def read_marks(path: Path) -> dict[Place, Mark]:
    """The marks that stand, by place, in the order in which they were put.

    Lines that can't be read, such as a torn last one, are passed over. Raises UserError where the file can't be.
    """
    return _standing(_acts(path))


def marks_stamp(path: Path) -> tuple[int, int] | None:
    """Changes whenever marks are added, by this process or another; None where there are none yet."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    # The time alone stands still for some milliseconds; the file only grows.
    return stat.st_size, stat.st_mtime_ns


def append_mark(path: Path, mark: Mark, *, removed: bool = False) -> None:
    """Adds a mark, or takes one away, signed and dated where it is not yet."""
    append_marks(path, [mark], removed=removed)


def append_marks(path: Path, marks: Sequence[Mark], *, removed: bool = False) -> None:
    """Adds marks, or takes them away, in one act.

    Raises OSError where they could not be written whole, and UserError where a text is not Unicode.
    """
    # Imported where it is needed, as below: screens that only read marks start without.
    import secrets

    act = {"act": secrets.token_hex(6)} if len(marks) > 1 else {}
    _append(path, [{**_signed(mark), **act, **({"removed": True} if removed else {})} for mark in marks])


def undo(path: Path) -> tuple[Change, ...]:
    """Takes the newest act back by appending to the file; returns what it changed, nothing where nothing is left.

    Raises UserError where the file can't be read, and OSError where it can't be written.
    """
    acts = _acts(path)
    if not acts:
        return ()
    act = acts[-1].act
    kept = len(acts) - 1
    while act and kept and acts[kept - 1].act == act:
        kept -= 1
    before, now = _standing(acts[:kept]), _standing(acts)
    lines, changes = [], []
    for line in reversed(acts[kept:]):
        restored = before.get(line.mark.key)
        changes.append(Change(now.get(line.mark.key), restored))
        # Whoever knows no undo reads the same state: the mark that stood before, or none.
        lines.append(_signed(restored or line.mark) | ({} if restored else {"removed": True}) | {"undo": True})
    _append(path, lines)
    return tuple(changes)


def labels_of(marks: Iterable[Mark]) -> tuple[str, ...]:
    """LABELS, then the users' own labels among the marks, in the order in which they turn up."""
    return tuple(dict.fromkeys((*LABELS, *(mark.label for mark in marks))))


def check_label(text: str) -> str:
    """A label without the space around it. Raises UserError for one that is empty, too long or no plain line."""
    label = text.strip()
    if not label or len(label) > LABEL_LENGTH or not label.isprintable():
        raise UserError(f"label {text[:60]!r}: expected one line of 1 to {LABEL_LENGTH} characters", code=2)
    return label


def mark_line(mark: Mark) -> dict[str, Any]:
    """A mark as a JSON object of the marks file; `note`, `detector` and `score` only where there are some."""
    line = {"v": VERSION, **asdict(mark)}
    return {name: value for name, value in line.items() if name not in _OPTIONAL or value not in ("", None)}


_OPTIONAL = ("note", "detector", "score")


def mark_of(line: Any) -> Mark | None:
    """The mark in a JSON object of the marks file; None where it says nothing usable. Unknown keys are passed over."""
    if not isinstance(line, dict) or line.get("v", VERSION) != VERSION:
        return None
    told = {name: line[name] for name in _NAMES if name in line}
    if not {"model", "prompt_id", "start", "end", "text"} <= told.keys():
        return None
    mark = Mark(**told)
    texts = (mark.model, mark.prompt_id, mark.text, mark.label, mark.by, mark.note, mark.detector)
    usable = (
        all(isinstance(text, str) for text in texts)
        and type(mark.start) is int
        and type(mark.end) is int
        and 0 <= mark.start < mark.end
        and _finite(mark.time)
        and (mark.score is None or _finite(mark.score))
    )
    return mark if usable else None


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _signed(mark: Mark) -> dict[str, Any]:
    from itaudit.data.edits import user_name

    return mark_line(mark) | {"by": mark.by or user_name(), "time": mark.time or time.time()}


def _append(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    if not lines:
        return
    try:
        content = b"\n".join(map(orjson.dumps, lines))
    except orjson.JSONEncodeError:
        # A shell hands on bytes that are no UTF-8.
        raise UserError(f"{path}: a note, name or text of a mark is not Unicode; write it in UTF-8", code=2) from None
    # One write, so that an act is there whole or not at all.
    atomic.append_line(path, content)


def _acts(path: Path) -> list[_Line]:
    """The lines of the file that count, in order, without those that were undone."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path}: can't read the marks: {error.strerror}") from None
    acts: list[_Line] = []
    for line in map(_line, content.split(b"\n")):
        if line is None:
            continue
        if line.undo:
            newest = next((n for n in reversed(range(len(acts))) if acts[n].mark.key == line.mark.key), None)
            if newest is not None:
                del acts[newest]
                continue
        acts.append(line)
    return acts


def _line(content: bytes) -> _Line | None:
    try:
        told = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    mark = mark_of(told)
    if mark is None:
        return None
    act = told.get("act")
    return _Line(mark, bool(told.get("removed")), bool(told.get("undo")), act if isinstance(act, str) else "")


def _standing(acts: Iterable[_Line]) -> dict[Place, Mark]:
    marks: dict[Place, Mark] = {}
    for line in acts:
        # Taken out first, so that the newest stands last.
        marks.pop(line.mark.key, None)
        if not line.removed:
            marks[line.mark.key] = line.mark
    return marks
