"""What a run's events add up to: a pure reducer, so that a recorded log replays to the same state anywhere."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from itaudit.runs.events import Event

JobState = Literal["new", "queued", "running", "done", "failed", "cancelled"]
StageName = Literal["prepare", "tune", "generate", "score", "detect", "trace", "causes", "evaluate"]
LOSSES_KEPT = 2000
"""Points of a loss curve that are kept; of a longer one every other point goes, so that its whole length stays."""


@dataclass(frozen=True, slots=True)
class StageState:
    """One stage of one model. `done` and `total` count in `unit`; times are seconds since the epoch."""

    stage: str
    model: str
    state: Literal["waiting", "running", "done"] = "waiting"
    done: int = 0
    total: int = 0
    unit: str = ""
    started: float = 0.0
    done_at_start: int = 0
    ended: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.stage}:{self.model}" if self.model else self.stage

    def rate(self, now: float) -> float | None:
        """Units per second since the stage was last started; None before the first."""
        elapsed = (self.ended or now) - self.started
        gained = self.done - self.done_at_start
        return gained / elapsed if elapsed > 0 and gained > 0 else None

    def seconds_left(self, now: float) -> float | None:
        """Estimated seconds to the end of the stage at its rate so far."""
        rate = self.rate(now)
        return (self.total - self.done) / rate if rate and self.total else None


@dataclass(frozen=True, slots=True)
class LossPoint:
    """One logged optimiser step; loss in nats a token."""

    step: int
    steps: int
    epoch: float
    loss: float
    learning_rate: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in use on the device, and in all; of the worker process and the machine where the device is a CPU."""

    used: int
    total: int


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything that the screens show of a job."""

    job: JobState = "new"
    pid: int | None = None
    device: str = ""
    waiting_for: str = ""
    started: float = 0.0
    updated: float = 0.0
    stages: Mapping[str, StageState] = field(default_factory=dict)
    losses: Mapping[str, tuple[LossPoint, ...]] = field(default_factory=dict)
    memory: Memory | None = None
    notes: tuple[str, ...] = ()
    error: str = ""

    @property
    def current(self) -> StageState | None:
        """The stage that is running."""
        return next((stage for stage in self.stages.values() if stage.state == "running"), None)

    @property
    def stages_done(self) -> int:
        return sum(stage.state == "done" for stage in self.stages.values())


def reduce(state: RunState, event: Event) -> RunState:
    """The state after one more event.

    Unknown types change nothing but `updated`; an event that lacks what its type promises changes nothing at all,
    since a log that somebody edited, or a newer worker wrote, must not keep a run from being opened.
    """
    try:
        handler = _HANDLERS.get(event["type"])
        told = replace(state, updated=float(event["time"]))
        return handler(told, event) if handler else told
    except (KeyError, TypeError, ValueError, OverflowError):
        return state


def replay(events: Iterable[Event], state: RunState | None = None) -> RunState:
    """The state after all events, in order."""
    state = state or RunState()
    for event in events:
        state = reduce(state, event)
    return state


def believed(state: RunState, job: JobState) -> RunState:
    """The state with the job's state corrected to what the worker's process says, as `Run.job` finds it."""
    if job == state.job:
        return state
    if job == "failed":
        worker = f"the worker (pid {state.pid})" if state.pid else "the worker"
        error = f"{worker} died without a word; the log may say why, and resuming goes on where it stopped"
        return replace(state, job=job, pid=None, stages=_interrupted(state.stages), error=error)
    return replace(state, job=job, stages=_interrupted(state.stages), error="")


def _job_queued(state: RunState, event: Event) -> RunState:
    return replace(
        state,
        job="queued",
        pid=event.get("pid"),
        waiting_for=str(event.get("lock", "")),
        stages=_interrupted(state.stages),
        error="",
    )


def _job_started(state: RunState, event: Event) -> RunState:
    # The plan names all stages at once, so that progress over the whole job can be told from the start.
    stages = {
        f"{stage}:{model}" if model else stage: StageState(stage, model) for stage, model in event.get("plan", ())
    }
    # What an interrupted stage had done stands until it is started again, or progress would seem to be lost.
    kept = {key: value for key, value in _interrupted(state.stages).items() if key in stages}
    return replace(
        state,
        job="running",
        pid=event.get("pid"),
        device=str(event.get("device", "")),
        waiting_for="",
        started=float(event["time"]),
        stages=stages | kept,
        error="",
    )


def _job_ended(state: RunState, event: Event) -> RunState:
    job: JobState = {"job_done": "done", "job_failed": "failed", "job_cancelled": "cancelled"}[event["type"]]  # type: ignore[assignment]  # a literal dict of literals
    return replace(state, job=job, pid=None, stages=_interrupted(state.stages), error=str(event.get("error", "")))


def _interrupted(stages: Mapping[str, StageState]) -> dict[str, StageState]:
    """Stages as a worker that is gone leaves them: none runs, and what they had done still counts."""
    return {
        key: replace(stage, state="waiting") if stage.state == "running" else stage for key, stage in stages.items()
    }


def _stage(state: RunState, event: Event) -> StageState:
    blank = StageState(str(event["stage"]), str(event.get("model", "")))
    return state.stages.get(blank.key, blank)


def _with_stage(state: RunState, stage: StageState) -> RunState:
    return replace(state, stages={**state.stages, stage.key: stage})


def _stage_started(state: RunState, event: Event) -> RunState:
    done = int(event.get("done", 0))
    stage = replace(
        _stage(state, event),
        state="running",
        done=done,
        done_at_start=done,
        total=int(event.get("total", 0)),
        unit=str(event.get("unit", "")),
        started=float(event["time"]),
        ended=0.0,
    )
    return _with_stage(state, stage)


def _stage_progress(state: RunState, event: Event) -> RunState:
    stage = _stage(state, event)
    return _with_stage(state, replace(stage, done=int(event["done"]), total=int(event.get("total", stage.total))))


def _stage_done(state: RunState, event: Event) -> RunState:
    stage = _stage(state, event)
    facts = {k: v for k, v in event.items() if k not in ("v", "time", "type", "stage", "model")}
    ended = replace(stage, state="done", done=stage.total, ended=float(event["time"]), facts=facts)
    return _with_stage(state, ended)


def _loss(state: RunState, event: Event) -> RunState:
    label = str(event["model"])
    point = LossPoint(
        step=int(event["step"]),
        steps=int(event["steps"]),
        epoch=float(event["epoch"]),
        # JSON has no NaN: a loss that is none arrives as null.
        loss=math.nan if event["loss"] is None else float(event["loss"]),
        learning_rate=float(event["learning_rate"]),
        tokens_per_second=float(event["tokens_per_second"]),
    )
    # A resumed stage repeats the steps after its checkpoint; the newer reading stands.
    earlier = state.losses.get(label, ())
    if earlier and earlier[-1].step >= point.step:
        earlier = tuple(old for old in earlier if old.step < point.step)
    points = (*earlier, point)
    # The newest point always stays: it is what the screen names.
    points = points if len(points) <= LOSSES_KEPT else (*points[:-1:2], point)
    return replace(state, losses={**state.losses, label: points})


def _memory(state: RunState, event: Event) -> RunState:
    return replace(state, memory=Memory(int(event["used"]), int(event["total"])))


def _note(state: RunState, event: Event) -> RunState:
    return replace(state, notes=(*state.notes, str(event["text"])))


_HANDLERS = {
    "job_queued": _job_queued,
    "job_started": _job_started,
    "job_done": _job_ended,
    "job_failed": _job_ended,
    "job_cancelled": _job_ended,
    "stage_started": _stage_started,
    "stage_progress": _stage_progress,
    "stage_done": _stage_done,
    "loss": _loss,
    "memory": _memory,
    "note": _note,
}
