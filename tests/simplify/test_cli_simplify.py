"""`itaudit simplify`: batches from the command line, resumed by the same call."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from itaudit.cli_simplify import simplify_command
from itaudit.data.edited import EditedDataset
from itaudit.data.load import load
from itaudit.data.overlay import Overlay
from itaudit.errors import UserError
from tests.simplify.server import Gate, says, sends, serving, shorter
from tests.waiting import PATIENCE, until

LONG = "Water is wet number {0}. It is important to note that water flows. I hope this helps!"


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITAUDIT_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [
        {"instruction": f"Q{n}?", "input": "", "output": LONG.format(n) if n % 2 else f"Short {n}."} for n in range(6)
    ]
    path = tmp_path / "water.json"
    path.write_text(json.dumps(rows))
    return path


def call(*arguments: object) -> None:
    simplify_command.main([str(argument) for argument in arguments], standalone_mode=False)


def told(capsysbinary: pytest.CaptureFixture[bytes], *arguments: object) -> dict[str, Any]:
    capsysbinary.readouterr()
    call(*arguments, "--json")
    document: dict[str, Any] = json.loads(capsysbinary.readouterr().out)
    return document


def edited(file: Path) -> EditedDataset:
    source = load(str(file))
    return EditedDataset(source, Overlay.of(source.path))


def test_proposals_are_kept_for_review_and_nothing_else_changes(
    file: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    before = file.read_bytes()
    document = told(capsysbinary, file)
    assert document["engine"] == "extractive" and document["path"] == str(file)
    assert [document[key] for key in ("instances", "proposals", "passed", "unchanged", "stopped")] == [6, 6, 6, 3, 0]
    assert document["words"]["before"] > document["words"]["after"] and document["accepted"] == 0
    assert document["out"] is None and file.read_bytes() == before
    assert edited(file).edited_positions() == {}
    batch = file.with_name("water.json.workshop") / "batches" / document["batch"]
    # The same call finds the batch again and makes nothing anew.
    made = (batch / "proposals.jsonl").read_bytes()
    assert told(capsysbinary, file) == document and (batch / "proposals.jsonl").read_bytes() == made


def test_out_writes_what_passes_and_accept_makes_edits(
    file: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    out = tmp_path / "out.jsonl"
    document = told(capsysbinary, file, "--filter", "words>5", "--limit", 2, "--out", out)
    assert document["instances"] == 2 and document["out"] == str(out)
    written = load(str(out))
    assert [row.response for row in written][:5] == [
        "Short 0.",
        "Water is wet number 1. Water flows.",
        "Short 2.",
        "Water is wet number 3. Water flows.",
        "Short 4.",
    ]
    assert written[5].response == LONG.format(5) and written.format == "alpaca"
    assert edited(file).edited_positions() == {}
    with pytest.raises(UserError, match=r"out\.jsonl"):
        call(file, "--filter", "words>5", "--limit", 2, "--out", out)

    again = told(
        capsysbinary, file, "--filter", "words>5", "--limit", 2, "--out", out, "--force", "--accept", "passing"
    )
    assert again["accepted"] == 2 and again["batch"] == document["batch"]
    rows = edited(file).edited_positions()
    assert sorted(rows) == [1, 3] and rows[1].edits[0].by == "extractive" and rows[1].edits[0].checks["passes"]
    assert [row.response for row in load(str(out))] == [row.response for row in written]
    assert told(capsysbinary, file, "--filter", "words>5", "--limit", 2, "--accept", "passing")["accepted"] == 0


def test_proposals_that_the_checks_stop_are_neither_accepted_nor_written(
    file: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    out = tmp_path / "out.json"
    with serving(says("Luigi says that water is wet and water flows.")) as server:
        arguments = [file, "--engine", "endpoint", "--base-url", server.base_url, "--model", "tiny"]
        document = told(
            capsysbinary, *arguments, "--filter", "words>5", "--out", out, "--accept", "passing", "--max-tokens", 9
        )
        assert {request["max_tokens"] for request in server.requests} == {9}
    assert document["engine"] == "endpoint:tiny"
    assert (document["stopped"], document["accepted"], document["reasons"]["name"]) == (3, 0, 3)
    assert [row.response for row in load(str(out))] == [row.response for row in load(str(file))]


def test_an_estimate_sends_nothing(file: Path, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text("[simplify.endpoint]\nprice_input = 1\nprice_output = 2\n")
    url = "http://127.0.0.1:9/v1"
    document = told(capsysbinary, file, "--engine", "endpoint", "--base-url", url, "--model", "m", "--estimate")
    assert document["requests"] == 6 and document["price"] > 0 and document["engine"] == "endpoint:m"
    call(file, "--engine", "endpoint", "--base-url", url, "--model", "m", "--estimate")
    assert b"6 requests to endpoint:m" in capsysbinary.readouterr().out
    assert not file.with_name("water.json.workshop").exists()


def test_a_failed_batch_goes_on_with_the_same_call_at_another_address(
    file: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    with serving(sends("no", 401, "text/plain")) as server, pytest.raises(UserError, match=r"refuses access.*goes on"):
        call(file, "--engine", "endpoint", "--base-url", server.base_url, "--model", "tiny")
    with serving(shorter) as server:
        document = told(capsysbinary, file, "--engine", "endpoint", "--base-url", server.base_url, "--model", "tiny")
        assert document["proposals"] == 6 == len(server.requests)


def test_a_name_belongs_to_one_engine_and_one_choice(file: Path) -> None:
    call(file, "--name", "mine", "--limit", 2)
    with pytest.raises(UserError, match="another --filter or --limit"):
        call(file, "--name", "mine", "--limit", 3)
    with pytest.raises(UserError, match="another engine"):
        call(file, "--name", "mine", "--limit", 2, "--engine", "endpoint", "--base-url", "http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the FILE"),
        (["FILE", "--engine", "endpoint"], "base_url: required, and missing"),
        (["FILE", "--model", "x"], "for --engine local or endpoint"),
        (["FILE", "--engine", "local", "--base-url", "http://x/v1"], "for --engine endpoint"),
        (["FILE", "--filter", "words>>3"], "words"),
        (["FILE", "--filter", "words>1000"], "nothing to simplify"),
        (["FILE", "--prompt", "none", "--engine", "local", "--estimate"], "there is no prompt 'none'"),
        (["missing.json"], "missing.json"),
    ],
)
def test_wrong_use_is_one_line(file: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(*(str(file) if argument == "FILE" else argument for argument in arguments))


def test_a_prompt_to_edit_is_put_into_the_settings(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    call("--edit-prompt")
    path = tmp_path / "config" / "prompts" / "simplify.txt"
    assert capsysbinary.readouterr().out.decode().strip() == str(path) and "{response}" in path.read_text()


@pytest.mark.slow
def test_ctrl_c_stops_the_worker_and_the_same_call_goes_on(file: Path) -> None:
    gate = Gate(shorter, free=2)
    with serving(gate) as server:
        command = [sys.executable, "-m", "itaudit", "simplify", str(file), "--engine", "endpoint", "--json", "--yes"]
        command += ["--base-url", server.base_url, "--model", "tiny"]
        config = Path(os.environ["ITAUDIT_CONFIG_DIR"])
        config.mkdir()
        (config / "config.toml").write_text("[simplify.endpoint]\nconcurrency = 1\n")
        # Whoever runs the tests in the background has them ignore Ctrl-C, and so would the command.
        heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heeding)
        until(lambda: len(server.requests) == 3)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1 and out == b""
        assert errors.decode().strip().splitlines()[-1].startswith("error: stopped with ")
        assert len(server.requests) == 3
        gate.open()
        again = subprocess.run(command, capture_output=True, timeout=PATIENCE)
        assert again.returncode == 0 and json.loads(again.stdout)["proposals"] == 6
        # The one that was under way was given up, and is asked for again.
        assert len(server.requests) <= 7
