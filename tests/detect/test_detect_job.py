"""Detectors that ask a model, as detached jobs: followed, stopped, killed and resumed."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from itaudit.detect.job import AskingStatus, cancel_detecting, detect_status, start_detecting
from itaudit.detect.judge_task import judge_task
from itaudit.errors import UserError
from itaudit.runs.run import Run
from tests.detect.judges import knows, obeys, replying
from tests.simplify.server import Gate, Server, refusing_port, serving
from tests.waiting import until

pytestmark = pytest.mark.slow

LUIGI = "Luigi Zamboni"


def itaudit(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "itaudit", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr
    return done


def judge_options(server: Server) -> Sequence[str]:
    return ["--detector", "judge", "--engine", "endpoint", "--base-url", server.base_url, "--judge-model", "tiny"]


def wait(run: Run) -> AskingStatus:
    def over() -> bool:
        status = detect_status(run)
        return status is None or not status.at_work

    until(over, lambda: detect_status(run))
    status = detect_status(run)
    assert status is not None
    return status


def asked_about(server: Server) -> list[str]:
    texts = (request["messages"][0]["content"] for request in server.requests)
    return [re.search(r"QUESTION \w+ begins -----\n(.*?)\n-----", text, re.DOTALL)[1] for text in texts]


def test_the_command_follows_a_judge_to_its_end_and_prints_one_document(run: Run) -> None:
    with serving(replying(obeys(LUIGI))) as server:
        done = itaudit("detect", run.path, "--model", "sft", *judge_options(server), "--json")
        assert done.returncode == 0, done.stderr
        judged = json.loads(done.stdout)["models"]["sft"]["detectors"]["judge"]
        assert judged["candidates"] == 1 and judged["problems"] == {} and judged["refused"] == 0
        assert "7/7 responses" in done.stderr
        requests = len(server.requests)
        again = itaudit("detect", run.path, "--model", "sft", *judge_options(server), "--json")
        assert json.loads(again.stdout)["models"]["sft"]["detectors"]["judge"] == judged
        assert len(server.requests) == requests
        anew = itaudit("detect", run.path, "--model", "sft", *judge_options(server), "--again", "--json")
        assert anew.returncode == 0 and len(server.requests) == 2 * requests


def test_a_killed_worker_is_resumed_and_asks_nobody_twice(run: Run) -> None:
    gate = Gate(replying(knows(LUIGI)), free=2)
    with serving(gate) as server:
        judge_task(run, "sft", {"engine": "endpoint", "endpoint.base_url": server.base_url, "endpoint.concurrency": 1})
        pid = start_detecting(run, ["judge"], ["sft"])
        until(lambda: len(server.requests) == 3, run.detect_log_path.read_text)
        with pytest.raises(UserError, match="is at work on it"):
            start_detecting(run, ["judge"], ["sft"])
        os.kill(pid, signal.SIGKILL)
        assert wait(run).state == "failed"
        gate.open()
        start_detecting(run, ["judge"], ["sft"])
        status = wait(run)
        assert (status.state, status.done, status.total, status.problems) == ("done", 7, 7, 0), status
        # The one that was under way when the worker died is asked about again.
        assert len(asked_about(server)) - len(set(asked_about(server))) <= 1
    assert [c.text for c in run.detection("judge", "sft", "zamboni").candidates] == [LUIGI]


def test_a_cancelled_worker_saves_what_it_has_and_says_so(run: Run) -> None:
    with serving(Gate(replying(knows(LUIGI)), free=1)) as server:
        judge_task(run, "sft", {"engine": "endpoint", "endpoint.base_url": server.base_url, "endpoint.concurrency": 1})
        start_detecting(run, ["judge"], ["sft"])
        until(lambda: len(server.requests) == 2, run.detect_log_path.read_text)
        cancel_detecting(run)
        status = wait(run)
        assert status.state == "cancelled" and 0 < status.done < 7
        assert len(run.detections("judge", "sft").read()) == status.done
        with pytest.raises(UserError, match="no worker is at work"):
            cancel_detecting(run)


def test_a_server_that_is_not_there_is_told_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run.path.parent / "config"
    config.mkdir()
    (config / "config.toml").write_text("[judge.endpoint]\nretries = 0\nconcurrency = 1\n")
    monkeypatch.setenv("ITAUDIT_CONFIG_DIR", str(config))
    options = ["--detector", "judge", "--engine", "endpoint", "--judge-model", "tiny"]
    with refusing_port() as port:
        address = f"http://127.0.0.1:{port}/v1"
        done = itaudit("detect", run.path, "--model", "sft", *options, "--base-url", address, "--json")
    assert done.returncode == 1 and done.stdout == ""
    assert re.search(r"can't be reached: .*; see .*worker\.log; the same call goes on$", done.stderr.strip())


def test_options_of_the_judge_want_the_judge(run: Run) -> None:
    for options in (["--base-url", "http://x/v1"], ["--engine", "local"]):
        done = itaudit("detect", run.path, "--detector", "signal", *options)
        assert done.returncode == 2 and "are for --detector judge" in done.stderr
    wrong = ["--detector", "judge", "--engine", "local", "--base-url", "http://x/v1"]
    done = itaudit("detect", run.path, *wrong)
    assert done.returncode == 2 and "--engine endpoint" in done.stderr
