"""`itaudit evaluate`: tables on stdout, a judge in a process of its own, one-line errors on stderr."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from itaudit.engine.evaluate_stage import judge_answers
from itaudit.engine.model_detectors import Calls
from itaudit.evaluation.judge_task import begin_judging
from itaudit.experiments.evaluating import evaluation_paths, evaluation_status, start_evaluating, work_of
from itaudit.runs.judgements import (
    AspectRating,
    Preference,
    aspect_table,
    judging_folder,
    preference_row,
    preference_table,
    rating_row,
)
from itaudit.runs.run import Run
from itaudit.runs.status import Status
from tests.commands import ItauditHere
from tests.judge.judges import by_length, replying
from tests.simplify.server import Gate, Server, refusing_port, says, serving
from tests.waiting import until


def judged(run: Run) -> None:
    """Writes down what a judge would have said, with a reason that is hostile text."""
    for label, score in (("lft", 2), ("sft", 4)):
        ratings = [
            AspectRating(p.id, "local:m", {"depth": score} | dict.fromkeys(REST, 3), dict.fromkeys(ALL, "\x1b[2J"))
            for p in run.prompts()
        ]
        aspect_table(run, label).replace([rating_row(order, one, 0.1) for order, one in enumerate(ratings)])
    for first, second, better in (("lft", "sft", "second"), ("sft", "lft", "first")):
        said = [Preference(p.id, "local:m", better, "\x1b[31mred") for p in run.prompts()]
        preference_table(run, first, second).replace([preference_row(n, one, 0.1) for n, one in enumerate(said)])


PATIENT = Calls(lambda: None, lambda _: None, lambda _: None)
REST = ("helpfulness", "clarity", "factuality", "engagement")
ALL = (*REST, "depth")


def test_without_a_judge_what_was_judged_before_is_told(here: ItauditHere, run: Run) -> None:
    judged(run)
    code, out, err = here("evaluate", run.path, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["path"] == str(run.path) and document["reference"] == "lft"
    found = {table["name"]: table["rows"] for table in document["tables"]}
    assert [row["depth"]["value"] for row in found["judge_ratings"]] == [2, 4]
    depth = next(row for row in found["judge_differences"] if row["aspect"] == "depth")
    assert depth["difference"]["value"] == 2 and depth["verdict"] == "higher"
    other = next(row for row in found["judge_differences"] if row["aspect"] == "clarity")
    assert other["difference"]["value"] == 0 and other["verdict"] == "not apart"
    assert found["judge_pairs"][0]["verdict"] == "sft is preferred" and found["judge_pairs"][0]["wins"] == 7
    code, out, err = here("evaluate", run.path)
    assert code == 0 and "Ratings by a judge" in out and "sft is preferred" in out and "\x1b" not in out


def test_where_nothing_is_known_it_says_so(here: ItauditHere, run: Run) -> None:
    for label in run.labels:
        run.table("scores", label).clear()
        run.table("responses", label).clear()
    code, out, _ = here("evaluate", run.path)
    assert code == 0 and out.startswith("nothing to tell yet")
    assert json.loads(here("evaluate", run.path, "--json")[1])["tables"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--pair", "lft"], 2, "--pair lft: expected two different labels"),
        (["--pair", "lft:lft"], 2, "expected two different labels"),
        (["--pair", "lft:gpt"], 2, "no model 'gpt'; there are base, lft, sft"),
        (["--model", "gpt"], 2, "no model 'gpt'"),
        (["--pair", "lft:sft", "--question", "aspects"], 2, "--pair is for --question pairs"),
        (["--question", "beauty"], 2, "beauty"),
        (["--engine", "endpoint"], 2, "endpoint.base_url: required, and missing"),
        (["--engine", "local", "--base-url", "http://x/v1"], 2, "are for --engine endpoint"),
        (["--base-url", "nowhere"], 2, "expected http://HOST:PORT/v1"),
        (["--base-url", "http://x/v1", "--api-key-env", "ITAUDIT_NO_SUCH_KEY"], 2, "has no ITAUDIT_NO_SUCH_KEY"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line_and_starts_nothing(
    here: ItauditHere, run: Run, arguments: Sequence[str], code: int, told: str
) -> None:
    done = here("evaluate", run.path, *arguments)
    assert done[0] == code and done[1] == "" and told in done[2] and len(done[2].splitlines()) == 1
    assert evaluation_status(run.path) is None


@pytest.mark.parametrize("wrong", [["--base-url", "nowhere"], ["--engine", "endpoint"]])
def test_judging_anew_as_it_makes_no_sense_takes_nothing_away(here: ItauditHere, run: Run, wrong: list[str]) -> None:
    judged(run)
    before = here("evaluate", run.path, "--json")[1]
    code, _, err = here("evaluate", run.path, "--again", *wrong)
    assert code == 2 and "base_url" in err
    assert here("evaluate", run.path, "--json")[1] == before


def test_judging_anew_waits_for_the_end_of_the_runs_own_worker(here: ItauditHere, run: Run) -> None:
    judged(run)
    process = psutil.Process()
    told = Status("running", process.pid, process.create_time(), socket.gethostname(), time.time() + 60, time.time())
    told.write(run.status_path)
    before = here("evaluate", run.path, "--json")[1]
    code, _, err = here("evaluate", run.path, "--again", "--engine", "local")
    assert code == 1 and "its worker is still at work" in err
    assert here("evaluate", run.path, "--json")[1] == before


def test_a_run_whose_models_have_not_answered_is_told(here: ItauditHere, run: Run) -> None:
    run.table("responses", "sft").clear()
    code, _, err = here("evaluate", run.path, "--judge")
    assert code == 1 and "have not answered all prompts yet; `itaudit resume" in err


def test_an_estimate_counts_what_is_still_to_be_asked_and_asks_nobody(here: ItauditHere, run: Run) -> None:
    with serving(replying(by_length)) as server:
        code, out, err = here("evaluate", run.path, "--estimate", *endpoint(server), "--max-tokens", 100, "--json")
        whole = json.loads(out)
        assert (code, err, server.headers) == (0, "", []) and not evaluation_paths(run.path)[0].parent.exists()
        work = work_of(run.path)
        changes = {"engine": "endpoint", "endpoint.base_url": server.base_url, "endpoint.model": "tiny"}
        begin_judging(judging_folder(run), run.recipe.evaluate, changes, ["aspects", "pairs"])
        judge_answers(work_of(run.path, ["aspects"]), PATIENT, lambda _: None)
        ratings = len(server.requests)
        left = json.loads(here("evaluate", run.path, "--estimate", "--json")[1])
        judge_answers(work, PATIENT, lambda _: None)
        asked = [request["messages"][0]["content"] for request in server.requests]
        assert json.loads(here("evaluate", run.path, "--estimate", "--json")[1])["questions"] == 0
    assert whole["judge"] == "endpoint:tiny" and whole["questions"] == len(asked)
    assert whole["prompt_tokens"] == round(sum(map(len, asked)) / 4) and whole["completion_tokens"] == 100 * len(asked)
    assert left["questions"] == len(asked) - ratings
    text = here("evaluate", run.path, "--estimate", "--question", "pairs")[1]
    assert text == "0 questions to endpoint:tiny, about 0 tokens read and 0 written at most\n"
    assert here("evaluate", run.path, "--estimate", "--again")[0] == 2


def command(*arguments: object) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "itaudit", *map(str, arguments)], capture_output=True, text=True, timeout=240
    )
    assert "Traceback" not in done.stderr
    return done


def endpoint(server: Server) -> list[str]:
    return ["--base-url", server.base_url, "--judge-model", "tiny"]


def wait(path: Path) -> Any:
    until(lambda: not evaluation_status(path).at_work, lambda: evaluation_status(path))
    return evaluation_status(path)


@pytest.mark.slow
def test_the_command_follows_a_judge_to_its_end_and_asks_nobody_twice(run: Run) -> None:
    with serving(replying(by_length)) as server:
        done = command("evaluate", run.path, "--judge", *endpoint(server), "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert "35/35 responses" in done.stderr
        asked = len(server.requests)
        again = command("evaluate", run.path, "--judge", *endpoint(server), "--json")
        assert json.loads(again.stdout) == document and len(server.requests) == asked
        detached = command("evaluate", run.path, "--judge", "--detach", "--json")
        assert json.loads(detached.stdout) == document
        goes_on = command("evaluate", run.path, "--judge", "--pair", "base:sft", "--json")
        assert goes_on.returncode == 0, goes_on.stderr
        assert asked < len(server.requests) <= asked + 14
        before = len(server.requests)
        anew = command("evaluate", run.path, "--judge", "--again", *endpoint(server), "--json")
        assert anew.returncode == 0 and len(server.requests) == before + asked
        assert [table for table in json.loads(anew.stdout)["tables"]] == document["tables"]


@pytest.mark.slow
def test_a_killed_judge_is_resumed_with_the_same_tables(run: Run, tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(run.path, undisturbed)

    with serving(replying(by_length)) as server:
        whole = command("evaluate", undisturbed, "--judge", *endpoint(server), "--json")
        server.requests.clear()
        server.usual = gate = Gate(replying(by_length))
        detached = command("evaluate", run.path, "--judge", *endpoint(server), "--detach")
        assert detached.returncode == 0 and detached.stdout == ""
        for number in (signal.SIGKILL, signal.SIGTERM):
            begun = len(server.requests)
            gate.let_in(3)
            until(
                lambda begun=begun: len(server.requests) >= begun + 3, lambda: evaluation_paths(run.path)[1].read_text()
            )
            os.kill(json.loads(evaluation_paths(run.path)[0].read_bytes())["pid"], number)
            assert wait(run.path).state == ("failed" if number == signal.SIGKILL else "cancelled")
            gate.turn_away()
            start_evaluating(run.path, [], [], [])
        gate.open()
        assert (status := wait(run.path)).state == "done", status
        asked = [request["messages"][0]["content"] for request in server.requests]
        # Those that were under way when the worker was stopped are asked about again.
        assert len(asked) - len({re.sub(r"\b[0-9a-f]{12}\b", "", text) for text in asked}) <= 2 * 8 + 4
    told = json.loads(command("evaluate", run.path, "--json").stdout)
    assert told["tables"] == json.loads(whole.stdout)["tables"]


@pytest.mark.slow
def test_a_server_that_is_not_there_is_told_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run.path.parent / "config"
    config.mkdir()
    (config / "config.toml").write_text("[judge.endpoint]\nretries = 0\nconcurrency = 1\n")
    monkeypatch.setenv("ITAUDIT_CONFIG_DIR", str(config))
    with refusing_port() as port:
        options = ["--base-url", f"http://127.0.0.1:{port}/v1", "--judge-model", "tiny"]
        done = command("evaluate", run.path, "--judge", *options, "--json")
    assert done.returncode == 1 and done.stdout == ""
    assert re.search(r"can't be reached: .*; see .*worker\.log; the same call goes on$", done.stderr.strip())


@pytest.mark.slow
def test_a_judge_that_talks_nonsense_is_counted_on_the_command_line(run: Run) -> None:
    with serving(says("Lovely, all of it.")) as server:
        done = command("evaluate", run.path, "--judge", "--question", "aspects", *endpoint(server), "--json")
    tables = {table["name"]: table["rows"] for table in json.loads(done.stdout)["tables"]}
    assert [(row["asked"], row["nonsense"], row["judged"]) for row in tables["judge_failures"]] == [(7, 7, 0)] * 3
    assert "judge_differences" not in tables and all(row.get("depth") is None for row in tables["judge_ratings"])
