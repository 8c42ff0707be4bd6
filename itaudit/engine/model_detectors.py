"""The detectors that ask a model: they fill a table of detections, one at a time in a run and on a device."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from itaudit.detect.judge_task import JudgeTask, begun_task, judge_task
from itaudit.detect.span_judging import SpanJudging
from itaudit.engine.device_lock import held_device, held_file
from itaudit.engine.judging_engines import AnyJudging, judge_by_server, judge_locally
from itaudit.runs.detections import Detector
from itaudit.runs.run import Run

if TYPE_CHECKING:
    from itaudit.engine.models import LoadedModel

ASKING: tuple[Detector, ...] = ("consistency", "judge")


@dataclass(frozen=True, slots=True)
class Calls:
    """What a job wants to be told, and asked.

    `check` may raise to stop; `progress` gets the responses of this table that are done; `waiting` gets what another
    job holds, and nothing once that is over.
    """

    check: Callable[[], None]
    progress: Callable[[int], None]
    waiting: Callable[[str], None]

    def after(self, done: int) -> "Calls":
        """The same, where so many are done beside those that progress is told of."""
        return replace(self, progress=lambda count: self.progress(done + count))


def fill(
    detector: Detector,
    run: Run,
    label: str,
    calls: Calls,
    *,
    held: str = "",
    base: "Callable[[Run], LoadedModel] | None" = None,
) -> None:
    """Fills the table of one of ASKING for one model; what is in it stays.

    `held` is the device whose lock the caller holds already, and `base` gives the base model where it is loaded.
    Raises UserError where the model can't be had or does not answer.
    """
    table = run.detections(detector, label)
    lock = table.whole.parent / f"{label}.lock"
    with held_file(lock, f"the {detector} of {label}", waiting=calls.waiting, check=calls.check):
        calls.waiting("")
        if table.closed:
            return
        if detector == "consistency":
            _fill_consistency(run, label, calls, held, base)
        else:
            _fill_judge(run, label, calls, held)


def _fill_consistency(
    run: Run, label: str, calls: Calls, held: str, base: "Callable[[Run], LoadedModel] | None"
) -> None:
    # A judge behind a server needs none of the model libraries.
    from itaudit.engine.consistency_samples import fill_consistency
    from itaudit.engine.tuned_model import base_of

    with _device(run.recipe.device, calls, held):
        calls.waiting("")
        fill_consistency(run, label, check=calls.check, progress=calls.progress, base=base or base_of)


def _fill_judge(run: Run, label: str, calls: Calls, held: str) -> None:
    task = begun_task(run, label) or judge_task(run, label)
    ask_judge(task, [SpanJudging(run, label, task)], calls, held=held)


def ask_judge(task: JudgeTask, judgings: Sequence[AnyJudging], calls: Calls, *, held: str = "") -> None:
    """Has the judge of a task fill and close the tables of some judgings; `held` as in `fill`."""
    if task.settings.engine == "endpoint":
        judge_by_server(task, judgings, check=calls.check, progress=calls.progress)
        return
    with _device(task.settings.local.device, calls, held):
        calls.waiting("")
        judge_locally(task, judgings, check=calls.check, progress=calls.progress)


def _device(wanted: str, calls: Calls, held: str) -> AbstractContextManager[None]:
    from itaudit.engine.device import choose_device

    device = str(choose_device(wanted))
    return nullcontext() if device == held else held_device(device, waiting=calls.waiting, check=calls.check)
