"""What a judge said of a run's answers: ratings by aspect, and which of two answers is better. Where it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa

from itaudit.errors import UserError
from itaudit.runs.run import Run
from itaudit.runs.tables import GrowingTable

Failure = Literal["nonsense", "refused", "cut off", "empty", "unusable"]
"""Why there is no judgement: an answer that can't be read, twice; a refusal; one that reached the limit of its length;
an empty one; or none at all, such as where the server sends no text or the question does not fit the model."""
FAILURES: tuple[Failure, ...] = get_args(Failure)

Verdict = Literal["first", "second", "tie"]
MADE_BY = "`itaudit evaluate --judge`"

_SCORE = pa.struct([("aspect", pa.string()), ("score", pa.int32()), ("reason", pa.string())])
_COMMON = [
    pa.field("order", pa.int32(), nullable=False),
    pa.field("prompt_id", pa.string(), nullable=False),
    # `local:MODEL` or `endpoint:MODEL`.
    pa.field("judge", pa.string(), nullable=False),
    # One of FAILURES and a line on it where there is no judgement; else both are empty.
    pa.field("failure", pa.string(), nullable=False),
    pa.field("problem", pa.string(), nullable=False),
    # What the judge took; 0 where nobody was asked.
    pa.field("seconds", pa.float64(), nullable=False),
]

ASPECT_RATINGS = pa.schema(
    # Scores of 1 to 5, with a reason; empty where there is no judgement.
    [*_COMMON, pa.field("scores", pa.list_(_SCORE), nullable=False)]
)

PREFERENCES = pa.schema(
    [
        *_COMMON,
        # `first`, `second` or `tie`, in the order in which the answers were shown; empty where there is no judgement.
        pa.field("better", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        # Both models answered the very same, so that nobody was asked.
        pa.field("same", pa.bool_(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class AspectRating:
    """A judge's scores of one answer by aspect, with a reason each; or none, and why."""

    prompt_id: str
    judge: str
    scores: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    failure: Failure | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of two answers, in the order in which they were shown, a judge found better; None where it did not say.

    `same` tells that both models answered the very same, so that nobody was asked.
    """

    prompt_id: str
    judge: str
    better: Verdict | None = None
    reason: str = ""
    same: bool = False
    failure: Failure | None = None
    problem: str = ""


def aspect_table(run: Run, label: str) -> GrowingTable:
    """The ratings of one model's answers. Raises UserError for an unknown label."""
    _check(run, label)
    return GrowingTable(run.path / "evaluation", "aspects", label, schema=ASPECT_RATINGS, made_by=MADE_BY)


def preference_table(run: Run, first: str, second: str) -> GrowingTable:
    """The preferences between two models' answers, `first` shown first. Raises UserError for an unknown label."""
    _check(run, first, second)
    return GrowingTable(run.path / "evaluation" / "pairs", first, second, schema=PREFERENCES, made_by=MADE_BY)


def aspect_ratings(run: Run, label: str) -> dict[str, AspectRating]:
    """What a judge said of one model's answers so far, by prompt id."""
    return {row["prompt_id"]: _rating(row) for row in aspect_table(run, label).read().to_pylist()}


def preferences(run: Run, first: str, second: str) -> dict[str, Preference]:
    """What a judge said so far where `first` was shown first, by prompt id."""
    return {row["prompt_id"]: _preference(row) for row in preference_table(run, first, second).read().to_pylist()}


def check_judgements(run: Run, label: str) -> None:
    """Raises UserError where what a judge said of a model, alone or beside another, can't be read."""
    aspect_table(run, label).read()
    for other in run.labels:
        if other != label:
            preference_table(run, label, other).read()
            preference_table(run, other, label).read()


def judged_pairs(run: Run) -> list[tuple[str, str]]:
    """The pairs that a judge has looked at in either order, each once, in the order of the run's labels."""
    return [
        (first, second)
        for at, first in enumerate(run.labels)
        for second in run.labels[at + 1 :]
        if any(preference_table(run, first, second).version()) or any(preference_table(run, second, first).version())
    ]


def judging_folder(run: Run) -> Path:
    """Where the judge's task and its answers stand: in the run, or for all runs of an experiment beside them.

    So the runs of an experiment have one judge, who is asked once about an answer that several of them share.
    """
    beside = run.path.parent.parent
    of_experiment = run.path.parent.name == "runs" and (beside / "experiment.toml").is_file()
    return (beside if of_experiment else run.path) / "evaluation"


def rating_row(order: int, rating: AspectRating, seconds: float) -> dict[str, Any]:
    """A rating as a row of ASPECT_RATINGS; `seconds` is what the judge took."""
    scores = [{"aspect": a, "score": score, "reason": rating.reasons[a]} for a, score in rating.scores.items()]
    return _common(order, rating, seconds) | {"scores": scores}


def preference_row(order: int, preference: Preference, seconds: float) -> dict[str, Any]:
    """A preference as a row of PREFERENCES; `seconds` is what the judge took."""
    told = {"better": preference.better or "", "reason": preference.reason, "same": preference.same}
    return _common(order, preference, seconds) | told


def _common(order: int, told: AspectRating | Preference, seconds: float) -> dict[str, Any]:
    return {
        "order": order,
        "prompt_id": told.prompt_id,
        "judge": told.judge,
        "failure": told.failure or "",
        "problem": told.problem,
        "seconds": seconds,
    }


def _rating(row: Mapping[str, Any]) -> AspectRating:
    return AspectRating(
        row["prompt_id"],
        row["judge"],
        {score["aspect"]: score["score"] for score in row["scores"]},
        {score["aspect"]: score["reason"] for score in row["scores"]},
        row["failure"] or None,
        row["problem"],
    )


def _preference(row: Mapping[str, Any]) -> Preference:
    return Preference(
        row["prompt_id"],
        row["judge"],
        row["better"] or None,
        row["reason"],
        row["same"],
        row["failure"] or None,
        row["problem"],
    )


def _check(run: Run, *labels: str) -> None:
    for label in labels:
        if label not in run.labels:
            raise UserError(f"{run.path}: no model {label!r}; there are {', '.join(run.labels)}", code=2)
