"""The batch worker: one process that simplifies the instances of one batch, those that are not done yet.

`python -m itaudit.engine.batch_worker FOLDER`. Exit code 0 done, 1 failed, 3 cancelled. Every proposal is on the disk
before it counts as done; one worker at a time works on a batch.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from itaudit.data.instance import Instance
from itaudit.engine.device_lock import held_device
from itaudit.engine.job import Job, carry_out, work_in_folder
from itaudit.errors import UserError
from itaudit.simplify.batch_files import ProposalFile, Task, append_proposals, read_instances, read_task
from itaudit.simplify.proposal import Proposal, extracted, failed
from itaudit.simplify.readability import load_dictionary
from itaudit.simplify.settings import EngineName

_WRITE_SECONDS = 0.2
"""Proposals that cost nothing are written so often, not one by one: each write waits for the disk."""


class BatchJob(Job):
    """The job of one batch: proposals appended as they come."""

    def __init__(self, folder: Path, task: Task) -> None:
        super().__init__(folder / "status.json")
        self.folder = folder
        self.task = task
        self._file = ProposalFile(folder / "proposals.jsonl")
        self._file.refresh()
        self.finished = {entry.index for entry in self._file.entries.values() if not entry.problem}
        self._made, self._first = 0, 0.0

    def remaining(self) -> Iterator[Instance]:
        """The instances that have no proposal yet, in order."""
        return (instance for instance in read_instances(self.folder) if instance.index not in self.finished)

    def check_engine(self, label: str) -> None:
        """Raises UserError where another engine made the proposals that there are, as a server with another model."""
        for entry in self._file.entries.values():
            if entry.engine != label:
                raise UserError(
                    f"{self.folder}: {entry.engine} has begun it, and the server has {label.partition(':')[2]}; "
                    "start a batch of another --name"
                )

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

    def progress(self) -> dict[str, Any]:
        spent = time.monotonic() - self._first
        rate = self._made / spent if self._first and self._made and spent > 0 else None
        return {"stage": "simplify", "done": len(self.finished), "total": self.task.total, "rate": rate}


def simplify_extractive(job: BatchJob) -> None:
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


def simplify_local(job: BatchJob) -> None:
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


def simplify_by_server(job: BatchJob) -> None:
    """Proposals by a server, as many at once as the settings allow; what it did not answer is left to a resume."""
    from itaudit.engine.by_server import ask_for_each
    from itaudit.engine.endpoint_proposals import EndpointProposals

    engine = EndpointProposals(job.task.settings, job.task.prompt)
    # Later it would keep answers waiting that came in time.
    load_dictionary()

    async def answer(instance: Instance) -> None:
        job.add([await engine.propose(instance)])

    def unusable(instance: Instance, problem: str) -> None:
        job.add([failed(instance, engine.label, problem)])

    def begin() -> None:
        job.check_engine(engine.label)
        job.begin()

    asyncio.run(ask_for_each(engine.endpoint, job.remaining(), answer, unusable=unusable, begin=begin, check=job.check))


_WORK: dict[EngineName, Callable[[BatchJob], None]] = {
    "extractive": simplify_extractive,
    "local": simplify_local,
    "endpoint": simplify_by_server,
}


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    def read(folder: Path) -> tuple[Path, Task]:
        return folder, read_task(folder)

    def work(asked: tuple[Path, Task]) -> int:
        # What is done already is read under the lock, when nobody adds to it any more.
        job = BatchJob(*asked)
        return carry_out(job, lambda: _WORK[job.task.settings.engine](job))

    return work_in_folder("itaudit.engine.batch_worker", arguments, read, work)


if __name__ == "__main__":
    sys.exit(main())
