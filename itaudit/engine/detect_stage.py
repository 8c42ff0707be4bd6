"""The detect stage: what the recipe's detectors flag in a tuned model's responses."""

from collections.abc import Callable, Mapping

from itaudit.detect.light import LIGHT, detect_light
from itaudit.engine.reporter import Reporter
from itaudit.errors import UserError
from itaudit.runs.detections import Detector
from itaudit.runs.run import Run

Fill = Callable[[Callable[[int], None]], None]
"""Fills and closes the table of a detector that asks a model; it tells how many responses are done."""


def detected(label: str, run: Run) -> bool:
    """Whether every detector of the recipe has looked at all responses of a model."""
    return all(run.detections(detector, label).closed for detector in run.recipe.detect.detectors)


def detect_responses(label: str, run: Run, reporter: Reporter, fills: Mapping[Detector, Fill] | None = None) -> None:
    """Fills the tables of the recipe's detectors for one model; what is in them stays.

    `fills` carries out those that ask a model. Raises UserError for one that is not among them.
    """
    if detected(label, run):
        return
    detectors = run.recipe.detect.detectors
    responses = len(run.table("responses", label).read())
    before = 0
    done = sum(len(run.detections(detector, label).read()) for detector in detectors)
    reporter.stage_started("detect", label, total=responses * len(detectors), unit="responses", done=done)
    for detector in detectors:
        reporter.check()

        def progress(done: int, finished: int = before) -> None:
            reporter.progress("detect", label, finished + done)

        if detector in LIGHT:
            detect_light(detector, run, label, check=reporter.check, progress=progress)
        elif fills and detector in fills:
            fills[detector](progress)
        else:
            raise UserError(f"detect.detectors: {detector} needs a model, and nothing here asks it")
        before += responses
        reporter.progress("detect", label, before)
    reporter.stage_done("detect", label)
