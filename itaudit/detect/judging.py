"""The judging of a run's answers: which are still to be asked about, what was answered, what is believed of it.

Every answer is on the disk before it is read, and a resumed job reads those that are there again instead of asking
anew: nothing that was paid for is lost.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import orjson

from itaudit import atomic
from itaudit.detect.fenced import BrokenAnswer, NoJudgement
from itaudit.detect.judge_task import JudgeTask
from itaudit.errors import UserError
from itaudit.runs.rows import Prompt
from itaudit.runs.tables import GrowingTable


@dataclass(frozen=True, slots=True)
class Case:
    """A prompt whose answer, or answers, are to be judged."""

    order: int
    prompt: Prompt

    @property
    def question(self) -> str:
        """The prompt with the turns before it, as a judge reads it."""
        messages = self.prompt.messages
        if len(messages) < 2:
            return self.prompt.prompt
        return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a judge answered; `again` tells the second try, after an answer that could not be read.

    `key` is the question's. `problem` is one line where there is no text. `seconds` is what it took, tokens are 0 where
    nobody counted. `model` is what the server says that answered, empty where it does not say.
    """

    key: str
    again: bool
    text: str
    finish: str = "stop"
    problem: str = ""
    seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str = ""


class Answers:
    """A judge's answers as they came, in a file of a JSON object a line.

    `model` is what the server said that answered the first of them; empty where it did not say.
    """

    def __init__(self, path: Path) -> None:
        """Lines that can't be read, such as a torn last one, are passed over. Raises UserError for the file itself."""
        self._path = path
        self.model = ""
        self._found: dict[tuple[str, bool], Answer] = {}
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        except OSError as error:
            raise UserError(f"{path}: can't read the judge's answers: {error.strerror}") from None
        for line in lines:
            try:
                answer = Answer(**orjson.loads(line))
            except (orjson.JSONDecodeError, TypeError):
                continue
            self._keep(answer)

    def get(self, key: str, again: bool) -> Answer | None:
        return self._found.get((key, again))

    def save(self, answers: Sequence[Answer]) -> None:
        """Puts answers on the disk. Raises UserError where they can't be written."""
        try:
            atomic.append_line(self._path, b"\n".join(orjson.dumps(asdict(answer)) for answer in answers), sync=True)
        except OSError as error:
            raise UserError(f"{self._path}: can't write the judge's answers: {error.strerror}") from None
        for answer in answers:
            self._keep(answer)

    def _keep(self, answer: Answer) -> None:
        self._found[answer.key, answer.again] = answer
        self.model = self.model or answer.model


class Question(Protocol):
    """What a judge is asked."""

    @property
    def text(self) -> str: ...


C = TypeVar("C", bound=Case)
Q = TypeVar("Q", bound=Question)
J = TypeVar("J")


class Judging(ABC, Generic[C, Q, J]):
    """Cases that one judge is asked about, and the table of what is believed of its answers.

    C is a kind of case, Q of question, and J of judgement. `done` holds the prompts that are judged, and `problems`
    counts those among them of which there is no judgement.
    """

    def __init__(self, task: JudgeTask, table: GrowingTable, answers: Answers, cases: Sequence[C]) -> None:
        self.task = task
        self.cases = cases
        found = table.read()
        self.done = set(found["prompt_id"].to_pylist())
        self.problems = sum(map(bool, found["problem"].to_pylist()))
        self._table = table
        self._answers = answers

    @abstractmethod
    def asked(self, case: C, *, again: bool = False) -> Q:
        """What the judge is asked about a case, the second time with a reminder.

        Raises NoJudgement where it can't be asked about it.
        """

    @abstractmethod
    def judgement(self, case: C, asked: Q, answer: Answer) -> J:
        """What is believed of an answer. Raises BrokenAnswer where it can't be read, NoJudgement where it is none."""

    @abstractmethod
    def unjudged(self, case: C, why: NoJudgement) -> J:
        """What is said of a case of whose judge nothing is believed."""

    @abstractmethod
    def row(self, case: C, judgement: J, seconds: float) -> Mapping[str, Any]:
        """The table's row; `seconds` is what the judge took."""

    def unasked(self, case: C) -> J | None:  # noqa: ARG002  # for those that can settle some cases by themselves
        """What is said of a case about which nobody need be asked."""
        return None

    def reference(self, case: C) -> str:
        """The reference answer that the judge is shown; empty where there is none."""
        return (case.prompt.reference or "") if self.task.settings.references else ""

    @abstractmethod
    def key(self, case: C) -> str:
        """Tells what is asked about a case; the same is not asked twice."""

    @property
    def answered_by(self) -> str:
        """What the server said that gave the answers so far; empty where it did not say."""
        return self._answers.model

    def unjudged_cases(self) -> list[C]:
        """The cases that are not judged yet."""
        return [case for case in self.cases if case.prompt.id not in self.done]

    def waiting(self) -> list[C]:
        """The cases that are not judged yet; those that can be settled without asking are settled now."""
        self.settle(self.unjudged_cases())
        return self.unjudged_cases()

    def save(self, answers: Sequence[Answer]) -> None:
        """Puts answers on the disk. Raises UserError where they can't be written."""
        self._answers.save(answers)

    def needs_answer(self, case: C, *, again: bool) -> bool:
        """Whether a case can't be settled without its first, or its second, answer."""
        key = self.key(case)
        missing = self._answers.get(key, again) is None
        return missing and (not again or self._answers.get(key, False) is not None) and self._settled(case) is None

    def settle(self, cases: Sequence[C]) -> None:
        """Adds the judgements of those cases whose answers are there."""
        rows = [(case, row) for case in cases if (row := self._settled(case)) is not None]
        if rows:
            self._table.append([row for _, row in rows])
            self.done.update(case.prompt.id for case, _ in rows)
            self.problems += sum(bool(row["problem"]) for _, row in rows)

    def close(self) -> None:
        """Says that the table is whole."""
        if not self._table.closed:
            self._table.close()

    def _settled(self, case: C) -> Mapping[str, Any] | None:
        """The row of a case; None where the judge has to be asked, for the first or the second time."""
        known = self.unasked(case)
        if known is not None:
            return self.row(case, known, 0.0)
        seconds, why = 0.0, NoJudgement("nonsense", "")
        for again in (False, True):
            try:
                asked = self.asked(case, again=again)
                answer = self._answers.get(self.key(case), again)
                if answer is None:
                    return None
                seconds += answer.seconds
                if answer.problem:
                    raise NoJudgement("unusable", answer.problem)
                return self.row(case, self.judgement(case, asked, answer), seconds)
            except NoJudgement as error:
                return self.row(case, self.unjudged(case, error), seconds)
            except BrokenAnswer as error:
                why = NoJudgement("nonsense", f"{error}, twice")
        return self.row(case, self.unjudged(case, why), seconds)
