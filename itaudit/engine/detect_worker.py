"""The detect worker: one process in which detectors that ask a model look at the responses of a run.

`python -m itaudit.engine.detect_worker RUN_DIR [--detector NAME …] [--model LABEL …]`; without names, those of the
recipe, for all tuned models. Exit code 0 done, 1 failed, 3 cancelled. What is done stays done; one worker at a time
works on the detections of a run.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from itaudit.engine.job import Job, Pace, carry_out, work_alone
from itaudit.engine.model_detectors import ASKING, Calls, fill
from itaudit.errors import UserError
from itaudit.runs.detections import Detector
from itaudit.runs.run import BASE, Run


class DetectJob(Job):
    """The job of some detectors on some models of a run."""

    def __init__(self, run: Run, work: Sequence[tuple[Detector, str]]) -> None:
        super().__init__(run.detect_status_path)
        self.run = run
        self.work = work
        self._counts = dict.fromkeys(work, 0)
        self._current: tuple[Detector, str] | None = None
        self._total, self._problems = 0, 0
        self._pace = Pace()

    def carry_out(self) -> None:
        """Each detector on each model. Raises UserError where responses are missing, or a model can't be asked."""
        for one in self.work:
            detector, label = one
            if not self.run.table("responses", label).closed:
                raise UserError(
                    f"{self.run.path}: {label} has not answered all prompts; `itaudit resume {self.run.path}` goes on"
                )
            self._total += len(self.run.table("responses", label).read())
            self._counts[one] = len(self.run.detections(detector, label).prompt_ids())
        for one in self.work:
            detector, label = one
            self.check()
            self._current, self._pace, self._problems = one, Pace(), 0
            fill(detector, self.run, label, Calls(self.check, self._done, self.wait_for))
            self._counts[one] = len(self.run.detections(detector, label).prompt_ids())

    def _done(self, count: int) -> None:
        if self._current is None:
            return
        self._pace.count(count)
        self._counts[self._current] = count
        detector, label = self._current
        self._problems = sum(map(bool, self.run.detections(detector, label).read()["problem"].to_pylist()))

    def progress(self) -> dict[str, Any]:
        told: dict[str, Any] = {"stage": "detect", "done": sum(self._counts.values()), "total": self._total}
        if self._current is None:
            return told
        detector, label = self._current
        rate = self._pace.rate(self._counts[self._current])
        return told | {"what": f"{detector} {label}", "rate": rate, "problems": self._problems}


def work_of(run: Run, detectors: Sequence[Detector], labels: Sequence[str]) -> list[tuple[Detector, str]]:
    """Which detectors look at which models, model by model. Raises UserError for a model that there is not."""
    for label in labels:
        if label == BASE or label not in run.labels:
            raise UserError(f"{run.path}: no tuned model {label!r}", code=2)
    wanted = detectors or [name for name in run.recipe.detect.detectors if name in ASKING]
    return [(name, label) for label in labels or run.recipe.models for name in wanted]


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    parser = ArgumentParser(prog="python -m itaudit.engine.detect_worker")
    parser.add_argument("run", type=Path)
    parser.add_argument("--announced", action="store_true")
    parser.add_argument("--detector", action="append", choices=ASKING, default=[])
    parser.add_argument("--model", action="append", default=[])
    chosen = parser.parse_args(arguments)

    def begin() -> tuple[Path, Callable[[], int]]:
        run = Run(chosen.run)
        job = DetectJob(run, work_of(run, chosen.detector, chosen.model))
        return run.detect_status_path, lambda: carry_out(job, job.carry_out)

    return work_alone(begin, announced=chosen.announced)


if __name__ == "__main__":
    sys.exit(main())
