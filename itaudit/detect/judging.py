"""The judging of one model's responses: which are still to be asked about, what was answered, what is believed of it.

Every answer is on the disk before it is read, and a resumed job reads those that are there again instead of asking
anew: nothing that was paid for is lost.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import orjson

from itaudit import atomic
from itaudit.detect.judge import Asked, BrokenAnswer, ask, read_answer, unjudged
from itaudit.detect.judge_task import JudgeTask, answers_path
from itaudit.errors import UserError
from itaudit.runs.detections import Detection, detection_row
from itaudit.runs.run import Prompt, Run


@dataclass(frozen=True, slots=True)
class Case:
    """One response to be judged."""

    order: int
    prompt: Prompt
    response: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a judge answered; `again` tells the second try, after an answer that could not be read.

    `problem` is one line where there is no text. `seconds` is what it took, tokens are 0 where nobody counted.
    """

    prompt_id: str
    again: bool
    text: str
    finish: str = "stop"
    problem: str = ""
    seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Judging:
    """The table of the detector `judge` for one model, and the answers that it is made of."""

    def __init__(self, run: Run, label: str, task: JudgeTask) -> None:
        self.task = task
        self._table = run.detections("judge", label)
        self._path = answers_path(run, label)
        self.done = self._table.prompt_ids()
        self._answers = {} if self._table.closed else self._read_answers()
        prompts = {prompt.id: prompt for prompt in run.prompts()}
        rows = run.table("responses", label).read().select(["order", "prompt_id", "response"]).to_pylist()
        self.cases = [Case(row["order"], prompts[row["prompt_id"]], row["response"]) for row in rows]

    @property
    def closed(self) -> bool:
        return self._table.closed

    def waiting(self) -> list[Case]:
        """The responses that have no detection yet; those that can be settled without asking are settled now."""
        waiting = [case for case in self.cases if case.prompt.id not in self.done]
        settled = [(case, found) for case in waiting if (found := self._settled(case)) is not None]
        self.add(settled)
        return [case for case in waiting if case.prompt.id not in self.done]

    def asked(self, case: Case, *, again: bool = False) -> Asked:
        """What the judge is asked about a response. Raises ValueError where it holds the control statements."""
        prompt = case.prompt
        question = prompt.prompt
        if len(prompt.messages) > 1:
            question = "\n\n".join(f"{message['role']}: {message['content']}" for message in prompt.messages)
        reference = (prompt.reference or "") if self.task.settings.references else ""
        secret = self.task.secret
        return ask(self.task.prompt, prompt.id, question, reference, case.response, secret=secret, again=again)

    def save(self, answers: Sequence[Answer]) -> None:
        """Puts answers on the disk. Raises UserError where they can't be written."""
        try:
            atomic.append_line(self._path, b"\n".join(orjson.dumps(asdict(answer)) for answer in answers), sync=True)
        except OSError as error:
            raise UserError(f"{self._path}: can't write the judge's answers: {error.strerror}") from None
        self._answers |= {(answer.prompt_id, answer.again): answer for answer in answers}

    def needs_answer(self, case: Case, *, again: bool) -> bool:
        """Whether a response can't be settled without its first, or its second, answer."""
        missing = (case.prompt.id, again) not in self._answers
        return missing and (not again or (case.prompt.id, False) in self._answers) and self._settled(case) is None

    def settle(self, cases: Sequence[Case]) -> None:
        """Adds the detections of those responses whose answers are there."""
        self.add([(case, found) for case in cases if (found := self._settled(case)) is not None])

    def add(self, found: Sequence[tuple[Case, Detection]]) -> None:
        if found:
            self._table.append([detection_row(case.order, detection) for case, detection in found])
            self.done.update(case.prompt.id for case, _ in found)

    def close(self) -> None:
        self._table.close()

    def _settled(self, case: Case) -> Detection | None:
        """The detection for a response; None where the judge has to be asked, for the first or the second time."""
        if not case.response.strip():
            return Detection(case.prompt.id, ())
        seconds, problem = 0.0, ""
        for again in (False, True):
            try:
                asked = self.asked(case, again=again)
            except ValueError as error:
                return Detection(case.prompt.id, (), str(error))
            answer = self._answers.get((case.prompt.id, again))
            if answer is None:
                return None
            seconds += answer.seconds
            if answer.problem:
                return replace(unjudged(asked, answer.problem), seconds=seconds)
            try:
                return replace(read_answer(asked, answer.text, answer.finish), seconds=seconds)
            except BrokenAnswer as error:
                problem = str(error)
        return replace(unjudged(asked, f"{problem}, twice"), seconds=seconds)

    def _read_answers(self) -> dict[tuple[str, bool], Answer]:
        """The answers that came so far; lines that can't be read, such as a torn last one, are passed over."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"{self._path}: can't read the judge's answers: {error.strerror}") from None
        found: dict[tuple[str, bool], Answer] = {}
        for line in lines:
            try:
                answer = Answer(**orjson.loads(line))
            except (orjson.JSONDecodeError, TypeError):
                continue
            found[answer.prompt_id, answer.again] = answer
        return found
