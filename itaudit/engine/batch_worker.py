"""The batch worker: one process that simplifies the instances of one batch, those that are not done yet.

`python -m itaudit.engine.batch_worker FOLDER`. Exit code 0 done, 1 failed, 3 cancelled. Every proposal is on the disk
before it counts as done; one worker at a time works on a batch.
"""

import asyncio
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Self

import filelock
import psutil

from itaudit.data.instance import Instance
from itaudit.engine.device_lock import held_device
from itaudit.engine.heart import Cancelled, Heart
from itaudit.errors import UserError
from itaudit.runs.status import Status, read_status
from itaudit.simplify.batch_files import ProposalFile, Task, append_proposals, read_instances, read_task
from itaudit.simplify.proposal import Proposal, extracted, failed
from itaudit.simplify.readability import load_dictionary

HEARTBEAT_SECONDS = 0.5
"""How often the status is renewed; a batch of short work shows its progress by it."""
_ANNOUNCED_WITHIN = 10.0
_WRITE_SECONDS = 0.2
"""Proposals that cost nothing are written so often, not one by one: each write waits for the disk."""


class Job:
    """What a worker does and says: proposals appended, its status with a heartbeat, and whether to stop."""

    def __init__(self, folder: Path, task: Task) -> None:
        self.folder = folder
        self.task = task
        self.state = "running"
        self.error = ""
        self.waiting_for = ""
        self._file = ProposalFile(folder / "proposals.jsonl")
        self._file.refresh()
        self.finished = {entry.index for entry in self._file.entries.values() if not entry.problem}
        self._started, self._made = time.time(), 0
        self._first = 0.0
        self._lock = threading.Lock()
        self._heart = Heart(self.tell, HEARTBEAT_SECONDS)

    def __enter__(self) -> Self:
        self._heart.__enter__()
        self.tell()
        return self

    def __exit__(self, *told: object) -> None:
        self._heart.__exit__(*told)
        with suppress(OSError):
            self.tell()

    @property
    def cancelled(self) -> bool:
        return self._heart.cancelled

    def check(self) -> None:
        """Raises Cancelled where the user asked to stop."""
        self._heart.check()

    def remaining(self) -> Iterator[Instance]:
        """The instances that have no proposal yet, in order."""
        return (instance for instance in read_instances(self.folder) if instance.index not in self.finished)

    def wait_for(self, device: str) -> None:
        """Another job has the device."""
        self.waiting_for = device

    def begin(self) -> None:
        """The engine is there; what it makes from now on is what the rate is of."""
        self._first, self.waiting_for = time.monotonic(), ""

    def add(self, proposals: Sequence[Proposal]) -> None:
        """Saves proposals. Raises UserError where the disk does not take them."""
        try:
            append_proposals(self._file.path, proposals)
        except OSError as error:
            raise UserError(f"{self._file.path}: can't write the proposals: {error.strerror}") from None
        done = [proposal.index for proposal in proposals if not proposal.problem]
        self.finished.update(done)
        self._made += len(done)

    def tell(self) -> None:
        """Writes the status."""
        spent = time.monotonic() - self._first
        progress: dict[str, Any] = {"stage": "simplify", "done": len(self.finished), "total": self.task.total}
        progress["rate"] = self._made / spent if self._first and self._made and spent > 0 else None
        progress["waiting_for"] = self.waiting_for
        with self._lock:
            Status(
                state="queued" if self.waiting_for and self.state == "running" else self.state,
                pid=os.getpid(),
                pid_started=psutil.Process().create_time(),
                host=socket.gethostname(),
                started=self._started,
                heartbeat=time.time(),
                stages=[progress],
                error=self.error,
            ).write(self.folder / "status.json")


def simplify_extractive(job: Job) -> None:
    """Proposals by rules."""
    job.begin()
    held: list[Proposal] = []
    written = time.monotonic()
    for instance in job.remaining():
        held.append(extracted(instance, threshold=job.task.settings.kept))
        if job.cancelled or time.monotonic() - written > _WRITE_SECONDS:
            job.add(held)
            held, written = [], time.monotonic()
            job.check()
    job.add(held)


