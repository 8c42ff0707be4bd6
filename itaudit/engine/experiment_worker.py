"""The experiment worker: one process that carries out the runs of an experiment, in order, each from where it stopped.

`python -m itaudit.engine.experiment_worker FOLDER`. Exit code 0 done, 1 failed, 3 cancelled. A run that fails is told,
and the others go on. What a run prints stands in its own log.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from itaudit.engine import device as devices
from itaudit.engine.heart import Cancelled
from itaudit.engine.job import Job, carry_out, work_in_folder
from itaudit.engine.models import find_model
from itaudit.engine.worker import finished, plan, work_on
from itaudit.errors import UserError
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.jobs import begun
from itaudit.experiments.sharing import take_over
from itaudit.experiments.spec import Planned
from itaudit.runs.lineage import Shared
from itaudit.runs.run import Run
from itaudit.style.fill import fill_style
from itaudit.units import duration_text

_LOOK_SECONDS = 1.0


class ExperimentJob(Job):
    """What a worker says of an experiment: the run at work, and what each failed run died of."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment.status_path)
        self.run = ""
        self.done: list[str] = []
        self.failed: dict[str, str] = {}
        self.total = len(experiment.spec.runs)

    def progress(self) -> dict[str, Any]:
        told = {"run": self.run, "done": len(self.done), "total": self.total}
        return told | {"runs_done": list(self.done), "failed": dict(self.failed)}


def work_on_experiment(experiment: Experiment) -> int:
    """Carries out an experiment and says in its status how it ended; returns the exit code."""
    job = ExperimentJob(experiment)
    return carry_out(job, lambda: _work(experiment, job))


def _work(experiment: Experiment, job: ExperimentJob) -> None:
    """All runs that are not done yet. Raises UserError at the end where any of them failed."""
    for planned in experiment.spec.runs:
        job.check()
        job.run = planned.name
        job.tell()
        try:
            _carry_out_run(experiment, planned, job)
        except UserError as error:
            job.failed[planned.name] = str(error)
            _say(f"{planned.name}: failed: {error}")
        else:
            job.done.append(planned.name)
    job.run = ""
    if job.failed:
        first = next(iter(job.failed))
        told = f"{len(job.failed)} of {job.total} runs failed, first {first}: {job.failed[first]}"
        raise UserError(told)


def _carry_out_run(experiment: Experiment, planned: Planned, job: ExperimentJob) -> None:
    """One run from where it stopped to its end. Raises UserError where it fails, and Cancelled."""
    run = begun(experiment, planned)
    if run.state().job != "done" or not all(finished(run, *stage) for stage in plan(run.recipe)):
        _work_on_run(experiment, run, job)
    for label in run.labels:
        # No stage of the run, since it asks no model and others fill it too; who reads the tables need not wait.
        fill_style(run, label, job.check)


def _work_on_run(experiment: Experiment, run: Run, job: ExperimentJob) -> None:
    _wait_for_others(run, job)
    started = time.monotonic()
    if told := _take_over(experiment, run):
        _say(f"{run.name}: {told}")
    _say(f"{run.name}: at work")
    with _output_to(run.log_path):
        code = work_on(run)
    devices.release_memory(devices.choose_device(run.recipe.device))
    if code == 3:
        raise Cancelled
    if code:
        raise UserError(run.state().error or f"its worker ended with {code}; see {run.log_path}")
    _say(f"{run.name}: done in {duration_text(time.monotonic() - started)}")


def _take_over(experiment: Experiment, run: Run) -> str:
    base = run.recipe.base
    try:
        device = devices.device_name(devices.choose_device(run.recipe.device))
        found = find_model(base.model, revision=base.revision, code=base.trust_remote_code)
    except UserError:
        # The run's own worker says so, where whoever looks at the run sees it.
        return ""
    try:
        return take_over(experiment, run, Shared(device, str(found.path)))
    except OSError as error:
        raise UserError(f"{run.path}: can't take over what other runs have: {error.strerror}") from None


def _wait_for_others(run: Run, job: ExperimentJob) -> None:
    """Waits while a worker of its own, which somebody started, is at work on a run."""
    while True:
        status = run.status()
        busy = status is not None and status.state in ("queued", "running") and status.pid != os.getpid()
        if not (busy and status is not None and status.alive(time.time())):
            job.wait_for("")
            return
        job.wait_for(f"the worker of {run.name} (pid {status.pid})")
        job.check()
        time.sleep(_LOOK_SECONDS)


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Sends what this process and those that it starts print to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    try:
        with log.open("ab") as file:
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, before in zip((1, 2), kept, strict=True):
            os.dup2(before, descriptor)
            os.close(before)


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    return work_in_folder("itaudit.engine.experiment_worker", arguments, Experiment, work_on_experiment)


if __name__ == "__main__":
    sys.exit(main())
