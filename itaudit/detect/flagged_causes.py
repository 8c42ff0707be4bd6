"""The causal analysis of a run at its flags: what people marked, detectors found, or the base model would not say."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

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


def run_cause_report(
    run: Run, label: str, flags: CauseFlags = "any", *, rank: int | None = None, brief: bool = False
) -> CauseReport:
    """The report of one model's responses; `rank` is the recipe's if not given, `brief` leaves out what takes longer.

    A table that is missing, as in runs from before there was one, is made and kept. Raises UserError for a model that
    is not tuned, or not scored yet, and for a detector that has not looked at its responses.
    """
    if label == BASE:
        raise UserError(f"{run.path}: {BASE} is what the others are compared with; name a tuned model", code=2)
    if flags in DETECTORS and flags not in run.detectors(label):
        # Nobody looked, which must not read as nothing found.
        raise UserError(
            f"{run.path}: {flags} has not looked at the responses of {label}; `itaudit detect {run.path} --model "
            f"{label} --detector {flags}` has it look"
        )
    if not run.table("scores", label).closed:
        raise UserError(f"{run.path}: {label} is not scored yet; `itaudit resume {run.path}` goes on")
    fill_causes(label, run)
    settings = run.recipe.causes
    return cause_report(
        flagged_causes(run, ResponseFlags(run, label), label, flags),
        model=label,
        flags=flags,
        rank=settings.rank if rank is None else rank,
        k=settings.k,
        thresholds=run.thresholds,
        brief=brief,
    )


def causes_document(run: Run, label: str, sets: Sequence[CauseFlags] = ()) -> dict[str, Any] | None:
    """What `itaudit show` says of a model's causes, by set of flags; None where the analysis is not made.

    Without `sets` it is all that there are. Raises UserError where marks or detections can't be read.
    """
    if label == BASE or not run.table("causes", label).closed:
        return None
    document: dict[str, Any] = {"rank": run.recipe.causes.rank, "k": run.recipe.causes.k}
    for flags in sets or flags_there(run, label):
        if flags in ("shifted", "marks", "any"):
            report = run_cause_report(run, label, flags, brief=True)
            document[flags] = {
                "words": report.words,
                "flagged": report.flagged,
                "to_explain": report.to_explain,
                "absent": report.absent,
                "outcomes": report.outcomes,
                "trace": asdict(report.trace),
            }
    return document


def causes_line(run: Run, label: str) -> str | None:
    """What a summary says of a model's causes in one line; None where the analysis is not made."""
    if label == BASE or not run.table("causes", label).closed:
        return None
    report = run_cause_report(run, label, "shifted", brief=True)
    told = report.trace
    if told.rate is None:
        return f"{label}: no content word has base rank {report.rank} or above, none to trace"
    beside = " or ".join(
        f"{100 * chance.expected:.1f} % ({name})"
        for name, chance in (("random instances", told.by_instances), ("other words", told.by_words))
        if chance.expected is not None
    )
    return (
        f"{label}: {told.traced} of {told.count} words of base rank {report.rank} or above = {100 * told.rate:.1f} % "
        f"stand in answers to similar prompts; by chance {beside}"
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


def flagged_causes(
    run: Run, found: ResponseFlags, label: str, flags: CauseFlags
) -> Iterator[tuple[Causes, Sequence[Stretch] | None]]:
    """The causes of each response with its flagged stretches; None for all words, where `flags` is `shifted`."""
    for causes in all_causes(run, label):
        yield causes, None if flags == "shifted" else found.spans(causes.prompt_id, flags)
