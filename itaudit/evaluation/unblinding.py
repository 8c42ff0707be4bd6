"""Blind ratings joined with the responses: which model gave the answer that somebody rated."""

from collections.abc import Mapping, Sequence
from typing import Any

from itaudit.evaluation.aspects import ASPECTS
from itaudit.evaluation.blind import responses
from itaudit.runs.cells import Cell, runs_of
from itaudit.runs.ratings import Rated, Ratings, answer_hash
from itaudit.runs.run import Run

_PLACE = ("run", "variant", "size", "seed", "model")
ROW = (*_PLACE, "prompt_id", "prompt", "answer", "response", "rater", *ASPECTS, "skipped", "note", "time")
"""The columns of an exported rating: aspects are 1 to 5 or empty, `time` is in seconds since the epoch.

`answer` is the hash of the response. What two models answered alike was rated once and has a row for each of them, so
that what raters agree on is told apart by run, prompt and answer.
"""


def unblinded(run: Run) -> dict[tuple[str, str], tuple[str, ...]]:
    """Which models gave an answer, by prompt id and hash of the answer."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for label in run.labels:
        for prompt_id, text in responses(run, label).items():
            key = prompt_id, answer_hash(text)
            found[key] = (*found.get(key, ()), label)
    return found


def opinions(run: Run, ratings: Ratings, labels: Sequence[str]) -> Mapping[str, list[tuple[str, str, Rated]]]:
    """(rater, prompt id, what was said) of the answers of each model; what is no longer answered is left out."""
    given = unblinded(run)
    found: dict[str, list[tuple[str, str, Rated]]] = {label: [] for label in labels}
    for (rater, prompt_id, answer), rated in ratings.all().items():
        for label in given.get((prompt_id, answer), ()):
            if label in found:
                found[label].append((rater, prompt_id, rated))
    return found


def rating_rows(cells: Sequence[Cell]) -> tuple[list[dict[str, Any]], int]:
    """A row of ROW for each rater and answer of each model; and how many rated answers are no longer given.

    Those of cells with a `problem` are left out. Raises UserError where a file of ratings can't be read.
    """
    rows: list[dict[str, Any]] = []
    gone = 0
    for run in runs_of(cells):
        here = {cell.label: cell for cell in cells if cell.run.path == run.path}
        given, prompts = unblinded(run), {prompt.id: prompt.prompt for prompt in run.prompts()}
        texts = {label: responses(run, label) for label in here}
        for (rater, prompt_id, answer), rated in Ratings(run.ratings_path).all().items():
            models = given.get((prompt_id, answer), ())
            gone += not models
            for label in models:
                if label in here:
                    row = _place(here[label]) | {"prompt_id": prompt_id, "prompt": prompts.get(prompt_id, "")}
                    row |= {"answer": answer, "response": texts[label][prompt_id], "rater": rater}
                    rows.append(row | _said(rated))
    return rows, gone


def _place(cell: Cell) -> dict[str, Any]:
    return dict(zip(_PLACE, (cell.run.name, cell.variant, cell.size, cell.seed, cell.label), strict=True))


def _said(rated: Rated) -> dict[str, Any]:
    values: dict[str, Any] = {aspect: rated.values.get(aspect) for aspect in ASPECTS}
    return values | {"skipped": rated.skipped, "note": rated.note, "time": rated.time}
