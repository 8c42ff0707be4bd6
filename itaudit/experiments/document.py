"""The JSON document of `itaudit show EXPERIMENT`."""

from typing import Any

from itaudit.analysis.table import Table
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.progress import ExperimentProgress, RunProgress
from itaudit.runs.run import BASE


def experiment_document(experiment: Experiment, progress: ExperimentProgress, tables: list[Table]) -> dict[str, Any]:
    """`{experiment, job, error, reference, done, total, seconds_left, runs: […], tables: […]}`.

    A run has its place in the matrix, its job and its cells, each with `state` and, where it is scored, its totals.
    """
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
        "runs": [_run_document(run) for run in progress.runs],
        "tables": [table.to_json() for table in tables],
    }


def _run_document(run: RunProgress) -> dict[str, Any]:
    planned = run.planned
    return {
        "run": str(run.run.path) if run.run else None,
        "name": planned.name,
        "variant": planned.variant,
        "size": planned.size,
        "seed": planned.seed,
        "job": run.job,
        "error": run.error or None,
        "cells": {cell.label: _cell_document(run, cell.label, cell.state) for cell in run.cells},
    }


def _cell_document(run: RunProgress, label: str, state: str) -> dict[str, Any]:
    document: dict[str, Any] = {"state": state}
    if run.run is None:
        return document
    document["method"] = BASE if label == BASE else run.planned.recipe.models[label].method
    summary = run.run.summary(label)
    if summary.responses:
        document |= {
            "scored": summary.responses,
            "tokens": summary.tokens,
            "unshifted": summary.unshifted,
            "marginal": summary.marginal,
            "shifted": summary.shifted,
            "kl_mean": summary.kl_mean,
        }
    return document
