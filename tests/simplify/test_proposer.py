"""The proposer process: JSON lines in, JSON lines out, and a problem is an answer."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from itaudit.data.instance import Instance
from itaudit.simplify.proposal import Proposal, instance_to_json
from tests.simplify.server import hangs, sends, serving, shorter
from tests.waiting import PATIENCE, until

INSTANCE = Instance(7, "x7", "What is DNA?", response="DNA is a long molecule. It carries the instructions for life.")


class Child:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def ask(self, **request: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@contextmanager
def proposer(tmp_path: Path, engine: str, config: str = "") -> Iterator[Child]:
    (tmp_path / "config.toml").write_text(config)
    process = subprocess.Popen(
        [sys.executable, "-m", "itaudit.engine.proposer", "--engine", engine],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"ITAUDIT_CONFIG_DIR": str(tmp_path)},
    )
    try:
        yield Child(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def server_config(base_url: str, more: str = "") -> str:
    return f'[simplify.endpoint]\nbase_url = "{base_url}"\nmodel = "tiny"\nretries = 0\n{more}'


def test_requests_are_answered_with_checked_proposals_and_problems(tmp_path: Path) -> None:
    with serving(shorter) as server, proposer(tmp_path, "endpoint", server_config(server.base_url)) as child:
        assert child.answer() == {"ready": True, "engine": "endpoint:tiny"}
        child.ask(request=1, instance=instance_to_json(INSTANCE))
        first = child.answer()
        assert first.pop("request") == 1
        proposal = Proposal.from_json(first)
        assert proposal.after == "DNA is a long molecule." and proposal.id == "x7" and proposal.checks is not None
        child.ask(request=2, instance=instance_to_json(INSTANCE), seed=5)
        assert child.answer()["seed"] == 5
        assert server.requests[0]["temperature"] == 0 and "seed" not in server.requests[0]
        assert server.requests[1]["temperature"] > 0 and server.requests[1]["seed"] == 5
        server.usual = sends("busy", 503, "text/plain")
        child.ask(request=3, instance=instance_to_json(INSTANCE))
        failed = child.answer()
        assert failed["request"] == 3 and "answered 503" in failed["problem"] and failed["after"] == ""
        child.ask(request=4, instance={"id": 3})
        assert "not a request" in child.answer()["problem"]
        child.ask(request=5, instance=None)
        assert child.answer()["request"] == 5
        assert child.process.stdin is not None
        child.process.stdin.write(b"[1]\n\xff\n")
        child.process.stdin.flush()
        assert [child.answer()["request"] for _ in range(2)] == [None, None]
        server.usual = shorter
        child.ask(request=6, instance=instance_to_json(INSTANCE))
        assert child.answer()["after"] == "DNA is a long molecule."


def test_the_end_of_stdin_ends_it_even_while_a_server_hangs(tmp_path: Path) -> None:
    with serving(hangs) as server, proposer(tmp_path, "endpoint", server_config(server.base_url)) as child:
        child.answer()
        child.ask(request=1, instance=instance_to_json(INSTANCE))
        until(lambda: server.requests)
        assert child.process.stdin is not None
        child.process.stdin.close()
        assert child.process.wait(timeout=PATIENCE) == 0


def test_what_keeps_it_from_starting_is_its_first_line(tmp_path: Path) -> None:
    with proposer(tmp_path, "endpoint") as child:
        assert "base_url: required" in child.answer()["problem"]
        assert child.process.wait(timeout=PATIENCE) == 1
    with proposer(tmp_path, "endpoint", "[simplify]\nkept = 7") as child:
        assert "simplify.kept" in child.answer()["problem"]


@pytest.mark.slow
def test_the_local_engine_simplifies_greedily_and_tries_again_otherwise(tmp_path: Path) -> None:
    with proposer(tmp_path, "local", "[simplify.local]\nmax_new_tokens = 12\ntemperature = 1.5") as child:
        assert child.answer() == {"ready": True, "engine": "local:embedded"}
        afters = []
        for request, seed in enumerate([0, 0, 3, 3, 4]):
            child.ask(request=request, instance=instance_to_json(INSTANCE), seed=seed)
            answer = child.answer()
            assert answer["request"] == request and not answer["problem"] and answer["completion_tokens"] > 1
            afters.append(answer["after"])
        assert afters[0] == afters[1] and afters[2] == afters[3]
        assert len({afters[0], afters[2], afters[4]}) == 3
        long = Instance(8, "x8", "What?", response="DNA is a molecule. " * 2500)
        child.ask(request=9, instance=instance_to_json(long))
        assert "the model reads 8192 tokens, and the prompt has" in child.answer()["problem"]
