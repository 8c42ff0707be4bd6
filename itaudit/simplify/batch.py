"""A batch: simplification of many instances as a background job, and the queue of proposals that it leaves."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import regex

from itaudit.data.edited import EditedDataset
from itaudit.data.instance import Instance
from itaudit.errors import UserError
from itaudit.runs import jobs
from itaudit.runs.status import last_word, read_status
from itaudit.runs.worker_log import log_tail
from itaudit.simplify.batch_files import (
    Entry,
    ProposalFile,
    Rejection,
    Task,
    append_rejection,
    read_rejections,
    read_task,
    write_settings,
    write_task,
)
from itaudit.simplify.prompts import filled, read_prompt
from itaudit.simplify.proposal import Proposal
from itaudit.simplify.settings import Settings

BatchState = Literal["new", "queued", "running", "done", "failed", "cancelled"]

_NAME = regex.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SAMPLE = 2000
CHARACTERS_PER_TOKEN = 4.0
"""Of English text, as the estimate reckons; a server counts by its own tokenizer."""


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """How far a batch is. Counts are of instances; `seconds_left` is None where nothing can be said yet.

    `problems` are instances without a proposal. `error` is one line on why the job failed.
    """

    state: BatchState
    done: int
    total: int
    passed: int
    problems: int
    rate: float | None = None
    seconds_left: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""
    waiting_for: str = ""

    @property
    def at_work(self) -> bool:
        return self.state in ("queued", "running")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A proposal that waits for a decision. `stale` tells that its instance says something else by now."""

    position: int
    entry: Entry
    stale: bool


