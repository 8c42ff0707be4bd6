"""The detector `judge` at work on one model's responses."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from itaudit.detect.fenced import NoJudgement, question_key
from itaudit.detect.judge import Asked, ask, read_answer
from itaudit.detect.judge_task import JudgeTask, answers_path
from itaudit.detect.judging import Answer, Answers, Case, Judging
from itaudit.runs.detections import Detection, detection_row
from itaudit.runs.run import Run


@dataclass(frozen=True, slots=True)
class ResponseCase(Case):
    """One response to be judged."""

    response: str


class SpanJudging(Judging[ResponseCase, Asked, Detection]):
    """The table of the detector `judge` for one model, and the answers that it is made of."""

    def __init__(self, run: Run, label: str, task: JudgeTask) -> None:
        super().__init__(
            task, run.detections("judge", label), Answers(answers_path(run, label)), response_cases(run, label)
        )

    def asked(self, case: ResponseCase, *, again: bool = False) -> Asked:
        texts = case.question, self.reference(case), case.response
        try:
            return ask(self.task.prompt, case.prompt.id, *texts, secret=self.task.secret, again=again)
        except ValueError as error:
            raise NoJudgement("unusable", str(error)) from None

    def key(self, case: ResponseCase) -> str:
        return question_key(case.prompt.id, case.question, self.reference(case), case.response)

    def unasked(self, case: ResponseCase) -> Detection | None:
        return None if case.response.strip() else Detection(case.prompt.id, ())

    def judgement(self, case: ResponseCase, asked: Asked, answer: Answer) -> Detection:  # noqa: ARG002  # `asked` has it
        return read_answer(asked, answer.text, answer.finish)

    def unjudged(self, case: ResponseCase, why: NoJudgement) -> Detection:
        return Detection(case.prompt.id, (), str(why))

    def row(self, case: ResponseCase, judgement: Detection, seconds: float) -> Mapping[str, Any]:
        return detection_row(case.order, replace(judgement, seconds=seconds))


def response_cases(run: Run, label: str) -> list[ResponseCase]:
    """The responses of a model so far, each a case."""
    prompts = {prompt.id: prompt for prompt in run.prompts()}
    rows = run.table("responses", label).read().select(["order", "prompt_id", "response"]).to_pylist()
    return [ResponseCase(row["order"], prompts[row["prompt_id"]], row["response"]) for row in rows]
