"""How far an experiment is, told from its files: what every run and cell is doing, and the time that is left."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from itaudit.errors import UserError
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.spec import Planned
from itaudit.runs.run import BASE, Run
from itaudit.runs.state import JobState, RunState, StageState
from itaudit.runs.status import last_word
from itaudit.runs.watch import Watch

CellState = Literal["waiting", "running", "done", "stopped"]
"""`stopped` is a cell that was begun and that nobody works on."""
_STATES: tuple[JobState, ...] = ("queued", "running", "done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class CellProgress:
    """One model of one run. `stage` is the one at work; `stages_done` of `stages`, both 0 before the run is begun."""

    label: str
    state: CellState
    stages_done: int = 0
    stages: int = 0
    stage: StageState | None = None


@dataclass(frozen=True, slots=True)
class RunProgress:
    """One planned run: its job as its files tell it, and its models, the base model first.

    `run` is None and `job` new before it is begun; `error` is one line on why it failed.
    """

    planned: Planned
    run: Run | None
    job: JobState
    cells: tuple[CellProgress, ...]
    state: RunState = field(default_factory=RunState)
    error: str = ""

    @property
    def done(self) -> bool:
        return self.job == "done"


@dataclass(frozen=True, slots=True)
class ExperimentProgress:
    """A whole experiment. `done` and `total` count the tuned models of all runs: the cells of its tables.

    `doing` is what is at work, in words, `seconds_left` None where nothing can be said yet, and `error` one line.
    """

    job: JobState
    runs: tuple[RunProgress, ...]
    done: int
    total: int
    seconds_left: float | None = None
    doing: str = ""
    waiting_for: str = ""
    error: str = ""
    started: float = 0.0

    @property
    def at_work(self) -> bool:
        return self.job in ("queued", "running")

    @property
    def failed(self) -> tuple[RunProgress, ...]:
        return tuple(run for run in self.runs if run.job == "failed")


class ExperimentWatch:
    """Looks at an experiment again and again, and reads only what its runs said since the last look."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self._watches: dict[str, Watch] = {}

    def poll(self) -> ExperimentProgress:
        """How far the experiment is now. Raises UserError where its recipe can't be read."""
        # The status first: a worker that ends in between has told its runs before.
        told = _told(self.experiment)
        runs = tuple(self._run(planned, told) for planned in self.experiment.spec.runs)
        cells = [cell for run in runs for cell in run.cells if cell.label != BASE]
        doing, left = "", None
        if told.at_work:
            doing = next((text for run in runs if (text := _doing(run))), "")
            left = seconds_left(runs, time.time())
        return ExperimentProgress(
            job=told.job,
            runs=runs,
            done=sum(cell.state == "done" for cell in cells),
            total=len(cells),
            seconds_left=left,
            doing=doing,
            waiting_for=told.waiting_for,
            error=told.error,
            started=told.started,
        )

    def _run(self, planned: Planned, told: "_Told") -> RunProgress:
        labels = (BASE, *planned.recipe.models)
        waiting = tuple(CellProgress(label, "waiting") for label in labels)
        failed = told.failed.get(planned.name, "")
        try:
            run = self.experiment.run_of(planned)
            if run is None:
                return RunProgress(planned, None, "failed" if failed else "new", waiting, error=failed)
            watch = self._watches.setdefault(planned.name, Watch(run))
            watch.poll()
        except UserError as error:
            return RunProgress(planned, None, "failed", waiting, error=str(error))
        state, job = watch.state, watch.state.job
        cells = tuple(_cell(label, state, job) for label in labels)
        if failed and job not in ("queued", "running"):
            return RunProgress(planned, run, "failed", cells, state, state.error or failed)
        if told.at_work and job in ("failed", "cancelled"):
            # How it ended before; its turn comes again.
            return RunProgress(planned, run, "queued", cells, state)
        return RunProgress(planned, run, job, cells, state, state.error)


def progress_of(experiment: Experiment) -> ExperimentProgress:
    """How far an experiment is now. Raises UserError where its recipe can't be read."""
    return ExperimentWatch(experiment).poll()


def job_of(experiment: Experiment) -> JobState:
    """The state of an experiment's job; a worker that died without a word reads as failed."""
    return _told(experiment).job


@dataclass(frozen=True, slots=True)
class _Told:
    """What an experiment's worker says of itself; `failed` are the errors of the runs that it saw fail, by name."""

    job: JobState
    error: str = ""
    waiting_for: str = ""
    started: float = 0.0
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def at_work(self) -> bool:
        return self.job in ("queued", "running")


