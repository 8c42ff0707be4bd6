"""The judge asked: a model in this process, or one behind a server, about all responses that wait for it."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from itaudit.detect.judge_task import JudgeTask, with_model
from itaudit.detect.judging import Answer, Case, Judging

if TYPE_CHECKING:
    from itaudit.engine.local_model import LocalModel

AnyJudging = Judging[Any, Any, Any]

WRITE_SECONDS = 1.0
"""Judgements of a server's answers are put into the table so often; the answers themselves are saved at once."""


def judge_locally(
    task: JudgeTask, judgings: Sequence[AnyJudging], *, check: Callable[[], None], progress: Callable[[int], None]
) -> None:
    """Has one model in this process judge what waits for it, batch by batch, as the settings of `task` say.

    `check` is called before each batch and at each token, and may raise; `progress` is told how many cases of all
    judgings are done. Raises UserError where the model can't be had.
    """
    waiting = [(judging, judging.waiting()) for judging in judgings]
    if any(cases for _, cases in waiting):
        # A server needs none of the model libraries.
        from itaudit.engine.local_model import LocalModel

        model = LocalModel(task.settings.local, f"{task.where}.local")
        size = task.settings.local.batch_size
        try:
            for judging, cases in waiting:
                for start in range(0, len(cases), size):
                    _judge_batch(judging, model, cases[start : start + size], check)
                    progress(_done(judgings))
                judging.close()
        finally:
            model.close()
    _close(judgings, progress)


def _close(judgings: Sequence[AnyJudging], progress: Callable[[int], None]) -> None:
    for judging in judgings:
        judging.close()
    progress(_done(judgings))


def _done(judgings: Sequence[AnyJudging]) -> int:
    return sum(len(judging.done) for judging in judgings)


def _judge_batch(judging: AnyJudging, model: "LocalModel", batch: Sequence[Case], check: Callable[[], None]) -> None:
    for again in (False, True):
        # Of cases that ask the very same, one is asked about.
        cases = {judging.key(case): case for case in batch if judging.needs_answer(case, again=again)}
        check()
        _answer_locally(judging, model, cases, check, again=again)
    judging.settle(batch)


def _answer_locally(
    judging: AnyJudging, model: "LocalModel", cases: dict[str, Case], check: Callable[[], None], *, again: bool
) -> None:
    if not cases:
        return
    started = time.perf_counter()
    told = model.answers([judging.asked(case, again=again).text for case in cases.values()], check=check)
    seconds = (time.perf_counter() - started) / len(cases)
    judging.save(
        [
            Answer(
                key,
                again,
                answer.text,
                answer.finish,
                answer.problem,
                seconds,
                answer.prompt_tokens,
                answer.completion_tokens,
            )
            for key, answer in zip(cases, told, strict=True)
        ]
    )


def judge_by_server(
    task: JudgeTask, judgings: Sequence[AnyJudging], *, check: Callable[[], None], progress: Callable[[int], None]
) -> None:
    """Has a server judge what waits for it, as many at once as the settings of `task` allow, which are all judgings'.

    What it did not get to answer is left to a resume. Raises UserError where it can't be used, or left something.
    """
    left = [judging for judging in judgings if judging.unjudged_cases()]
    # What is settled without asking names its judge as well, and waits until that is known.
    if not all(judging.task.model for judging in left) or any([judging.waiting() for judging in left]):
        _ServerJudge(task, judgings, check, progress).work()
    _close(judgings, progress)


class _ServerJudge:
    """The requests of some judgings to one server."""

    def __init__(
        self,
        task: JudgeTask,
        judgings: Sequence[AnyJudging],
        check: Callable[[], None],
        progress: Callable[[int], None],
    ) -> None:
        # Audits without such a judge start a second sooner without its library.
        from itaudit.engine.endpoint import Endpoint

        self._judgings, self._check, self._progress = judgings, check, progress
        self._endpoint = Endpoint(task.settings.endpoint, f"{task.where}.endpoint")
        self._ready: list[tuple[AnyJudging, Case]] = []
        self._under_way: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._written = time.monotonic()

    def work(self) -> None:
        from itaudit.engine.by_server import ask_for_each

        try:
            asyncio.run(
                ask_for_each(
                    self._endpoint,
                    self._waiting(),
                    self._answer,
                    unusable=self._unusable,
                    check=self._check,
                    begin=self._begin,
                )
            )
        finally:
            self._settle()

    def _begin(self) -> None:
        for judging in self._judgings:
            if judging.unjudged_cases():
                judging.task = with_model(judging.task, self._endpoint.model)

    def _waiting(self) -> Iterator[tuple[AnyJudging, Case]]:
        for judging in self._judgings:
            for case in judging.waiting():
                yield judging, case

    async def _answer(self, waiting: tuple[AnyJudging, Case]) -> None:
        judging, case = waiting
        # The same question of two models that answered alike waits for the first one's answer.
        async with self._under_way[judging.key(case)]:
            for again in (False, True):
                if judging.needs_answer(case, again=again):
                    await self._ask(judging, case, again=again)
        self._ready.append(waiting)
        if time.monotonic() - self._written > WRITE_SECONDS:
            self._settle()

    async def _ask(self, judging: AnyJudging, case: Case, *, again: bool) -> None:
        started = time.perf_counter()
        told = await self._endpoint.complete([{"role": "user", "content": judging.asked(case, again=again).text}])
        seconds = time.perf_counter() - started
        if told.model and judging.answered_by and told.model != judging.answered_by:
            from itaudit.engine.endpoint import EndpointError

            raise EndpointError(
                f"{self._endpoint.settings.base_url}: {told.model} answers, and {judging.answered_by} gave the answers "
                "before; have that one answer again, or --again judges anew",
                "fatal",
            )
        counts = told.prompt_tokens, told.completion_tokens
        judging.save([Answer(judging.key(case), again, told.text, told.finish, "", seconds, *counts, told.model)])

    def _unusable(self, waiting: tuple[AnyJudging, Case], problem: str) -> None:
        judging, case = waiting
        again = not judging.needs_answer(case, again=False)
        judging.save([Answer(judging.key(case), again, "", problem=problem)])
        self._ready.append(waiting)

    def _settle(self) -> None:
        for judging in self._judgings:
            judging.settle([case for owner, case in self._ready if owner is judging])
        self._ready, self._written = [], time.monotonic()
        self._progress(_done(self._judgings))
