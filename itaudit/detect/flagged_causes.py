"""The causal analysis of a run at its flags: what people marked, detectors found, or the base model would not say."""

from collections.abc import Iterator, Sequence
from typing import Literal

from itaudit.detect.spans import Flags, ResponseFlags
from itaudit.errors import UserError
from itaudit.runs.causes import all_causes, fill_causes
from itaudit.runs.detections import DETECTORS
from itaudit.runs.run import BASE, Run
from itaudit.trace.cause_report import CauseReport, Stretch, cause_report
from itaudit.trace.causes import Causes

CauseFlags = Flags | Literal["shifted"]
"""Which words count as flagged; `shifted` are all whose base rank asks for an explanation."""
CAUSE_FLAGS: tuple[CauseFlags, ...] = ("shifted", "marks", "any", *DETECTORS)


def run_cause_report(run: Run, label: str, flags: CauseFlags = "any", *, rank: int | None = None) -> CauseReport:
    """The report of one model's responses; `rank` is the recipe's if not given.

    A table that is missing, as in runs from before there was one, is made and kept. Raises UserError for a model that
    is not tuned, or not scored yet.
    """
    if label == BASE:
        raise UserError(f"{run.path}: {BASE} is what the others are compared with; name a tuned model", code=2)
    if not run.table("scores", label).closed:
        raise UserError(f"{run.path}: {label} is not scored yet; `itaudit resume {run.path}` goes on")
    fill_causes(label, run)
    settings = run.recipe.causes
    return cause_report(
        _flagged(run, label, flags),
        model=label,
        flags=flags,
        rank=settings.rank if rank is None else rank,
        k=settings.k,
        thresholds=run.thresholds,
    )


def flags_there(run: Run, label: str) -> tuple[CauseFlags, ...]:
    """The sets of flags that a model has: always `shifted`, then `marks`, `any` and detectors where there are some."""
    detectors = run.detectors(label)
    marked = any(mark.model == label for mark in run.marks().values())
    return (
        "shifted",
        *(("marks",) if marked else ()),
        *(("any",) if marked or detectors else ()),
        *detectors,
    )


def _flagged(run: Run, label: str, flags: CauseFlags) -> Iterator[tuple[Causes, Sequence[Stretch] | None]]:
    found = ResponseFlags(run, label)
    for causes in all_causes(run, label):
        yield causes, None if flags == "shifted" else found.spans(causes.prompt_id, flags)
