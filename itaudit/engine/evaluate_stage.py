"""A judge asked about the answers of runs: aspects of each, and which of two is better."""

from collections.abc import Callable, Sequence

from itaudit.detect.judge_task import JudgeTask
from itaudit.detect.judging import Answers
from itaudit.engine.device_lock import held_file
from itaudit.engine.judging_engines import AnyJudging
from itaudit.engine.model_detectors import Calls, ask_judge
from itaudit.engine.reporter import Reporter
from itaudit.errors import UserError
from itaudit.evaluate_settings import Question
from itaudit.evaluation.judge_task import Wanted, answers_path, judging_task, recipe_wanted
from itaudit.evaluation.judging import AspectJudging, PairJudging
from itaudit.runs.judgements import judging_folder
from itaudit.runs.run import Run

Work = Sequence[tuple[Run, Wanted]]
"""Runs that share a judge, and what is asked about each."""


def evaluated(run: Run) -> bool:
    """Whether the judge of the recipe has looked at all that the recipe asks about."""
    return all(table.closed for table in recipe_wanted(run).tables(run))


def evaluate_responses(run: Run, reporter: Reporter, *, held: str) -> None:
    """The evaluate stage: what the recipe's judge says; what is there stays. `held` is the device that the worker has.

    Raises UserError where the judge can't be had, or does not answer.
    """

    def begun(judgings: Sequence[AnyJudging]) -> None:
        total, done = sum(len(judging.cases) for judging in judgings), sum(len(judging.done) for judging in judgings)
        reporter.stage_started("evaluate", "", total=total, unit="judgements", done=done)

    def progress(done: int) -> None:
        reporter.progress("evaluate", "", done)

    calls = Calls(reporter.check, progress, lambda _: None)
    judge_answers([(run, recipe_wanted(run))], calls, begun, held=held)
    reporter.stage_done("evaluate", "")


def judge_answers(work: Work, calls: Calls, begun: Callable[[Sequence[AnyJudging]], None], *, held: str = "") -> None:
    """Fills and closes the tables of some runs that share a judge; what is in them stays.

    `begun` is given the judgings before the first is worked on. `held` is the device whose lock the caller holds.
    Raises UserError where answers are missing, or the judge can't be had or does not answer.
    """
    if not work:
        return
    folder = judging_folder(work[0][0])
    with held_file(folder / "judge.lock", f"the judge of {folder.parent}", waiting=calls.waiting, check=calls.check):
        calls.waiting("")
        groups = _judgings(work)
        judgings = [judging for _, group in groups for judging in group]
        begun(judgings)
        before = 0
        for task, group in groups:
            ask_judge(task, group, calls.after(before), held=held)
            before += sum(len(judging.done) for judging in group)


def _judgings(work: Work) -> list[tuple[JudgeTask, list[AnyJudging]]]:
    """What is asked, grouped by the settings of who is asked: a model is loaded once for all of its questions."""
    stores: dict[Question, tuple[JudgeTask, Answers]] = {}

    def store(run: Run, question: Question) -> tuple[JudgeTask, Answers]:
        if question not in stores:
            stores[question] = judging_task(run, question), Answers(answers_path(judging_folder(run), question))
        return stores[question]

    judgings: list[AnyJudging] = []
    for run, wanted in work:
        for label in wanted.labels:
            if not run.table("responses", label).closed:
                raise UserError(
                    f"{run.path}: {label} has not answered all prompts; `itaudit resume {run.path}` goes on"
                )
        judgings += [AspectJudging(run, label, *store(run, "aspects")) for label in wanted.models]
        judgings += [PairJudging(run, *pair, *store(run, "pairs")) for pair in wanted.ordered_pairs]
    groups: list[tuple[JudgeTask, list[AnyJudging]]] = []
    for judging in judgings:
        group = next((group for task, group in groups if task.settings == judging.task.settings), None)
        if group is None:
            groups.append((judging.task, [judging]))
        else:
            group.append(judging)
    return groups
