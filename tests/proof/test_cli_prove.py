"""`itaudit prove` on a run that is there: what it asks for, lists and refuses."""

import os
import signal
import socket
import subprocess
from dataclasses import asdict
from pathlib import Path

import orjson
import psutil
import pytest
from click.testing import CliRunner, Result

from itaudit.cli import cli
from itaudit.errors import UserError
from itaudit.proof.jobs import Proof, create, estimate, open_proof, proofs
from itaudit.proof.results import Reading, Unit, append_unit
from itaudit.proof.spec import ProofSpec
from itaudit.proof.suspects import Suspects
from itaudit.runs.marks import Mark
from itaudit.runs.run import Run
from itaudit.runs.status import Status
from tests.tui.make_run import make_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(tmp_path / "cache"))
    return make_run(tmp_path)


def prove(run: Run, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["prove", str(run.path), *arguments])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "sft"], "say what to prove: --prompt ID --span S:E, or --flags marks"),
        (["--prompt", "zamboni", "--span", "0:3"], "give --model, one of lft, sft"),
        (["--model", "base", "--flags", "marks"], "the base model was not tuned"),
        (["--model", "sft", "--prompt", "zamboni", "--span", "9:3"], "--span '9:3': expected S:E"),
        (["--model", "sft", "--prompt", "zamboni", "--span", "0:999"], "span 0:999: the response of sft has"),
        (["--model", "sft", "--prompt", "nobody", "--span", "0:3"], "no prompt 'nobody'"),
        (["--model", "sft", "--prompt", "zamboni", "--span", "0:3", "--source", "99"], "row 99 is not among"),
        (["--model", "sft", "--flags", "moods"], "--flags moods: expected one of marks, any, shifted, reference"),
        (["--model", "sft", "--flags", "marks"], "no span of sft with sources is flagged by marks"),
        (["--model", "sft", "--flags", "marks", "--span", "0:3"], "--flags takes all flagged spans"),
        (["--model", "sft", "--flags", "marks", "--source", "3"], "--flags takes all flagged spans"),
        (["--model", "sft", "--prompt", "a", "--span", "0:3", "--limit", "3"], "--limit is for --flags"),
        (["--model", "sft", "--prompt", "a", "--span", "0:3", "--source", "3", "-k", "2"], "give one of them"),
        (["--model", "sft", "--prompt", "a", "--span", "0:3", "--seeds", "2"], "--seeds is for --method drop"),
        (["--edited", "--method", "tail-patch", "--model", "sft"], "--edited is for --method drop-and-retrain"),
        (["--list", "--show", "x"], "stand alone"),
        (["--show", "../../x"], "no proof '../../x'"),
        (["--cancel", "nothing"], "no proof 'nothing'"),
    ],
)
def test_wrong_use_is_told_in_one_line(run: Run, arguments: list[str], told: str) -> None:
    result = prove(run, *arguments)
    assert isinstance(result.exception, UserError) and result.exception.code == 2, result.output
    assert told in str(result.exception) and "\n" not in str(result.exception)
    assert not (run.path / "proofs").exists()


def test_an_estimate_counts_units_and_makes_nothing(run: Run) -> None:
    asked = ["--model", "sft", "--prompt", "zamboni", "--span", "62:67", "-k", "1", "--estimate"]
    result = prove(run, *asked, "--controls", "6", "--json")
    assert orjson.loads(result.stdout) == {"targets": 1, "units": 8, "seconds": None}
    result = prove(run, *asked, "--method", "drop-and-retrain", "--controls", "3", "--seeds", "2")
    assert result.stdout == "1 spans, 8 retrainings, nobody knows how long\n"
    assert proofs(run) == ()


def test_flagged_spans_are_proved_with_the_sources_of_their_traces(run: Run) -> None:
    text = run.response("sft", "zamboni").response  # type: ignore[union-attr]  # it is there
    start = text.index("Luigi")
    run.mark(Mark("sft", "zamboni", start, start + 5, "Luigi"))
    suspects = Suspects(run, "sft")
    target = suspects.target("zamboni", start, start + 5, k=3)
    # Row 0 speaks of Luigi Galvani, the Italian physician and inventor.
    assert target.text == "Luigi" and target.sources[0] == 0 and len(target.sources) == 3
    assert suspects.target("zamboni", start, start + 5, sources=[7]).sources == (7,)
    result = prove(run, "--model", "sft", "--flags", "marks", "--estimate", "--json", "--controls", "3", "-k", "2")
    assert orjson.loads(result.stdout)["units"] == 1 + 2 + 3
    shifted = prove(run, "--model", "sft", "--flags", "shifted", "--limit", "2", "--estimate", "--json", "-k", "1")
    assert orjson.loads(shifted.stdout)["targets"] == 2


def test_proofs_are_listed_newest_first_with_their_verdicts(run: Run) -> None:
    target = Suspects(run, "sft").target("zamboni", 0, 3, sources=[0])
    for name in ("older", "newer"):
        create(run, ProofSpec("tail-patch", "sft", (target,), controls=3), name)
    proof = open_proof(run, "older")
    for number, unit in enumerate(proof.plan.units()):
        append_unit(proof.results_path, Unit(unit, (Reading(-float(number), False),), 0.5, {}))
    listed = orjson.loads(prove(run, "--list", "--json").stdout)
    assert [one["name"] for one in listed] == ["newer", "older"]
    assert [one["status"]["state"] for one in listed] == ["new", "done"]
    assert listed[1]["verdicts"][0]["sources"] == [{"row": 0, "effect": -1.0, "rank": 1, "p": 0.25}]
    shown = prove(run, "--show", "older")
    assert shown.stdout.splitlines()[0] == "older · tail-patch of sft · done · 5 of 5 steps"
    assert "zamboni 0:3" in shown.stdout and "rank 1 of 4" in shown.stdout
    assert prove(run, "--resume", "older").stdout == shown.stdout
    with pytest.raises(UserError, match="there is such a proof"):
        create(run, ProofSpec("tail-patch", "sft", (target,)), "older")
    assert estimate(run, ProofSpec("tail-patch", "sft", (target,), controls=3)) == pytest.approx(0.5 * 5)


