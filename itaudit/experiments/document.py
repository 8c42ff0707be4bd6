"""The JSON document of `itaudit show EXPERIMENT`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from itaudit.errors import UserError
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.progress import ExperimentProgress, RunProgress
from itaudit.runs.cells import check_scores
from itaudit.runs.left_out import Told, checked
from itaudit.runs.run import BASE, Run


def experiment_document(experiment: Experiment, progress: ExperimentProgress, told: Told) -> dict[str, Any]:
    """`{experiment, job, error, reference, done, total, seconds_left, runs: […], left_out: […], tables: […]}`.

    A run has its place in the matrix, its job and its cells, each with `state` and, where it is scored, its totals. A
    cell whose scores can't be read is `unreadable`, with the `error`, and has none.
    """
    problems = {(one.run.path, one.label): one.problem for one in checked(experiment.cells(), check_scores)}
    return {
        "experiment": str(experiment.path),
        "name": experiment.name,
        "job": progress.job,
        "error": progress.error or None,
        "reference": experiment.spec.reference,
        "published": experiment.spec.matrix.published or None,
        "done": progress.done,
        "total": progress.total,
        "seconds_left": progress.seconds_left,
        "runs": [_run_document(run, problems) for run in progress.runs],
        **told.to_json(),
    }


def _run_document(run: RunProgress, problems: Mapping[tuple[Path, str], str]) -> dict[str, Any]:
    planned = run.planned
    return {
        "run": str(run.run.path) if run.run else None,
        "name": planned.name,
        "variant": planned.variant,
        "size": planned.size,
        "seed": planned.seed,
        "job": run.job,
        "error": run.error or None,
        "cells": {cell.label: _cell_document(run, cell.label, cell.state, problems) for cell in run.cells},
    }


def _cell_document(
    run: RunProgress, label: str, state: str, problems: Mapping[tuple[Path, str], str]
) -> dict[str, Any]:
    if run.run is None:
        return {"state": state}
    method = BASE if label == BASE else run.planned.recipe.models[label].method
    if problem := problems.get((run.run.path, label), ""):
        return {"state": "unreadable", "method": method, "error": problem}
    try:
        return {"state": state, "method": method, **_totals(run.run, label)}
    except UserError as error:
        # A part of what is not scored to its end.
        return {"state": "unreadable", "method": method, "error": str(error)}


def _totals(run: Run, label: str) -> dict[str, Any]:
    if label not in run.labels:
        # The plan got it since the run was begun.
        return {}
    summary = run.summary(label)
    if not summary.responses:
        return {}
    return {
        "scored": summary.responses,
        "tokens": summary.tokens,
        "unshifted": summary.unshifted,
        "marginal": summary.marginal,
        "shifted": summary.shifted,
        "kl_mean": summary.kl_mean,
    }
