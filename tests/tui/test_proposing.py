"""The process that proposes: a real child that speaks JSON lines, also one that hangs, dies or says nonsense."""

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from itaudit.errors import UserError
from itaudit.tui.proposing import Proposer

CHILD = """
import json, os, sys, time
print("a library that prints on standard output", flush=True)
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if asked["do"] == "die":
        print("warming up", file=sys.stderr)
        print("out of memory: \\x1b[2J 12 GB wanted", file=sys.stderr)
        sys.exit(3)
    if asked["do"] == "sleep":
        time.sleep(600)
    if asked["do"] == "late":
        print(json.dumps({"request": asked["request"] - 1, "after": "too late"}), flush=True)
    answer = {"request": asked["request"], "after": "x" * asked.get("length", 3), "pid": os.getpid()}
    print(json.dumps(answer), flush=True)
"""


def child(code: str = CHILD) -> list[str]:
    return [sys.executable, "-c", code]


async def test_the_process_starts_on_first_use_and_is_kept() -> None:
    proposer = Proposer(child())
    assert proposer.pid is None and proposer.state == "none"
    first = await proposer.ask({"do": "answer"})
    assert proposer.state == "ready" and first["after"] == "xxx" and first["pid"] == proposer.pid
    assert (await proposer.ask({"do": "answer"}))["pid"] == first["pid"]
    await proposer.end()
    assert not psutil.pid_exists(first["pid"]) and proposer.pid is None


async def test_an_answer_of_a_megabyte_arrives_whole() -> None:
    proposer = Proposer(child())
    assert len((await proposer.ask({"do": "answer", "length": 2**20}))["after"]) == 2**20
    await proposer.end()


async def test_an_answer_to_what_was_given_up_is_passed_over() -> None:
    proposer = Proposer(child())
    assert (await proposer.ask({"do": "late"}))["after"] == "xxx"
    await proposer.end()


async def test_a_process_that_dies_tells_its_last_words_and_the_next_request_starts_another() -> None:
    proposer = Proposer(child())
    with pytest.raises(UserError, match=r"ended with exit code 3: out of memory: ␛\[2J 12 GB wanted"):
        await proposer.ask({"do": "die"})
    assert (await proposer.ask({"do": "answer"}))["after"] == "xxx"
    await proposer.end()


async def test_a_process_that_dies_before_it_is_ready_says_why() -> None:
    proposer = Proposer(child("import sys; sys.exit('no such model')"))
    with pytest.raises(UserError, match="no such model"):
        await proposer.ask({"do": "answer"})


async def test_a_problem_in_the_first_line_is_the_one_that_is_told() -> None:
    proposer = Proposer(child('print(\'{"problem": "config.toml: simplify.local.model: there is no such folder"}\')'))
    with pytest.raises(UserError, match=r"^config\.toml: simplify\.local\.model"):
        await proposer.ask({"do": "answer"})


async def test_a_busy_process_ends_at_once_and_one_that_ignores_the_signal_is_killed() -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + CHILD
    proposer = Proposer(child(stubborn))
    asking = asyncio.create_task(proposer.ask({"do": "sleep"}))
    while proposer.state != "ready":
        await asyncio.sleep(0.02)
    pid = proposer.pid
    assert pid is not None
    asking.cancel()
    await proposer.end()
    assert not psutil.pid_exists(pid)


async def test_a_command_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't start"):
        await Proposer([str(tmp_path / "none")]).ask({})
