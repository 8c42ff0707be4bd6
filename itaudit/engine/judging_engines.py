"""The judge asked: a model in this process, or one behind a server, about all responses that wait for it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from itaudit.detect.judging import Answer, Case, Judging
from itaudit.engine.by_server import ask_for_each
from itaudit.engine.endpoint import Endpoint

if TYPE_CHECKING:
    from itaudit.engine.local_model import LocalModel

WRITE_SECONDS = 1.0
"""Detections of a server's answers are put into the table so often; the answers themselves are saved at once."""


def judge_locally(judging: Judging, *, check: Callable[[], None], progress: Callable[[int], None]) -> None:
    """Has a model in this process judge what waits for it, batch by batch.

    `check` is called before each batch and at each token, and may raise; `progress` is told how many responses are
    done. Raises UserError where the model can't be had.
    """
    # A server needs none of the model libraries.
    from itaudit.engine.local_model import LocalModel

    task = judging.task
    waiting = judging.waiting()
    if waiting:
        model = LocalModel(task.settings.local, f"{task.where}.local")
        size = task.settings.local.batch_size
        try:
            for start in range(0, len(waiting), size):
                batch = waiting[start : start + size]
                for again in (False, True):
                    cases = [case for case in batch if judging.needs_answer(case, again=again)]
                    check()
                    _answer_locally(judging, model, cases, check, again=again)
                judging.settle(batch)
                progress(len(judging.done))
        finally:
            model.close()
    judging.close()


def _answer_locally(
    judging: Judging, model: "LocalModel", cases: Sequence[Case], check: Callable[[], None], *, again: bool
) -> None:
    if not cases:
        return
    started = time.perf_counter()
    told = model.answers([judging.asked(case, again=again).text for case in cases], check=check)
    seconds = (time.perf_counter() - started) / len(cases)
    judging.save(
        [
            Answer(
                case.prompt.id,
                again,
                answer.text,
                answer.finish,
                answer.problem,
                seconds,
                answer.prompt_tokens,
                answer.completion_tokens,
            )
            for case, answer in zip(cases, told, strict=True)
        ]
    )


def judge_by_server(judging: Judging, *, check: Callable[[], None], progress: Callable[[int], None]) -> None:
    """Has a server judge what waits for it, as many at once as the settings allow.

    What it did not get to answer is left to a resume. Raises UserError where it can't be used, or left something.
    """
    waiting = judging.waiting()
    if waiting:
        _ServerJudge(judging, check, progress).work(waiting)
    judging.close()


class _ServerJudge:
    """The requests of one judging to a server."""

    def __init__(self, judging: Judging, check: Callable[[], None], progress: Callable[[int], None]) -> None:
        task = judging.task
        self._judging, self._check, self._progress = judging, check, progress
        self._endpoint = Endpoint(task.settings.endpoint, f"{task.where}.endpoint")
        self._ready: list[Case] = []
        self._written = time.monotonic()

    def work(self, waiting: Sequence[Case]) -> None:
        try:
            asyncio.run(
                ask_for_each(
                    self._endpoint,
                    waiting,
                    self._answer,
                    unusable=self._unusable,
                    check=self._check,
                )
            )
        finally:
            self._settle()

    async def _answer(self, case: Case) -> None:
        judging = self._judging
        for again in (False, True):
            if judging.needs_answer(case, again=again):
                started = time.perf_counter()
                told = await self._endpoint.complete(
                    [{"role": "user", "content": judging.asked(case, again=again).text}]
                )
                seconds = time.perf_counter() - started
                counts = told.prompt_tokens, told.completion_tokens
                judging.save([Answer(case.prompt.id, again, told.text, told.finish, "", seconds, *counts)])
        self._ready.append(case)
        if time.monotonic() - self._written > WRITE_SECONDS:
            self._settle()

    def _unusable(self, case: Case, problem: str) -> None:
        again = not self._judging.needs_answer(case, again=False)
        self._judging.save([Answer(case.prompt.id, again, "", problem=problem)])
        self._ready.append(case)

    def _settle(self) -> None:
        self._judging.settle(self._ready)
        self._ready, self._written = [], time.monotonic()
        self._progress(len(self._judging.done))
