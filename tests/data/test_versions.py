"""Versions of a dataset by name, on every verb that reads one, and the log that they count in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from itaudit.cli_data import data_group
from itaudit.cli_trace import trace_command
from itaudit.data.edited import EditedDataset
from itaudit.data.load import load
from itaudit.data.versions import load_version, open_edited, split_version
from itaudit.errors import UserError

Lines = Callable[[list[Any]], Path]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(data_group, [str(argument) for argument in arguments])


@pytest.fixture
def edited(json_lines: Lines) -> EditedDataset:
    """Entry 1 changes row 0, 2 names it v1, 3 deletes row 1, 4 changes row 2, 5 takes that back."""
    rows = [{"instruction": f"ask {n}", "input": "", "output": f"the answer {n}"} for n in range(3)]
    edited = open_edited(json_lines(rows))
    edited.edit(0, {"response": "the short answer"}, by="extractive", checks={"passes": True})
    edited.overlay.name("v1")
    edited.edit(1, {"deleted": True}, by="hand")
    edited.edit(2, {"response": "\x1b[31m[bold]"}, by="hand")
    edited.undo(2)
    return edited


@pytest.mark.parametrize(
    ("version", "responses"),
    [
        ("", ["the answer 0", "the answer 1", "the answer 2"]),
        ("@source", ["the answer 0", "the answer 1", "the answer 2"]),
        ("@0", ["the answer 0", "the answer 1", "the answer 2"]),
        ("@1", ["the short answer", "the answer 1", "the answer 2"]),
        ("@v1", ["the short answer", "the answer 1", "the answer 2"]),
        ("@4", ["the short answer", "\x1b[31m[bold]"]),
        ("@edited", ["the short answer", "the answer 2"]),
    ],
)
def test_a_version_reads_the_state_it_names(edited: EditedDataset, version: str, responses: list[str]) -> None:
    assert [i.response for i in load_version(f"{edited.source.path}{version}")] == responses


def test_a_bare_name_is_the_source_or_the_edits_as_the_verb_wants(edited: EditedDataset) -> None:
    path = edited.source.path
    assert load_version(path).sha256 == edited.source.sha256
    assert load_version(path, default="edited").sha256 == open_edited(path).dataset().sha256 != edited.source.sha256
    assert len(load_version(f"{path}@source", default="edited")) == 3


def test_a_file_whose_own_name_holds_an_at_wins(edited: EditedDataset, tmp_path: Path) -> None:
    own = tmp_path / "source.jsonl@v1"
    own.write_bytes(Path(edited.source.path).read_bytes())
    assert split_version(str(own)) == (str(own), "")
    assert load_version(own)[0].response == "the answer 0"


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("owner/name@edited", ("owner/name", "edited")),
        ("owner/name", ("owner/name", "")),
        ("nowhere/at/all@x", ("nowhere/at/all@x", "")),
        ("me@home.jsonl", ("me@home.jsonl", "")),
    ],
)
def test_a_version_follows_what_can_be_a_dataset(source: str, parts: tuple[str, str]) -> None:
    assert split_version(source) == parts


@pytest.mark.parametrize("version", ["@nix", "@99", "@"])
def test_a_version_that_there_is_not_is_wrong_use(edited: EditedDataset, version: str) -> None:
    with pytest.raises(UserError, match="@") as caught:
        load_version(f"{edited.source.path}{version}")
    assert caught.value.code == 2


def test_a_past_version_is_read_only(edited: EditedDataset) -> None:
    past = open_edited(f"{edited.source.path}@v1")
    assert (past[0].response, past.row(1).deleted) == ("the short answer", False)
    for act in (lambda: past.edit(0, {"note": "x"}, by="hand"), lambda: past.undo(0), lambda: past.overlay.name("b")):
        with pytest.raises(UserError, match="past version"):
            act()


def test_every_verb_that_reads_datasets_reads_versions(edited: EditedDataset, tmp_path: Path) -> None:
    path = edited.source.path
    assert orjson.loads(run("check", f"{path}@edited", "--json").stdout)["instances"] == 2
    assert orjson.loads(run("check", path, "--json").stdout)["instances"] == 3
    assert run("convert", f"{path}@v1", "--to", "dolly", "--out", tmp_path / "v1.csv").exit_code == 0
    assert load(tmp_path / "v1.csv")[0].response == "the short answer"
    difference = orjson.loads(run("diff", path, f"{path}@edited", "--json").stdout)
    assert (difference["removed"], [change["key"] for change in difference["changed"]]) == (["1"], ["0"])
    assert "response: the {+short +}answer[- 0-]" in run("diff", path, f"{path}@edited").stdout
    traced = CliRunner().invoke(
        trace_command,
        [f"{path}@v1", "--prompt", "ask", "--response", "so the short answer", "--span", "3:19", "--json"],
    )
    assert orjson.loads(traced.stdout)["spans"][0]["sources"][0]["index"] == 0


def test_the_log_tells_every_entry_newest_first(edited: EditedDataset) -> None:
    document = orjson.loads(run("log", edited.source.path, "--json").stdout)
    entries = document["entries"]
    assert [(entry["number"], entry["op"]) for entry in entries] == [
        (5, "undo"),
        (4, "edit"),
        (3, "edit"),
        (2, "version"),
        (1, "edit"),
    ]
    assert [entries[place]["state"] for place in (1, 2, 4)] == ["undone", "standing", "standing"]
    assert entries[4]["changes"] == {"response": {"before": "the answer 0", "after": "the short answer"}}
    assert (entries[4]["by"], entries[4]["row"], entries[4]["checks"]) == ("extractive", 0, {"passes": True})
    assert (document["conflicts"], document["unreadable"]) == ([], [])
    shown = run("log", edited.source.path, "-v").stdout
    assert "\x1b" not in shown
    assert "edit     #2  response  by hand  (undone)" in shown
    assert "version  @v1" in shown
    assert "response: the {+short +}answer[- 0-]" in shown
    only = orjson.loads(run("log", edited.source.path, "--id", "#2", "--json").stdout)
    assert [entry["number"] for entry in only["entries"]] == [5, 4]
    assert orjson.loads(run("log", f"{edited.source.path}@v1", "--json").stdout)["entries"] == entries[3:]


def test_the_log_tells_conflicts_and_lines_it_can_not_read(edited: EditedDataset, json_lines: Lines) -> None:
    with edited.overlay.path.open("ab") as file:
        file.write(b'{"v":2,"op":"edit"}\n')
    json_lines([{"instruction": "ask 0", "input": "", "output": "something else"}])
    shown = run("log", edited.source.path).stdout
    assert "(conflict: the source changed since)" in shown
    assert "(conflict: the source no longer holds this instance)" in shown
    assert "2 in conflict, not applied" in shown
    assert "1 lines can't be read" in shown
    assert "passed over: 6" in shown
    assert orjson.loads(run("log", edited.source.path, "--json").stdout)["unreadable"] == [6]


def test_a_version_is_named_from_the_command_line(edited: EditedDataset) -> None:
    named = run("log", edited.source.path, "--name", "release-1", "--json")
    assert orjson.loads(named.stdout) == {"name": "release-1", "number": 6}
    assert len(load_version(f"{edited.source.path}@release-1")) == 2
    again = run("log", edited.source.path, "--name", "release-1")
    assert isinstance(again.exception, UserError)
    assert "names entry 6 already" in str(again.exception)


def test_no_edits_are_told(json_lines: Lines) -> None:
    shown = run("log", json_lines([{"instruction": "a", "input": "", "output": "b"}]))
    assert (shown.exit_code, "no edits in" in shown.stdout) == (0, True)


def test_turns_are_compared_word_by_word(json_lines: Lines) -> None:
    turns = [("user", "one"), ("assistant", "two words"), ("user", "three"), ("assistant", "four")]
    edited = open_edited(json_lines([{"messages": [{"role": r, "content": c} for r, c in turns]}]))
    history = [{"role": m.role, "content": m.content} for m in edited[0].history]
    edited.edit(0, {"history": [history[0], history[1] | {"content": "two short words"}]}, by="hand")
    assert "assistant: two {+short +}words" in run("log", edited.source.path, "-v").stdout
