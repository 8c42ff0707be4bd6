"""The proposer: a process that simplifies one instance at a time for the screens, its model loaded once.

`python -m itaudit.engine.proposer --engine local|endpoint`, with the user's settings. It speaks JSON lines. Its first
line is `{"ready": true, "engine": LABEL}`, or `{"problem": LINE}` before it exits with 1. Then `{"request": N,
"instance": {id, index, instruction, input, response, history}, "seed": S}` on stdin brings `{"request": N, …}` on
stdout, with the fields of a `Proposal` (`after`, `checks`, `problem` …). A seed other than 0 samples: another try.
Requests are answered as they get done, which with an endpoint need not be their order. The end of stdin ends it.
"""

import asyncio
import os
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, BinaryIO

import orjson

from itaudit.data.instance import Instance
from itaudit.engine.endpoint import EndpointError
from itaudit.errors import UserError
from itaudit.simplify.prompts import read_prompt
from itaudit.simplify.proposal import Proposal, failed, instance_from_json
from itaudit.simplify.readability import load_dictionary
from itaudit.simplify.settings import Settings, read_settings, with_changes

Propose = Callable[[Instance, int], Awaitable[Proposal]]


class Answers:
    """The lines that go to the screens; whatever else is printed goes to stderr."""

    def __init__(self) -> None:
        self._out: BinaryIO = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def write(self, answer: dict[str, Any]) -> None:
        try:
            self._out.write(orjson.dumps(answer) + b"\n")
            self._out.flush()
        except BrokenPipeError:
            # Nobody is left to answer.
            os._exit(0)


async def serve(settings: Settings, answers: Answers) -> None:
    """Answers requests until stdin ends; raises UserError where the engine can't be had."""
    prompt = read_prompt(settings.prompt)
    load_dictionary()
    if settings.engine == "local":
        from itaudit.engine.local_proposals import LocalProposals

        model = LocalProposals(settings, prompt)

        async def by_model(instance: Instance, seed: int) -> Proposal:
            return model.propose([instance], seed=seed)[0]

        await _answer_all(by_model, settings.engine_label, answers)
        return
    from itaudit.engine.endpoint_proposals import EndpointProposals

    settings.require_engine("config.toml")
    server = EndpointProposals(settings, prompt)
    async with server.endpoint as endpoint:
        try:
            await endpoint.find_model()
        except EndpointError as error:
            raise UserError(str(error)) from None

        async def by_server(instance: Instance, seed: int) -> Proposal:
            try:
                return await server.propose(instance, seed=seed)
            except EndpointError as error:
                return failed(instance, server.label, str(error))

        await _answer_all(by_server, server.label, answers)


async def _answer_all(propose: Propose, label: str, answers: Answers) -> None:
    answers.write({"ready": True, "engine": label})
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    threading.Thread(target=_read, args=(asyncio.get_running_loop(), lines), daemon=True).start()
    # A task that nobody holds may be collected before it is done.
    under_way: set[asyncio.Task[None]] = set()
    while True:
        line = await lines.get()
        task = asyncio.create_task(_answer(line, propose, label, answers))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


def _read(loop: asyncio.AbstractEventLoop, lines: "asyncio.Queue[bytes]") -> None:
    while line := sys.stdin.buffer.readline():
        loop.call_soon_threadsafe(lines.put_nowait, line)
    # The screens are gone, and with them whoever waits for what is being generated.
    os._exit(0)


async def _answer(line: bytes, propose: Propose, label: str, answers: Answers) -> None:
    """One request; whatever is wrong with it is an answer."""
    request: Any = None
    try:
        asked = orjson.loads(line)
        request = asked.get("request")
        instance, seed = instance_from_json(asked["instance"]), int(asked.get("seed", 0))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        answers.write({"request": request, "after": "", "problem": f"not a request: {type(error).__name__}: {error}"})
        return
    try:
        proposal = await propose(instance, seed)
    except UserError as error:
        proposal = failed(instance, label, str(error))
    except (RuntimeError, ValueError, MemoryError) as error:
        # Libraries raise these for one hard instance; the next may do.
        told = str(error).splitlines()[0] if str(error) else ""
        proposal = failed(instance, label, f"the model failed: {type(error).__name__}: {told}")
    answers.write({"request": request, **proposal.to_json()})


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    parser = ArgumentParser(prog="python -m itaudit.engine.proposer")
    parser.add_argument("--engine", choices=["local", "endpoint"], required=True)
    chosen = parser.parse_args(arguments)
    answers = Answers()
    try:
        asyncio.run(serve(with_changes(read_settings(), {"engine": chosen.engine}, "--engine"), answers))
    except UserError as error:
        answers.write({"problem": str(error)})
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