class Batch:
    """The folder of one batch, beside the dataset's edits."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError where the folder is no batch."""
        self.folder = folder
        self.task = read_task(folder)
        self._file = ProposalFile(folder / "proposals.jsonl")

    @classmethod
    def create(
        cls,
        edited: EditedDataset,
        positions: Sequence[int],
        settings: Settings,
        name: str = "",
        *,
        filter: str = "",
    ) -> "Batch":
        """A batch of the instances at `positions` as their edits leave them; empty responses and deleted are left out.

        Without a name it gets the next free one. Raises UserError for a name that is taken or no file name, for
        settings that can't work, and where there is nothing to simplify.
        """
        settings.require_engine("config.toml")
        parent = batches_folder(edited)
        name = name or free_name(parent, settings)
        if not _NAME.fullmatch(name):
            raise UserError(f"{name!r} can't name a batch; use up to 64 of A-Z, a-z, 0-9, . _ and -", code=2)
        folder = parent / name
        if (folder / "batch.json").exists():
            raise UserError(f"{folder}: there is such a batch; give another name, or go on with that one", code=2)
        instances = list(_simplifiable(edited, positions))
        if not instances:
            raise UserError("there is nothing to simplify: no instance that is chosen has a response", code=2)
        task = Task(
            name=name,
            source=edited.source.path,
            filter=filter,
            total=len(instances),
            created=time.time(),
            settings=settings,
            prompt="" if settings.engine == "extractive" else read_prompt(settings.prompt),
        )
        write_task(folder, task, instances)
        return cls(folder)

    def resettle(self, settings: Settings, prompt: str) -> None:
        """Takes other settings that change no proposal: another address of the server, other limits.

        Raises UserError where they would, since a batch is the work of one engine.
        """
        ours, theirs = identity(self.task.settings, self.task.prompt), identity(settings, prompt)
        for key, value in ours.items():
            if theirs[key] != value:
                raise UserError(f"{self.folder}: was made with another {key}; give this one another --name", code=2)
        if settings != self.task.settings:
            self.task = replace(self.task, settings=settings)
            write_settings(self.folder, self.task)

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def proposals_path(self) -> Path:
        return self.folder / "proposals.jsonl"

    @property
    def status_path(self) -> Path:
        return self.folder / "status.json"

    @property
    def log_path(self) -> Path:
        return self.folder / "worker.log"

    def start(self) -> int:
        """Starts a detached worker, which goes on where another one stopped; returns its pid.

        Raises UserError where one is at work already.
        """
        worker = ["itaudit.engine.batch_worker", str(self.folder), "--announced"]
        return jobs.launch(worker, folder=self.folder, log=self.log_path, status=self.status_path)

    def cancel(self) -> None:
        """Asks the worker to save what it has and stop. Raises UserError where none is at work."""
        jobs.stop(self.folder, read_status(self.status_path))

    def refresh(self) -> int:
        """Reads the proposals that came since; returns how many."""
        return self._file.refresh()

    @property
    def read(self) -> int:
        """Changes whenever proposals were read, by whoever asked for them."""
        return self._file.offset

    @property
    def entries(self) -> dict[int, Entry]:
        """What is known of each proposal that was read, by the row of the source; `refresh` reads on."""
        return self._file.entries

    def proposal(self, index: int) -> Proposal:
        """The proposal for a row of the source. Raises KeyError where there is none."""
        return self._file.proposal(index)

    def proposals(self) -> Iterator[Proposal]:
        """All proposals so far, in the order in which they came."""
        self.refresh()
        for index in list(self.entries):
            yield self.proposal(index)

    def status(self) -> BatchStatus:
        """How far the batch is, by its files; a worker that died without a word reads as failed."""
        # The status first: a worker that ends in between has written its last proposal before.
        told, died = last_word(self.status_path)
        self.refresh()
        entries = self.entries.values()
        problems = sum(1 for entry in entries if entry.problem)
        counts = (len(entries) - problems, self.task.total, sum(1 for entry in entries if entry.passes), problems)
        if told is None:
            return BatchStatus("done" if counts[0] >= counts[1] else "new", *counts)
        state, error = told.state, told.error
        if died:
            state = "failed"
            error = " ".join(log_tail(self.log_path, 1)).strip() or "the worker died without a word"
        progress = told.stages[0] if told.stages else {}
        rate = progress.get("rate") if state == "running" else None
        return BatchStatus(
            state if state in ("queued", "running", "done", "failed", "cancelled") else "failed",  # type: ignore[arg-type]  # one of them
            *counts,
            rate=rate,
            seconds_left=(counts[1] - counts[0]) / rate if rate else None,
            prompt_tokens=sum(entry.prompt_tokens for entry in entries),
            completion_tokens=sum(entry.completion_tokens for entry in entries),
            error=error,
            waiting_for=progress.get("waiting_for", "") if state == "queued" else "",
        )

    def log_tail(self, lines: int = 20) -> list[str]:
        """The last lines of the worker's output."""
        return log_tail(self.log_path, lines)

    @property
    def engine(self) -> str:
        """What makes the proposals, as those that were read name it: the server tells a model that nobody named."""
        return next((entry.engine for entry in self.entries.values()), self.task.settings.engine_label)

    def key(self, index: int) -> str:
        """What an edit names as the proposal that it accepted: `BATCH/ID`."""
        return f"{self.name}/{self.entries[index].id}"

    def accept(self, edited: EditedDataset, position: int, after: str | None = None) -> bool:
        """Accepts the proposal for the instance at a position, or the user's version of it, as an edit.

        False where it changes nothing. Raises UserError where the instance says something else than when it was
        simplified, where the proposal was accepted already, and where the edit can't be written.
        """
        row = edited.row(position)
        proposal = self.proposal(row.source.index)
        if proposal.problem:
            raise UserError(f"row {row.source.index}: there is no proposal to accept: {proposal.problem}")
        if row.instance.response != proposal.before:
            raise UserError(f"row {row.source.index}: its response was changed since; simplify it again")
        text = proposal.after if after is None else after
        checks = proposal.checks if text == proposal.after else None
        made = edited.edit(
            position,
            {"response": text},
            by=proposal.engine if checks is not None else "hand",
            proposal=self.key(row.source.index),
            checks=checks.to_json() if checks is not None else None,
        )
        return made is not None

    def reject(self, index: int) -> None:
        """Turns a proposal down; it leaves the queue."""
        append_rejection(self._rejected_path, Rejection(index, True, time.time()))

    def restore(self, index: int) -> None:
        """Takes a rejection back."""
        append_rejection(self._rejected_path, Rejection(index, False, time.time()))

    @property
    def _rejected_path(self) -> Path:
        return self.folder / "decisions.jsonl"

    def rejected(self) -> set[int]:
        """The rows whose proposals are turned down."""
        return read_rejections(self._rejected_path)

    def undecided(self, edited: EditedDataset) -> list[Waiting]:
        """The proposals that are neither accepted nor rejected, the gravest first; those that change nothing are not
        asked about, and neither are those of instances that are deleted."""
        self.refresh()
        rejected = self.rejected()
        waiting: list[Waiting] = []
        for index, entry in self.entries.items():
            if index in rejected or entry.problem or entry.unchanged:
                continue
            try:
                position = edited.source.position(index)
            except KeyError:
                # The source changed, and this row went.
                continue
            row = edited.row(position)
            if row.deleted or any(edit.proposal == self.key(index) for edit in row.edits):
                continue
            stale = hash(row.instance.response or "") != entry.before
            waiting.append(Waiting(position, entry, stale))
        return sorted(waiting, key=lambda one: (-one.entry.severity, one.entry.index))


