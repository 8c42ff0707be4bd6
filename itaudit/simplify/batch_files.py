"""The folder of a batch job: what was asked, the instances, the proposals as they come, and what was rejected.

`batch.json` holds the task with all settings (never a key), `instances.jsonl` the instances as they were, so that a
job depends on nothing that changes. `proposals.jsonl` only grows, a line a proposal; a torn line, left by a crash, is
passed over. Where an instance has two, the first had a problem, and the second counts.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from itaudit import atomic
from itaudit.data.instance import Instance
from itaudit.errors import UserError
from itaudit.simplify.proposal import Proposal, instance_from_json, instance_to_json
from itaudit.simplify.settings import Settings, settings_of

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Task:
    """What a batch was asked to do. `filter` is the text of the filter, for people; `total` counts the instances."""

    name: str
    source: str
    filter: str
    total: int
    created: float
    settings: Settings
    prompt: str

    def to_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in self.__slots__}
        return {"v": _VERSION, **told, "settings": self.settings.model_dump()}


def write_task(folder: Path, task: Task, instances: Iterable[Instance]) -> None:
    """Makes the folder of a batch. Its `batch.json` comes last: a folder without one is no batch."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(folder / "instances.jsonl") as file:
            for instance in instances:
                file.write(orjson.dumps(instance_to_json(instance)) + b"\n")
    except OSError as error:
        raise UserError(f"{folder}: can't write the batch: {error.strerror}") from None
    write_settings(folder, task)


def write_settings(folder: Path, task: Task) -> None:
    """Replaces `batch.json`, after its settings changed."""
    try:
        atomic.write_bytes(folder / "batch.json", orjson.dumps(task.to_json(), option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise UserError(f"{folder}: can't write the batch: {error.strerror}") from None


def read_task(folder: Path) -> Task:
    """The task of a batch. Raises UserError where the folder is none, or was made by another version."""
    path = folder / "batch.json"
    try:
        told = orjson.loads(path.read_bytes())
        if told["v"] != _VERSION:
            raise UserError(f"{path}: was made by another version of itaudit; start the batch again")
        fields = {name: told[name] for name in Task.__slots__}
        return Task(**fields | {"settings": settings_of(told["settings"], str(path))})
    except OSError as error:
        raise UserError(f"{folder}: is no batch: {error.strerror}") from None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise UserError(f"{path}: can't be read as a batch; start it again") from None


def read_instances(folder: Path) -> Iterator[Instance]:
    """The instances of a batch, in order."""
    path = folder / "instances.jsonl"
    try:
        with path.open("rb") as file:
            for line in file:
                yield instance_from_json(orjson.loads(line))
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: can't read the instances: {error}; start the batch again") from None


@dataclass(frozen=True, slots=True)
class Entry:
    """What lists need of a proposal; the proposal itself is `length` bytes at `offset` of the file.

    `before` is Python's hash of the response that it is for.
    """

    id: str
    index: int
    offset: int
    length: int
    engine: str
    before: int
    severity: float
    passes: bool
    unchanged: bool
    problem: str
    reasons: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int


class ProposalFile:
    """The growing file of proposals, read on from where the last look ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[int, Entry] = {}
        self.offset = 0
        """How many bytes were read; what was read is told apart by it."""

    def refresh(self) -> int:
        """Reads what was appended since; returns how many lines that was. Raises UserError where it can't be read."""
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self.offset:
                    # Somebody made the batch anew.
                    self.entries, self.offset = {}, 0
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise UserError(f"{self.path}: can't read the proposals: {error.strerror}") from None
        read, end = 0, data.rfind(b"\n") + 1
        for line in data[:end].splitlines(keepends=True):
            entry = _entry(line, self.offset)
            self.offset += len(line)
            if entry is not None:
                self.entries[entry.index] = entry
                read += 1
        return read

    def proposal(self, index: int) -> Proposal:
        """The proposal for a row of the source. Raises KeyError where there is none."""
        entry = self.entries[index]
        with self.path.open("rb") as file:
            file.seek(entry.offset)
            return Proposal.from_json(orjson.loads(file.read(entry.length)))


def _entry(line: bytes, offset: int) -> Entry | None:
    try:
        proposal = Proposal.from_json(orjson.loads(line))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return Entry(
        id=proposal.id,
        index=proposal.index,
        offset=offset,
        length=len(line),
        engine=proposal.engine,
        before=hash(proposal.before),
        severity=proposal.severity,
        passes=proposal.passes,
        unchanged=proposal.checks is not None and proposal.checks.unchanged,
        problem=proposal.problem,
        reasons=tuple(proposal.reasons),
        prompt_tokens=proposal.prompt_tokens,
        completion_tokens=proposal.completion_tokens,
    )


def append_proposals(path: Path, proposals: Iterable[Proposal]) -> None:
    """Puts proposals on the disk, to stay."""
    lines = b"\n".join(orjson.dumps(proposal.to_json()) for proposal in proposals)
    if lines:
        atomic.append_line(path, lines, sync=True)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A proposal that the user turned down, or took up again where `rejected` is false."""

    index: int
    rejected: bool
    time: float


def append_rejection(path: Path, rejection: Rejection) -> None:
    """Puts a decision on the disk. Raises UserError where it can't be written."""
    try:
        atomic.append_line(path, orjson.dumps(asdict(rejection)), sync=True)
    except OSError as error:
        raise UserError(f"{path}: can't write the decision: {error.strerror}; nothing was changed") from None


def read_rejections(path: Path) -> set[int]:
    """The rows whose proposals are turned down."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise UserError(f"{path}: can't read the decisions: {error.strerror}") from None
    found: dict[int, bool] = {}
    for line in lines:
        try:
            rejection = Rejection(**orjson.loads(line))
        except (orjson.JSONDecodeError, TypeError):
            continue
        found[rejection.index] = rejection.rejected
    return {index for index, rejected in found.items() if rejected}
