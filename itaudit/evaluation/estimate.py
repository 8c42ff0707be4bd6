"""What a judge would still be asked about some runs, and about how many tokens that takes. Nobody is asked for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from itaudit.detect.judge_task import JudgeTask
from itaudit.detect.judging import Answers, Judging
from itaudit.evaluate_settings import Evaluate, Question
from itaudit.evaluation.judge_task import Wanted, answers_path, judge_of
from itaudit.evaluation.judging import AspectJudging, PairJudging
from itaudit.runs.run import Run
from itaudit.simplify.batch import CHARACTERS_PER_TOKEN


@dataclass(frozen=True, slots=True)
class Estimate:
    """Questions that have no answer yet, each counted once; tokens are reckoned from characters.

    `completion_tokens` is what answers may take at most. Answers that can't be read are asked for once more, which is
    not in it.
    """

    judge: str
    questions: int
    prompt_tokens: int
    completion_tokens: int


def estimate(folder: Path, work: Sequence[tuple[Run, Wanted]], asked: Evaluate, changes: Mapping[str, Any]) -> Estimate:
    """What is still to be asked about runs that share the judge of a folder.

    Raises UserError as `begin_judging` does.
    """
    tasks: dict[Question, JudgeTask] = {}
    texts: dict[tuple[Question, str], int] = {}
    questions: tuple[Question, ...] = get_args(Question)
    for question in questions:
        found = [(run, wanted) for run, wanted in work if (wanted.models if question == "aspects" else wanted.pairs)]
        if not found:
            continue
        tasks[question] = judge_of(folder, asked, changes, question)
        answers = Answers(answers_path(folder, question))
        for judging in _judgings(found, question, tasks[question], answers):
            for case in judging.unjudged_cases():
                if judging.needs_answer(case, again=False):
                    texts[question, judging.key(case)] = len(judging.asked(case).text)
    settings = next(iter(tasks.values())).settings
    longest = settings.local.max_new_tokens if settings.engine == "local" else settings.endpoint.max_tokens
    return Estimate(
        next(iter(tasks.values())).judge,
        len(texts),
        round(sum(texts.values()) / CHARACTERS_PER_TOKEN),
        len(texts) * longest,
    )


def _judgings(
    work: Iterable[tuple[Run, Wanted]], question: Question, task: JudgeTask, answers: Answers
) -> list[Judging[Any, Any, Any]]:
    if question == "aspects":
        return [AspectJudging(run, label, task, answers) for run, wanted in work for label in wanted.models]
    return [PairJudging(run, *pair, task, answers) for run, wanted in work for pair in wanted.ordered_pairs]
