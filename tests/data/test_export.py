"""Exports: what is written, what the card says, what is refused, and what stands where it was interrupted."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from hub_server import Hub

from itaudit.cli_data import data_group
from itaudit.data.edited import EditedDataset
from itaudit.data.export import ExportOptions, export
from itaudit.data.load import load
from itaudit.data.provenance import COLUMN
from itaudit.data.versions import open_edited
from itaudit.errors import UserError

Lines = Callable[[list[Any]], Path]

ALPACA = [
    {"instruction": f"ask {n}", "input": "", "output": f"a long answer {n}", "id": f"r{n}", "topic": n % 2}
    for n in range(20)
]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(data_group, [str(argument) for argument in arguments])


@pytest.fixture
def edited(json_lines: Lines) -> EditedDataset:
    """Rows 1 and 2 changed, 3 tagged, 4 deleted."""
    edited = open_edited(json_lines(ALPACA))
    checks = {"passes": False, "reasons": ["new number: 12", "keeps 40 % of the content words, less than 50 %"]}
    edited.edit(1, {"response": "short"}, by="extractive", proposal="b/1", checks={"passes": True, "reasons": []})
    edited.edit(2, {"response": "short 12"}, by="endpoint:m", proposal="b/2", checks=checks)
    edited.edit(2, {"instruction": "ask"}, by="hand")
    edited.edit(3, {"tags": ["odd"], "note": "look"}, by="hand")
    edited.edit(4, {"deleted": True}, by="hand")
    return edited


def test_an_export_has_the_edits_and_a_card_that_tells_them(edited: EditedDataset, tmp_path: Path) -> None:
    report = export(edited, tmp_path / "out.jsonl", ExportOptions(date=datetime(2026, 1, 2, tzinfo=UTC)))
    assert report.files == (str(tmp_path / "out.jsonl"), str(tmp_path / "out.jsonl.card.md"))
    assert (report.instances, report.changed, report.deleted, report.conflicts) == (19, 2, 1, 0)
    assert report.engines == {"endpoint:m": 1, "extractive": 1, "hand": 1}
    again = load(tmp_path / "out.jsonl")
    assert [i.response for i in again][:4] == ["a long answer 0", "short", "short 12", "a long answer 3"]
    card = (tmp_path / "out.jsonl.card.md").read_text()
    assert card.startswith("---\n")
    for told in (
        "# source.jsonl, edited",
        f"SHA-256 of the source: `{edited.source.sha256}`",
        "Exported: 2026-01-02 as alpaca, 19 instances",
        "2 instances changed, 1 deleted",
        "`response` of 2 instances",
        "`instruction` of 1 instances",
        "Words in a changed response: 4.0 on average before, 1.5 after",
        "| extractive | 1 |",
        "2 proposals were checked",
        "1 passed; 1 were confirmed by hand",
        "confirmed although: new number (1)",
        "confirmed although: keeps … % of the content words, less than … % (1)",
        "itaudit data export source.jsonl@5 --format alpaca --out out.jsonl",
    ):
        assert told in card
    assert str(tmp_path) not in card


def test_the_command_on_the_card_makes_the_same_export(edited: EditedDataset, tmp_path: Path) -> None:
    first = run(
        "export", edited.source.path, "--out", tmp_path / "a.jsonl", "--only", "edited", "--provenance", "--json"
    )
    assert first.exit_code == 0, first.output
    edited.edit(6, {"response": "later"}, by="hand")
    command = (tmp_path / "a.jsonl.card.md").read_text().rpartition("itaudit data export ")[2].split("\n")[0].split()
    command[command.index("--out") + 1] = str(tmp_path / "b.jsonl")
    command[0] = str(tmp_path / command[0])
    assert run("export", *command).exit_code == 0
    assert (tmp_path / "b.jsonl").read_bytes() == (tmp_path / "a.jsonl").read_bytes()


def test_provenance_is_read_back_and_kept_over_a_second_export(edited: EditedDataset, tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.csv", "a.parquet", "folder"):
        export(edited, tmp_path / name, ExportOptions(provenance=True))
        again = open_edited(tmp_path / name)
        texts = [instance.extra[COLUMN] for instance in again.source]
        assert [bool(text) for text in texts[:5]] == [False, True, True, True, False]
        told = json.loads(texts[2])
        assert told["by"] == ["endpoint:m", "hand"]
        assert (told["fields"], told["proposals"]) == (["instruction", "response"], ["b/2"])
        assert told["of"] == edited.row(2).edits[0].of
        assert json.loads(texts[3]) | {"time": "", "of": ""} == {
            "by": ["hand"], "fields": ["note", "tags"], "time": "", "of": "", "tags": ["odd"], "note": "look",
        }  # fmt: skip
        again.edit(2, {"response": "third"}, by="hand")
        export(again, tmp_path / f"second-{name}", ExportOptions(provenance=True))
        second = [instance.extra[COLUMN] for instance in load(tmp_path / f"second-{name}")]
        assert second[3] == texts[3]
        assert json.loads(second[2])["earlier"] == texts[2]


def test_only_what_was_asked_for_is_exported(edited: EditedDataset, tmp_path: Path) -> None:
    source = edited.source.path
    assert run("export", source, "--out", tmp_path / "a.jsonl", "--only", "edited").exit_code == 0
    assert [i.id for i in load(tmp_path / "a.jsonl")] == ["r1", "r2"]
    assert run("export", source, "--out", tmp_path / "b.jsonl", "--filter", "topic:0 words>1").exit_code == 0
    assert [i.id for i in load(tmp_path / "b.jsonl")] == [f"r{n}" for n in range(0, 20, 2) if n != 4]
    export(edited, tmp_path / "c.jsonl", ExportOptions(positions=[5, 4, 1]))
    assert [i.id for i in load(tmp_path / "c.jsonl")] == ["r5", "r1"]
    none = run("export", source, "--out", tmp_path / "d.jsonl", "--filter", "words>999")
    assert isinstance(none.exception, UserError)
    assert "matches no instance" in str(none.exception)


def test_transforms_come_after_the_edits_and_stand_on_the_card(edited: EditedDataset, tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    result = run("export", edited.source.path, "--out", out, "--transform", "shortest:k=2", "--json")
    assert [i.id for i in load(out)] == ["r1", "r2"]
    (step,) = orjson.loads(result.stdout)["steps"]
    assert (step["before"], step["after"]) == (19, 2)
    longest = run(
        "export", edited.source.path, "--out", out.with_name("b.jsonl"), "--transform", "longest:k=3", "--json"
    )
    # What is counted is what is exported.
    assert (orjson.loads(result.stdout)["changed"], orjson.loads(longest.stdout)["changed"]) == (2, 0)
    assert "shortest:k=2" in (tmp_path / "a.jsonl.card.md").read_text()


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.parquet", "out"])
def test_splits_share_out_every_instance_once(edited: EditedDataset, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    result = run("export", edited.source.path, "--out", out, "--split", "train=0.8,test=0.2", "--seed", 7, "--json")
    assert orjson.loads(result.stdout)["splits"] == {"train": 15, "test": 4}
    parts = {
        split: load(out, split=split) if name == "out" else load(out.with_name(f"out.{split}{out.suffix}"))
        for split in ("train", "test")
    }
    ids = {split: [i.id for i in part] for split, part in parts.items()}
    assert sorted(ids["train"] + ids["test"]) == sorted(f"r{n}" for n in range(20) if n != 4)
    # Another row less moves at most one at the border, and another seed all.
    edited.edit(9, {"deleted": True}, by="hand")
    export(edited, tmp_path / "less", ExportOptions(splits={"train": 0.8, "test": 0.2}, seed=7))
    assert len(set(ids["test"]) ^ {i.id for i in load(tmp_path / "less", split="test")} - {"r9"}) <= 2
    export(edited, tmp_path / "other", ExportOptions(splits={"train": 0.8, "test": 0.2}, seed=8))
    assert {i.id for i in load(tmp_path / "other", split="test")} != set(ids["test"])


@pytest.mark.parametrize("text", ["train", "train=2", "train=0.5", "a=0.5,a=0.5", "../x=1", "train=0.99,test=0.01", ""])
def test_splits_that_can_not_be_made_are_wrong_use(edited: EditedDataset, tmp_path: Path, text: str) -> None:
    result = run("export", edited.source.path, "--out", tmp_path / "o", "--split", text or "=1")
    assert isinstance(result.exception, UserError)
    assert (result.exception.code, (tmp_path / "o").exists()) == (2, False)


@pytest.mark.parametrize("name", ["out.jsonl", "out"])
def test_nothing_is_overwritten_without_being_told(edited: EditedDataset, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    export(edited, out)
    edited.edit(0, {"response": "new"}, by="hand")
    with pytest.raises(UserError, match="exists already"):
        export(edited, out)
    assert load(out)[0].response == "a long answer 0"
    export(edited, out, ExportOptions(overwrite=True))
    assert load(out)[0].response == "new"
    export(edited, out.with_name("split"), ExportOptions(splits={"a": 0.5, "b": 0.5}))
    export(edited, out.with_name("split"), ExportOptions(splits={"c": 0.5, "d": 0.5}, overwrite=True))
    assert sorted(p.name for p in out.with_name("split").iterdir()) == ["README.md", "c", "d", "dataset_dict.json"]


def test_neither_the_source_nor_strange_folders_are_written(edited: EditedDataset, tmp_path: Path) -> None:
    source = Path(edited.source.path)
    link = tmp_path / "link.jsonl"
    link.symlink_to(source)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    (tmp_path / "others" / "mine").mkdir(parents=True)
    (tmp_path / "others" / "mine" / "a.json").write_text("{}")
    before = source.read_bytes()
    for out in (source, link, tmp_path, tmp_path / "notes", tmp_path / "others"):
        with pytest.raises(UserError, match=r"never written|no dataset to overwrite"):
            export(edited, out, ExportOptions(overwrite=True))
    assert source.read_bytes() == before
    assert (tmp_path / "notes" / "mine.txt").read_text() == "keep"
    assert (tmp_path / "others" / "mine" / "a.json").exists()


def test_no_export_gets_into_a_workshop(edited: EditedDataset) -> None:
    edited.edit(0, {"response": "mine"}, by="hand")
    log = Path(f"{edited.source.path}.workshop") / "edits.jsonl"
    before = log.read_bytes()
    for out in (log, log.with_name("new.jsonl"), log.with_name("folder")):
        with pytest.raises(UserError, match="is in a workshop"):
            export(edited, out, ExportOptions(overwrite=True))
    assert log.read_bytes() == before


def test_an_export_that_fails_half_way_leaves_nothing(json_lines: Lines, tmp_path: Path) -> None:
    rows = [{"instruction": "i", "output": "o", "input": "", "n": n} for n in range(3)]
    rows[2]["response"] = "taken"
    edited = open_edited(json_lines(rows))
    before = sorted(tmp_path.iterdir())
    for name in ("out.jsonl", "out.csv", "folder"):
        with pytest.raises(UserError, match="row 2: its column 'response' is a field"):
            export(edited, tmp_path / name, ExportOptions(format="dolly"))
    assert sorted(tmp_path.iterdir()) == before


def test_a_killed_export_leaves_what_was_there(json_lines: Lines, tmp_path: Path) -> None:
    rows = [{"instruction": f"ask {n}", "input": "", "output": "long " * 200} for n in range(3000)]
    source = json_lines(rows)
    out = tmp_path / "out.jsonl"
    out.write_text("what was there")
    arguments = [sys.executable, "-m", "itaudit", "data", "export", str(source), "--out", str(out), "--force"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, b"")
        assert any(b"writing" in line for line in lines)
        # Killed as soon as a file is being written.
        while process.poll() is None and not list(tmp_path.glob(".out.jsonl.*")):
            time.sleep(0.0005)
        process.kill()
    whole = out.read_text()
    assert whole == "what was there" or len(load(out)) == 3000


def test_edits_that_a_format_can_not_hold_are_not_lost(json_lines: Lines, tmp_path: Path) -> None:
    edited = open_edited(json_lines([{"text": "a"}, {"text": "b"}]))
    edited.edit(1, {"response": "an answer"}, by="hand")
    with pytest.raises(UserError, match="row 1: was given a response"):
        export(edited, tmp_path / "out.jsonl")
    export(edited, tmp_path / "out.jsonl", ExportOptions(positions=[1], format="alpaca"))
    assert load(tmp_path / "out.jsonl")[0].response == "an answer"


def test_instances_that_shared_an_instruction_part_when_one_is_edited(json_lines: Lines, tmp_path: Path) -> None:
    items = [{"input": str(n), "output": f"o{n}"} for n in range(3)]
    edited = open_edited(json_lines([{"id": "x", "instruction": "do", "instances": items, "k": 1}, {
        "id": "y", "instruction": "other", "instances": items[:1]}]))  # fmt: skip
    edited.edit(1, {"instruction": "do it"}, by="hand")
    export(edited, tmp_path / "out.jsonl", ExportOptions(provenance=True))
    again = load(tmp_path / "out.jsonl")
    told = [(i.id, i.instruction, i.input, i.response) for i in again]
    assert told == [
        ("x.0", "do", "0", "o0"),
        ("x.1", "do it", "1", "o1"),
        ("x.2", "do", "2", "o2"),
        ("y", "other", "0", "o0"),
    ]
    noted = [row.shape["item"][COLUMN] for row in again.rows()]
    assert [bool(text) for text in noted] == [False, True, False, False]
    edited.undo(1)
    export(edited, tmp_path / "same.jsonl")
    same, source = ([orjson.loads(line) for line in Path(path).read_bytes().splitlines()] for path in (
        tmp_path / "same.jsonl", edited.source.path))  # fmt: skip
    assert same == source


def test_a_definition_belongs_to_all_instances_of_its_task(tmp_path: Path) -> None:
    task = {
        "Definition": ["Say yes or no."],
        "Positive Examples": [],
        "Negative Examples": [],
        "Instances": [{"id": f"t-{n}", "input": str(n), "output": ["yes"]} for n in range(2)],
    }
    (tmp_path / "task1_a.json").write_bytes(orjson.dumps(task))
    edited = open_edited(tmp_path / "task1_a.json")
    edited.edit(0, {"instruction": "Answer."}, by="hand")
    with pytest.raises(UserError, match="edit all its instances alike, or export as alpaca"):
        export(edited, tmp_path / "out.json")
    export(edited, tmp_path / "out.jsonl", ExportOptions(format="alpaca"))
    assert [i.instruction for i in load(tmp_path / "out.jsonl")] == ["Answer.", "Say yes or no."]
    edited.edit(1, {"instruction": "Answer."}, by="hand")
    export(edited, tmp_path / "tasks")
    assert json.loads((tmp_path / "tasks" / "task1_a.json").read_text())["Definition"] == ["Answer."]
    assert (tmp_path / "tasks" / "README.md").exists()
    again = load(tmp_path / "tasks")
    assert [(i.instruction, i.extra["task"]) for i in again] == [("Answer.", "task1_a")] * 2


def test_tasks_that_say_different_things_fit_one_csv_file(tmp_path: Path) -> None:
    for number, more in enumerate(({"Reasoning": ["causal"]}, {"Domains": ["news"]}, {})):
        items = [{"id": f"{number}-{n}", "input": str(n), "output": ["yes"]} for n in range(2)]
        task = {"Definition": [f"task {number}"], "Positive Examples": [], "Negative Examples": [], **more}
        (tmp_path / "tasks").mkdir(exist_ok=True)
        (tmp_path / "tasks" / f"task{number}.json").write_bytes(orjson.dumps(task | {"Instances": items}))
    edited = open_edited(tmp_path / "tasks")
    edited.edit(3, {"response": "no"}, by="hand")
    export(edited, tmp_path / "out.csv")
    again = load(tmp_path / "out.csv")
    assert again.rejected == ()
    assert [(i.id, i.instruction, i.response) for i in again] == [
        (i.id, i.instruction, i.response) for i in edited.dataset()
    ]
    assert [sorted(task.keys() & {"Reasoning", "Domains"}) for task in again.tasks.values()] == [
        ["Reasoning"],
        ["Domains"],
        [],
    ]


def test_splits_of_tasks_stand_in_folders_of_task_files(tmp_path: Path, shared_data: Path) -> None:
    source = sorted((shared_data / "superni").glob("*.json"))[0]
    edited = open_edited(source)
    for _ in range(2):
        options = ExportOptions(splits={"train": 0.9, "test": 0.1}, overwrite=True, provenance=True)
        report = export(edited, tmp_path / "tasks", options)
    for split, count in report.splits.items():
        part = load(tmp_path / "tasks" / split)
        assert (part.format, len(part), len(part.tasks)) == ("superni", count, 1)
    assert sum(report.splits.values()) == len(edited)


def test_a_card_can_not_be_broken_by_names_and_reasons(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J`|# x.jsonl"
    rows = [{"instruction": "a", "input": "", "output": "b"}, {"instruction": "a", "output": "\x00|`<b>", "id": 1}, 7]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    edited = open_edited(path)
    edited.edit(0, {"response": "c"}, by="endpoint:<|\x1b>")
    export(edited, tmp_path / "out.jsonl")
    card = (tmp_path / "out.jsonl.card.md").read_text()
    assert "\x1b" not in card
    assert r"endpoint:\<\|" in card
    assert "row 2: is a number, expected an object" in card


@pytest.fixture
def hub() -> Any:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def pushed(source: str, endpoint: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    # The library reads its address once, when it is imported.
    own = {"HF_ENDPOINT": endpoint, "HF_TOKEN": "hf_secret", "HF_HOME": str(cwd / "hf"), "HF_HUB_DISABLE_XET": "1"}
    environment = os.environ | own
    command = [sys.executable, "-m", "itaudit", "data", "export", source, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=cwd, check=False, timeout=300)


def test_a_push_brings_data_and_card_to_the_hub(edited: EditedDataset, tmp_path: Path, hub: Hub) -> None:
    done = pushed(
        edited.source.path, hub.address, "--push", "me/mended", "--private", "--split", "train=0.8,test=0.2", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pushed"].endswith("/datasets/me/mended")
    (made,) = hub.created
    assert (made["organization"], made["name"], made["type"]) == ("me", "mended", "dataset")
    assert made.get("visibility") == "private" or made.get("private") is True
    assert hub.tokens == {"Bearer hf_secret"}
    card = hub.files["README.md"].decode()
    assert "2 instances changed, 1 deleted" in card
    assert "dataset_info:" in card
    (tmp_path / "got").mkdir()
    for split, count in (("train", 15), ("test", 4)):
        (name,) = [name for name in hub.files if f"/{split}-" in name]
        path = tmp_path / "got" / f"{split}.parquet"
        path.write_bytes(hub.files[name])
        assert len(load(path)) == count


def test_a_dataset_on_the_hub_is_not_overwritten(edited: EditedDataset, tmp_path: Path, hub: Hub) -> None:
    hub.taken = True
    done = pushed(edited.source.path, hub.address, "--push", "me/mended", cwd=tmp_path)
    assert (done.returncode, hub.files) == (1, {})
    assert "me/mended: stands on the hub already" in done.stderr


def test_a_hub_out_of_reach_costs_nothing_local(edited: EditedDataset, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = pushed(edited.source.path, "http://127.0.0.1:9", "--push", "me/x", "--out", str(out), cwd=tmp_path)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "the hub took no dataset" in line
    assert f"what was written to {out} stays" in line
    assert "Traceback" not in done.stderr
    assert "hf_secret" not in done.stderr
    assert len(load(out)) == 19