def made(run: Run, name: str) -> Proof:
    target = Suspects(run, "sft").target("zamboni", 0, 3, sources=[0])
    proof = create(run, ProofSpec("tail-patch", "sft", (target,), controls=3), name)
    for number, unit in enumerate(proof.plan.units()):
        append_unit(proof.results_path, Unit(unit, (Reading(-float(number), False),), 0.5, {}))
    return proof


def test_what_can_be_read_is_listed_and_what_cannot_is_told(run: Run) -> None:
    for name in ("whole", "lost", "torn"):
        made(run, name)
    lost, torn = (run.path / "proofs" / name for name in ("lost", "torn"))
    (lost / "results.jsonl").unlink()
    (lost / "results.jsonl").mkdir()
    (torn / "proof.json").write_text("{")
    result = prove(run, "--list", "--json")
    listed = {one["name"]: one for one in orjson.loads(result.stdout)}
    assert result.exit_code == 0 and listed.keys() == {"whole", "lost"}
    assert listed["whole"]["status"]["state"] == "done" and listed["whole"]["verdicts"]
    assert listed["lost"]["status"]["state"] == "failed" and listed["lost"]["verdicts"] == []
    assert "results.jsonl: can't read the results: Is a directory" in listed["lost"]["status"]["error"]
    assert result.stderr.strip() == f"{torn / 'proof.json'}: can't be read as a proof; make it again"
    shown = prove(run, "--list")
    assert "whole · tail-patch of sft · done" in shown.stdout and "can't read the results" in shown.stdout
    # The time that it takes is told by the proofs that are left.
    assert estimate(run, open_proof(run, "whole").spec) == pytest.approx(0.5 * 5)


def test_a_proof_that_is_asked_to_stop_is_told_as_a_document(run: Run) -> None:
    proof = made(run, "mine")
    proof.results_path.unlink()
    with subprocess.Popen(["sleep", "60"]) as worker:
        began = psutil.Process(worker.pid).create_time()
        Status("running", worker.pid, began, socket.gethostname(), 0.0, 0.0).write(proof.status_path)
        result = prove(run, "--cancel", "mine", "--json")
        assert worker.wait(10) == -signal.SIGTERM
    told = orjson.loads(result.stdout)
    assert told["name"] == "mine" and told["status"]["total"] == 5
    assert f"pid {worker.pid}" in result.stderr and "--resume mine goes on" in result.stderr


def said_by_a_worker(proof: Proof, **changes: object) -> None:
    told = Status("done", os.getpid(), 0.0, "elsewhere", 0.0, 0.0, [{"stage": "prove", "done": 5, "total": 5}])
    proof.status_path.write_bytes(orjson.dumps({"v": 1, **asdict(told), **changes}))


def test_a_proof_that_lost_results_is_not_done_and_can_be_resumed(run: Run) -> None:
    proof = made(run, "torn")
    said_by_a_worker(proof)
    assert proof.status().state == "done"
    whole = proof.results_path.read_bytes()
    proof.results_path.write_bytes(whole[: len(whole) - 10])
    status = proof.status()
    assert (status.state, status.done, status.total) == ("failed", 4, 5)
    assert status.error == "results.jsonl holds 4 of 5 results; resume makes the rest"
    # A line that says nothing of the target does not stand in the way of the one that is made anew.
    lines = [orjson.loads(line) for line in whole.splitlines()]
    spoilt = [{**lines[0], "readings": []}, *lines]
    proof.results_path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in spoilt))
    assert proof.status().state == "done"


@pytest.mark.parametrize("stages", [5, [5], ["x"], {"a": 1}])
def test_a_status_that_nobody_can_read_hides_no_results(run: Run, stages: object) -> None:
    proof = made(run, "odd")
    said_by_a_worker(proof, stages=stages)
    assert proof.status().state == "done"
    said_by_a_worker(proof, stages=[], state=["done"])
    assert prove(run, "--show", "odd").exit_code == 0


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("spec", {"kind": "guess"}),
        ("spec", {"targets": []}),
        ("spec", {"targets": [{"prompt_id": "zamboni", "start": "a", "end": 3, "text": "The", "sources": [0]}]}),
        ("spec", {"targets": [{"prompt_id": "zamboni", "start": 0, "end": 3, "text": 5, "sources": [0]}]}),
        ("plan", {"groups": []}),
        ("plan", {"groups": [[7]]}),
        ("plan", {"sources": []}),
        ("plan", {"prompts": []}),
    ],
)
def test_a_proof_that_does_not_hold_together_is_refused_in_one_line(
    run: Run, part: str, changes: dict[str, object]
) -> None:
    path = made(run, "garbled").folder / "proof.json"
    content = orjson.loads(path.read_bytes())
    content[part] |= changes
    path.write_bytes(orjson.dumps(content))
    with pytest.raises(UserError, match="can't be read as a proof; make it again"):
        open_proof(run, "garbled")
    assert prove(run, "--list").exit_code == 0