def identity(settings: Settings, prompt: str) -> dict[str, object]:
    """What settles which proposals an engine makes, by the key that a user would change."""
    made: dict[str, object] = {"engine": settings.engine, "simplify.kept": settings.kept}
    if settings.engine == "local":
        chosen = settings.local.model_dump(include={"model", "revision", "dtype", "template", "max_new_tokens"})
        made |= {f"simplify.local.{key}": value for key, value in chosen.items()} | {"prompt": prompt}
    if settings.engine == "endpoint":
        asked = settings.endpoint.model_dump(include={"model", "max_tokens", "temperature", "extra"})
        made |= {f"simplify.endpoint.{key}": value for key, value in asked.items()} | {"prompt": prompt}
    return made


def _simplifiable(edited: EditedDataset, positions: Sequence[int]) -> Iterator[Instance]:
    for position in positions:
        row = edited.row(position)
        if not row.deleted and row.instance.response and row.instance.response.strip():
            yield row.instance


def batches_folder(edited: EditedDataset) -> Path:
    """Where the batches of a dataset stand."""
    return edited.overlay.folder / "batches"


def batches(edited: EditedDataset) -> list[Batch]:
    """The batches of a dataset, the newest first; folders that are none are passed over."""
    parent = batches_folder(edited)
    found = []
    for path in parent.glob("*/batch.json"):
        with suppress(UserError):
            found.append(Batch(path.parent))
    return sorted(found, key=lambda batch: -batch.task.created)


def free_name(parent: Path, settings: Settings) -> str:
    """A name for the next batch: the engine, the model and a number."""
    model = {"local": settings.local.model, "endpoint": settings.endpoint.model}.get(settings.engine, "")
    stem = regex.sub(r"[^A-Za-z0-9._]+", "-", f"{settings.engine}-{Path(model).name}").strip("-.")[:56]
    number = 1
    while (parent / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a batch will ask for. Tokens are reckoned from characters; `price` is None where no price is set."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    price: float | None


def estimate(edited: EditedDataset, positions: Sequence[int], settings: Settings) -> Estimate:
    """How much a batch will take at most: of many instances, an evenly spaced sample is read.

    A proposal is reckoned as long as the response, since the checks stop longer ones. The extractive engine asks
    nobody for anything.
    """
    stride = max(1, len(positions) // _SAMPLE)
    sample = list(_simplifiable(edited, positions[::stride]))
    share = len(positions) / max(1, len(positions[::stride]))
    requests = round(len(sample) * share)
    if settings.engine == "extractive":
        return Estimate(requests, 0, 0, 0.0)
    prompt = read_prompt(settings.prompt)
    limit = settings.endpoint.max_tokens if settings.engine == "endpoint" else settings.local.max_new_tokens
    read = sum(len(filled(prompt, instance)) for instance in sample) / CHARACTERS_PER_TOKEN
    written = sum(min(limit, len(instance.response or "") / CHARACTERS_PER_TOKEN) for instance in sample)
    prompt_tokens, completion_tokens = round(read * share), round(written * share)
    prices = settings.endpoint.price_input, settings.endpoint.price_output
    if settings.engine == "local":
        return Estimate(requests, prompt_tokens, completion_tokens, 0.0)
    if prices[0] is None or prices[1] is None:
        return Estimate(requests, prompt_tokens, completion_tokens, None)
    price = (prompt_tokens * prices[0] + completion_tokens * prices[1]) / 1e6
    return Estimate(requests, prompt_tokens, completion_tokens, price)
