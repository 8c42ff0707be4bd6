"""The evaluate worker: one process in which a judge looks at the answers of a run, or of an experiment's runs.

`python -m itaudit.engine.evaluate_worker PATH [--question NAME …] [--model LABEL …] [--pair A:B …]`; without names,
what the recipe asks. Exit code 0 done, 1 failed, 3 cancelled. What is done stays done, and nobody is asked twice.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from itaudit.engine.evaluate_stage import Work, judge_answers
from itaudit.engine.job import Job, Pace, carry_out, work_alone
from itaudit.engine.judging_engines import AnyJudging
from itaudit.engine.model_detectors import Calls
from itaudit.evaluate_settings import Question
from itaudit.experiments.evaluating import evaluation_paths, work_of


class EvaluateJob(Job):
    """The job of a judge on some runs."""

    def __init__(self, status: Path, work: Work) -> None:
        super().__init__(status)
        self.work = work
        self._judgings: Sequence[AnyJudging] = ()
        self._pace = Pace()

    def carry_out(self) -> None:
        judge_answers(self.work, Calls(self.check, self._pace.count, self.wait_for), self._begin)

    def _begin(self, judgings: Sequence[AnyJudging]) -> None:
        self._judgings = judgings

    def progress(self) -> dict[str, Any]:
        done = sum(len(judging.done) for judging in self._judgings)
        return {
            "stage": "evaluate",
            "what": "judge" if self._judgings else "",
            "done": done,
            "total": sum(len(judging.cases) for judging in self._judgings),
            "problems": sum(judging.problems for judging in self._judgings),
            "rate": self._pace.rate(done),
        }


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    parser = ArgumentParser(prog="python -m itaudit.engine.evaluate_worker")
    parser.add_argument("path", type=Path)
    parser.add_argument("--announced", action="store_true")
    parser.add_argument("--question", action="append", choices=get_args(Question), default=[])
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--pair", action="append", default=[])
    chosen = parser.parse_args(arguments)

    def begin() -> tuple[Path, Callable[[], int]]:
        status, _ = evaluation_paths(chosen.path)
        job = EvaluateJob(status, work_of(chosen.path, chosen.question, chosen.model, chosen.pair))
        return status, lambda: carry_out(job, job.carry_out)

    return work_alone(begin, announced=chosen.announced)


if __name__ == "__main__":
    sys.exit(main())