def simplify_local(job: Job) -> None:
    """Proposals by a model in this process, while no other job has the device."""
    # The other engines need none of these libraries, and start two seconds sooner.
    from itaudit.engine.device import choose_device
    from itaudit.engine.local_proposals import LocalProposals

    settings = job.task.settings
    with held_device(choose_device(settings.local.device), waiting=job.wait_for, check=job.check):
        job.waiting_for = ""
        model = LocalProposals(settings, job.task.prompt)
        job.check()
        job.begin()
        remaining = job.remaining()
        while instances := list(islice(remaining, settings.local.batch_size)):
            job.add(model.propose(instances))
            job.check()


async def simplify_by_server(job: Job) -> None:
    """Proposals by a server, as many at once as the settings allow.

    What the server could not answer stays undone, for a resume; it stops the job where nothing gets through.
    """
    from itaudit.engine.endpoint import EndpointError
    from itaudit.engine.endpoint_proposals import EndpointProposals

    engine = EndpointProposals(job.task.settings, job.task.prompt)
    limit = job.task.settings.endpoint.concurrency
    patience = max(5, 2 * limit)
    remaining = job.remaining()
    failures, undone, last = 0, 0, ""
    # Later it would keep answers waiting that came in time.
    load_dictionary()

    async def work() -> None:
        nonlocal failures, undone, last
        for instance in remaining:
            try:
                job.add([await engine.propose(instance)])
                failures = 0
            except EndpointError as error:
                failures, last = failures + 1, str(error)
                if error.kind == "answer":
                    job.add([failed(instance, engine.label, last)])
                else:
                    undone += 1
                if error.kind == "fatal" or failures >= patience:
                    raise

    async with engine.endpoint as endpoint:
        try:
            await endpoint.find_model()
            job.begin()
            await _while_wanted(job, [asyncio.create_task(work()) for _ in range(limit)])
        except EndpointError as error:
            raise UserError(str(error)) from None
    if undone:
        raise UserError(f"{undone} of {job.task.total} have no answer, and a resume asks for them again: {last}")


async def _while_wanted(job: Job, workers: Sequence["asyncio.Task[None]"]) -> None:
    """Waits for the workers; stops them when one fails, or when the user asks for it."""
    pending = set(workers)
    try:
        while pending:
            done, pending = await asyncio.wait(pending, timeout=0.1, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()
            job.check()
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def work_on(job: Job) -> int:
    """Carries out a batch and says in its status how it ended; returns the exit code."""
    with job:
        try:
            if job.task.settings.engine == "extractive":
                simplify_extractive(job)
            elif job.task.settings.engine == "local":
                simplify_local(job)
            else:
                asyncio.run(simplify_by_server(job))
        except Cancelled:
            job.state = "cancelled"
            return 3
        except UserError as error:
            job.state, job.error = "failed", str(error)
            print(f"error: {error}", file=sys.stderr)
            return 1
        except Exception as error:  # noqa: BLE001  # whatever broke, the batch must say so instead of looking at work
            traceback.print_exc()
            told = str(error).splitlines()[0] if str(error) else ""
            job.state, job.error = "failed", f"{type(error).__name__}: {told}"
            return 1
        job.state = "done"
        return 0


def _await_announcement(folder: Path) -> None:
    """Waits until whoever started us has said so, or their words would replace our first."""
    until = time.monotonic() + _ANNOUNCED_WITHIN
    while time.monotonic() < until:
        told = read_status(folder / "status.json")
        if told is not None and told.pid == os.getpid():
            return
        time.sleep(0.01)


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    if len(arguments) not in (1, 2) or arguments[1:] not in ([], ["--announced"]):
        print("usage: python -m itaudit.engine.batch_worker FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    try:
        task = read_task(folder)
        if len(arguments) == 2:
            _await_announcement(folder)
        with filelock.FileLock(folder / "worker.lock", blocking=False):
            return work_on(Job(folder, task))
    except filelock.Timeout:
        print(f"error: {folder}: another worker is at work on it", file=sys.stderr)
        return 1
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
