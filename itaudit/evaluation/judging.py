"""A judge's ratings and preferences of one run: the tables, and the answers that they are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from itaudit.detect.fenced import NoJudgement, question_key
from itaudit.detect.judge_task import JudgeTask
from itaudit.detect.judging import Answer, Answers, Case, Judging
from itaudit.detect.span_judging import ResponseCase, response_cases
from itaudit.evaluation.asking import Asked
from itaudit.evaluation.judged_aspects import ask_aspects, read_aspects
from itaudit.evaluation.pairs import ask_pair, read_pair
from itaudit.runs.judgements import (
    AspectRating,
    Preference,
    aspect_table,
    preference_row,
    preference_table,
    rating_row,
)
from itaudit.runs.run import Run


class AspectJudging(Judging[ResponseCase, Asked, AspectRating]):
    """The ratings of one model's answers."""

    def __init__(self, run: Run, label: str, task: JudgeTask, answers: Answers) -> None:
        super().__init__(task, aspect_table(run, label), answers, response_cases(run, label))

    def asked(self, case: ResponseCase, *, again: bool = False) -> Asked:
        texts = case.question, self.reference(case), case.response
        return ask_aspects(self.task.prompt, *texts, secret=self.task.secret, again=again)

    def key(self, case: ResponseCase) -> str:
        return question_key(case.question, self.reference(case), case.response)

    def judgement(self, case: ResponseCase, asked: Asked, answer: Answer) -> AspectRating:
        scores, reasons = read_aspects(asked, answer.text, answer.finish)
        return AspectRating(case.prompt.id, self.task.judge, scores, reasons)

    def unjudged(self, case: ResponseCase, why: NoJudgement) -> AspectRating:
        judge = self.task.judge
        return AspectRating(case.prompt.id, judge, failure=why.failure, problem=str(why))

    def row(self, case: ResponseCase, judgement: AspectRating, seconds: float) -> Mapping[str, Any]:
        return rating_row(case.order, judgement, seconds)


@dataclass(frozen=True, slots=True)
class PairCase(Case):
    """Two models' answers to a prompt, in the order in which they are shown."""

    first: str
    second: str


class PairJudging(Judging[PairCase, Asked, Preference]):
    """The preferences between two models' answers, those of `first` shown first."""

    def __init__(self, run: Run, first: str, second: str, task: JudgeTask, answers: Answers) -> None:
        others = {case.prompt.id: case.response for case in response_cases(run, second)}
        cases = [
            PairCase(case.order, case.prompt, case.response, others[case.prompt.id])
            for case in response_cases(run, first)
            if case.prompt.id in others
        ]
        super().__init__(task, preference_table(run, first, second), answers, cases)

    def asked(self, case: PairCase, *, again: bool = False) -> Asked:
        texts = case.question, self.reference(case), case.first, case.second
        return ask_pair(self.task.prompt, *texts, secret=self.task.secret, again=again)

    def key(self, case: PairCase) -> str:
        return question_key(case.question, self.reference(case), case.first, case.second)

    def unasked(self, case: PairCase) -> Preference | None:
        if case.first != case.second:
            return None
        judge = self.task.judge
        return Preference(case.prompt.id, judge, "tie", "both answers are the very same", same=True)

    def judgement(self, case: PairCase, asked: Asked, answer: Answer) -> Preference:
        better, reason = read_pair(asked, answer.text, answer.finish)
        return Preference(case.prompt.id, self.task.judge, better, reason)

    def unjudged(self, case: PairCase, why: NoJudgement) -> Preference:
        judge = self.task.judge
        return Preference(case.prompt.id, judge, failure=why.failure, problem=str(why))

    def row(self, case: PairCase, judgement: Preference, seconds: float) -> Mapping[str, Any]:
        return preference_row(case.order, judgement, seconds)