def _told(experiment: Experiment) -> _Told:
    status, died = last_word(experiment.status_path)
    if status is None:
        return _Told("new")
    told = status.stages[0] if status.stages else {}
    failed = told.get("failed")
    errors = {str(name): str(error) for name, error in failed.items()} if isinstance(failed, dict) else {}
    job: JobState = next((state for state in _STATES if state == status.state), "failed")
    if died:
        error = "the worker died without a word; the log may say why, and resuming goes on where it stopped"
        return _Told("failed", error, "", status.started, errors)
    return _Told(job, status.error, str(told.get("waiting_for", "")), status.started, errors)


def _cell(label: str, state: RunState, job: JobState) -> CellProgress:
    stages = [stage for stage in state.stages.values() if stage.model == label]
    done = sum(stage.state == "done" for stage in stages)
    current = next((stage for stage in stages if stage.state == "running"), None)
    if stages and done == len(stages):
        return CellProgress(label, "done", done, len(stages))
    if current is not None and job in ("queued", "running"):
        return CellProgress(label, "running", done, len(stages), current)
    begun = done or any(stage.done for stage in stages)
    # Between two stages of one cell nothing runs for a moment.
    resting: CellState = "running" if begun and job == "running" else "stopped" if begun else "waiting"
    return CellProgress(label, resting, done, len(stages))


def _doing(run: RunProgress) -> str:
    """What a run is at, in words; empty where it is not at work."""
    if run.job not in ("queued", "running"):
        return ""
    if run.state.waiting_for:
        return f"{run.planned.name} waits for {run.state.waiting_for}"
    stage = run.state.current
    return f"{run.planned.name}: {_stage_words(stage)}" if stage else run.planned.name


def _stage_words(stage: StageState) -> str:
    counted = f" {stage.done}/{stage.total}" if stage.total else ""
    return f"{stage.stage} {stage.model}".strip() + counted


def seconds_left(runs: Sequence[RunProgress], now: float) -> float | None:
    """Estimated seconds to the end of all runs; None before every kind of model was once seen to its end.

    A stage that waits takes as long as the same stage of the same label took elsewhere; tuning, in proportion to
    the size where sizes differ.
    """
    known = list(_known(runs, now))
    total = 0.0
    for run in runs:
        if run.job in ("done", "failed"):
            continue
        for stage in _stages_of(run, runs):
            seconds = _estimate(stage, run.planned.size, known, now)
            if seconds is None:
                return None
            total += seconds
    return total


@dataclass(frozen=True, slots=True)
class _Known:
    stage: str
    model: str
    size: int | None
    seconds: float


def _known(runs: Sequence[RunProgress], now: float) -> Iterator[_Known]:
    for run in runs:
        for stage in run.state.stages.values():
            whole = _whole_seconds(stage, now)
            if whole is not None:
                yield _Known(stage.stage, stage.model, run.planned.size, whole)


def _whole_seconds(stage: StageState, now: float) -> float | None:
    """How long a stage takes in all, by its rate so far; None where that can't be told."""
    if stage.state == "waiting":
        return None
    rate = stage.rate(stage.ended or now)
    if rate and stage.total:
        return stage.total / rate
    # One that is over without having begun was taken over, or counts nothing.
    return max(stage.ended - stage.started, 0.0) if stage.state == "done" and stage.started else None


def _stages_of(run: RunProgress, runs: Sequence[RunProgress]) -> list[StageState]:
    """The stages of a run that are not done; of one that was not begun, those that its models have elsewhere."""
    if run.state.stages:
        return [stage for stage in run.state.stages.values() if stage.state != "done"]
    found: dict[str, StageState] = {}
    begun = [other for other in runs if other.state.stages]
    prompts = run.planned.recipe.prompts
    # What the base model said to the same prompts is taken over.
    asked = any(other.planned.recipe.prompts == prompts for other in begun)
    models = ("", *(() if asked else (BASE,)), *run.planned.recipe.models)
    for other in begun:
        for key, stage in other.state.stages.items():
            if stage.model in models:
                found[key] = StageState(stage.stage, stage.model)
    missing = [label for label in run.planned.recipe.models if not any(s.model == label for s in found.values())]
    return [*found.values(), *(StageState("tune", label) for label in missing)]


def _estimate(stage: StageState, size: int | None, known: Sequence[_Known], now: float) -> float | None:
    if stage.state == "running" and (left := stage.seconds_left(now)) is not None:
        return left
    alike = [one for one in known if (one.stage, one.model) == (stage.stage, stage.model)]
    if not alike:
        # Too short to have been timed, as `prepare` without rows to count, except for what takes the time.
        return None if stage.stage in ("tune", "generate", "score") and stage.model != BASE else 0.0
    if stage.stage == "tune" and size and all(one.size for one in alike):
        return size * sum(one.seconds for one in alike) / sum(one.size or 0 for one in alike)
    return sum(one.seconds for one in alike) / len(alike)
