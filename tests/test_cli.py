"""The command line as scripts use it: documents on stdout, one-line errors on stderr, exit codes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from itaudit.runs.run import Run
from tests.commands import Itaudit, document, one_line_error
from tests.tui.make_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with hostile text, imported answers and multi-byte tokens."""
    return make_run(tmp_path_factory.mktemp("cli"))


def test_show_has_the_contracts_keys(itaudit: Itaudit, run: Run) -> None:
    shown = document(itaudit("show", run.path, "--json"))
    assert shown["run"] == str(run.path)
    assert set(shown["base"]) == {"name", "path"}
    assert {"path", "format", "instances", "sha256"} <= set(shown["dataset"])
    assert set(shown["models"]) <= set(run.labels)
    sft = shown["models"]["sft"]
    assert {"method", "responses", "tokens", "unshifted", "marginal", "shifted", "kl_mean"} <= set(sft)
    assert sft["method"] == "sft"
    assert sft["unshifted"] + sft["marginal"] + sft["shifted"] == pytest.approx(1)


def test_prompts_and_tokens_agree_with_the_run(itaudit: Itaudit, run: Run) -> None:
    prompts = document(itaudit("prompts", run.path, "--json"))
    assert [prompt["id"] for prompt in prompts] == [prompt.id for prompt in run.prompts()]
    assert all(set(prompt) == {"id", "prompt", "reference"} for prompt in prompts)
    answered = run.table("scores", "sft").prompt_ids()
    for prompt in prompts:
        if prompt["id"] not in answered:
            continue
        shown = document(itaudit("tokens", run.path, "--model", "sft", "--prompt", prompt["id"], "--json"))
        assert shown["prompt"] == prompt["prompt"]
        for token in shown["tokens"]:
            assert token["text"] == shown["response"][token["start"] : token["end"]]
            expected = "unshifted" if token["rank_base"] == 0 else "marginal" if token["rank_base"] < 3 else "shifted"
            assert token["class"] == expected
            assert all(len(entry) == 3 and 0 <= entry[2] <= 1 for entry in token["top_base"])


def test_tokens_are_numbered_from_1_for_people(itaudit: Itaudit, run: Run) -> None:
    prompt_id = sorted(run.table("scores", "sft").prompt_ids())[0]
    lines = itaudit("tokens", run.path, "--model", "sft", "--prompt", prompt_id).stdout.splitlines()
    scores = run.token_scores("sft", prompt_id)
    assert lines[0].split()[0] == "position" and scores is not None
    assert [int(line.split()[0]) for line in lines[1:]] == list(range(1, len(scores) + 1))
    assert [int(line.split()[2]) for line in lines[1:]] == list(scores.rank_base)


def test_text_output_shows_hostile_text_harmlessly(itaudit: Itaudit, run: Run) -> None:
    for verb in (["prompts", run.path], ["show", run.path]):
        done = itaudit(*verb)
        assert done.returncode == 0
        assert "\x1b" not in done.stdout and "\u202e" not in done.stdout and "\x00" not in done.stdout


def test_ls_lists_runs(itaudit: Itaudit, run: Run) -> None:
    (listed,) = document(itaudit("ls", "--out", run.path.parent, "--json"))
    assert (listed["run"], listed["name"]) == (str(run.path), run.name)
    assert listed["job"] in ("done", "failed", "new")


def test_a_run_that_can_t_be_read_is_listed_and_hides_no_other(itaudit: Itaudit, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        run = make_run(tmp_path / name)
        (tmp_path / "runs").mkdir(exist_ok=True)
        run.path.rename(tmp_path / "runs" / name)
    (tmp_path / "runs" / "a" / "events.jsonl").unlink()
    (tmp_path / "runs" / "a" / "events.jsonl").mkdir()
    rows = {row["name"]: row for row in document(itaudit("ls", "--json"))}
    assert rows["b"]["job"] == "done"
    assert rows["a"]["job"] == "unreadable" and "events.jsonl: can't read the events" in rows["a"]["error"]
    assert "events.jsonl: can't read" in itaudit("ls").stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without room")
@pytest.mark.parametrize("verb", [("show", "--json"), ("show",), ("prompts",)])
def test_a_full_disk_is_one_line(run: Run, verb: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "itaudit", verb[0], str(run.path), *verb[1:]],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "error: the output: No space left on device\n")


