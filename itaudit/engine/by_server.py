"""Many requests to one server, several at once, until all are answered or nothing gets through any more."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from itaudit.engine.endpoint import Endpoint, EndpointError
from itaudit.errors import UserError

T = TypeVar("T")


async def ask_for_each(
    endpoint: Endpoint,
    items: Iterable[T],
    answer: Callable[[T], Awaitable[None]],
    *,
    unusable: Callable[[T, str], None],
    check: Callable[[], None],
    begin: Callable[[], None] = lambda: None,
) -> None:
    """Has `answer` ask the server about each item and save what comes back.

    `unusable` is told an item and why, where the server answered nothing that can be used. What it did not get to
    answer stays undone. `begin` is called once the server has said its model and before the first item is taken, and
    may raise as well as `check`, which is called now and then. Raises UserError where the server can't be used, or
    where something stayed undone.
    """
    limit = endpoint.settings.concurrency
    patience = max(5, 2 * limit)
    remaining = iter(items)
    failures, undone, last = 0, 0, ""

    async def work() -> None:
        nonlocal failures, undone, last
        for item in remaining:
            try:
                await answer(item)
                failures = 0
            except EndpointError as error:
                failures, last = failures + 1, str(error)
                if error.kind == "answer":
                    unusable(item, last)
                else:
                    undone += 1
                if error.kind == "fatal" or failures >= patience:
                    raise

    async with endpoint:
        try:
            await _while_wanted(check, [asyncio.create_task(endpoint.find_model())])
            begin()
            await _while_wanted(check, [asyncio.create_task(work()) for _ in range(limit)])
        except EndpointError as error:
            raise UserError(str(error)) from None
    if undone:
        raise UserError(f"{undone} have no answer, and a resume asks for them again: {last}")


async def _while_wanted(check: Callable[[], None], tasks: Sequence["asyncio.Task[Any]"]) -> None:
    """Waits for tasks; stops them all when one fails, or when `check` raises."""
    pending = set(tasks)
    try:
        while pending:
            done, pending = await asyncio.wait(pending, timeout=0.1, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
            check()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