def test_a_locale_without_utf_8_breaks_neither_text_nor_documents(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    data = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, answer in zip(data, ("言語", "語"), strict=True):
        path.write_text(f'{{"instruction": "a", "output": "{answer}"}}\n', encoding="utf-8")
    command = [sys.executable, "-m", "itaudit", "data", "diff", *map(str, data)]
    text = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (text.returncode, text.stderr) == (0, b"") and b"[-??-]" in text.stdout
    json = subprocess.run([*command, "--json"], env=environment, capture_output=True, check=False)
    assert orjson.loads(json.stdout)["changed"][0]["fields"]["response"] == {"before": "言語", "after": "語"}


def test_no_runs_are_an_empty_list(itaudit: Itaudit) -> None:
    assert document(itaudit("ls", "--json")) == []


def test_doctor_tells_what_there_is(itaudit: Itaudit) -> None:
    found = document(itaudit("doctor", "--json"))
    assert {"device", "libraries", "parts", "terminal", "directories"} <= set(found)
    assert found["libraries"]["torch"][0].isdigit()
    assert itaudit("doctor").stdout.startswith("itaudit\n")


def test_help_and_version(itaudit: Itaudit) -> None:
    shown = itaudit("--help").stdout
    for verb in ("run", "demo", "open", "ls", "resume", "cancel", "logs", "show", "prompts", "tokens", "trace", "data"):
        assert f"\n  {verb} " in shown
    assert "0.1.0" in itaudit("--version").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["show", "nowhere"], 1, "nowhere: not a run"),
        (["open", "nowhere"], 2, "nowhere: no such file or run"),
        ([], 2, "needs a terminal"),
        (["run", "gone.toml"], 2, "gone.toml: can't read the recipe"),
        (["run"], 2, "Missing argument"),
        (["frobnicate"], 2, "No such command"),
        (["show", "x", "--frobnicate"], 2, "No such option"),
        (["data", "check", "gone.json"], 1, "gone.json"),
        (["trace", "gone.json", "--prompt", "p", "--response", "r"], 1, "gone.json"),
        (["resume", "nowhere"], 1, "not a run"),
        (["cancel", "nowhere"], 1, "not a run"),
        (["logs", "nowhere"], 1, "not a run"),
    ],
)
def test_wrong_use_is_one_line(itaudit: Itaudit, arguments: list[str], code: int, told: str) -> None:
    assert told in one_line_error(itaudit(*arguments), code)


def test_unknown_models_and_prompts_are_one_line(itaudit: Itaudit, run: Run) -> None:
    assert "no model 'dpo'" in one_line_error(itaudit("tokens", run.path, "--model", "dpo", "--prompt", "x"), 2)
    assert "no prompt 'zzz'" in one_line_error(itaudit("tokens", run.path, "--model", "sft", "--prompt", "zzz"), 2)
    assert "no worker is at work" in one_line_error(itaudit("cancel", run.path), 1)


def test_a_bad_recipe_makes_no_run(itaudit: Itaudit, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("[data]\npath = 'x.jsonl'\n")
    one_line_error(itaudit("run", "recipe.toml"), 2)
    assert not (tmp_path / "runs").exists()


def test_a_name_that_climbs_out_is_refused(itaudit: Itaudit, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    (tmp_path / "recipe.toml").write_text(
        "[data]\npath = 'd.jsonl'\n[prompts]\npath = 'd.jsonl'\n[models.lft]\nmethod = 'lft'\n"
    )
    assert "name" in one_line_error(itaudit("run", "recipe.toml", "--name", "../up"), 2)


def test_a_job_runs_detached_is_followed_and_shown(itaudit: Itaudit, tmp_path: Path) -> None:
    """A worker that fails at once, on a model that is none, shows how jobs are told of."""
    (tmp_path / "d.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    (tmp_path / "no-model").mkdir()
    (tmp_path / "recipe.toml").write_text(
        "name = 'broken'\n[base]\nmodel = './no-model'\n[data]\npath = 'd.jsonl'\n[prompts]\npath = 'd.jsonl'\n"
        "[models.lft]\nmethod = 'lft'\n"
    )
    started = document(itaudit("run", "recipe.toml", "--detach", "--json"))
    deadline = time.monotonic() + 60
    while Run(Path(started["run"])).job() in ("queued", "running", "new"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (listed,) = document(itaudit("ls", "--json"))
    assert listed["job"] == "failed" and "not a model directory" in listed["error"]
    assert "not a model directory" in itaudit("logs", started["run"]).stdout
    followed = itaudit("resume", "broken", "--no-open")
    assert followed.returncode == 1
    assert "not a model directory" in followed.stderr and "Traceback" not in followed.stderr


def test_what_the_system_refuses_is_one_line(itaudit: Itaudit, tmp_path: Path) -> None:
    refused = make_run(tmp_path)
    refused.log_path.unlink(missing_ok=True)
    refused.log_path.mkdir()
    assert "worker.log: Is a directory" in one_line_error(itaudit("resume", refused.path, "--detach"), 1)


@pytest.mark.parametrize("verb", [["data", "stats"], ["data", "filter"], ["data", "dedup"], ["simplify"]])
def test_rows_that_are_left_out_are_told(verb: list[str], tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text('{"instruction": "a", "input": "", "output": "b"}\n{"instruction": "cut')
    done = subprocess.run(
        [sys.executable, "-m", "itaudit", *verb, str(path), "--json"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "1 row is left out, as `itaudit data check` explains" in done.stderr
    orjson.loads(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--push", "alone"], "expected OWNER/NAME"),
        (["--out", "x.jsonl", "--private"], "--private is for --push"),
        (["--out", "x.jsonl", "--split", ""], "expected NAME=SHARE"),
        ([], "give --out"),
    ],
)
def test_an_export_that_cannot_be_is_refused_before_anything_is_read(arguments: list[str], words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "itaudit", "data", "export", "not-there.jsonl", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert words in done.stderr


@pytest.mark.parametrize("group", ["data", "marks"])
def test_a_group_without_a_verb_shows_its_help_in_lines(itaudit: Itaudit, group: str) -> None:
    done = itaudit(group)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: ") and "\nCommands:\n" in done.stderr
