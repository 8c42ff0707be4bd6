"""`itaudit data`: what it prints, what it writes, what it refuses."""

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from itaudit.cli_data import data_group
from itaudit.data.load import load
from itaudit.errors import UserError


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(data_group, [str(argument) for argument in arguments])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    rows = [
        {"id": "x", "instruction": "Name a fruit", "output": "A red apple."},
        {"id": "y", "instruction": "bad", "output": None},
        {"id": "z", "instruction": "\x1b[31m[bold]", "output": "ok"},
    ]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def test_check_prints_one_json_document(source: Path) -> None:
    result = run("check", source, "--json")
    assert result.exit_code == 0
    document = orjson.loads(result.stdout)
    assert document == {
        "path": str(source),
        "format": "alpaca",
        "instances": 2,
        "sha256": load(source).sha256,
        "rejected": [{"index": 1, "reason": "'output' is null, expected text"}],
        "warnings": [],
    }


def test_check_reads_well_and_harmlessly(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    rows = [{"messages": [{"role": "\x1b[2J[/]", "content": "a"}]}] * 30
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    result = run("check", path)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "[/]" in result.stdout
    assert "rejected   30" in result.stdout
    assert "and 10 more" in result.stdout


def test_check_of_an_unreadable_file_fails_with_one_line(tmp_path: Path) -> None:
    result = run("check", tmp_path / "missing.json")
    assert isinstance(result.exception, UserError)
    assert result.exception.code == 1
    assert result.stdout == ""


def test_convert_writes_and_never_over_a_file(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    result = run("convert", source, "--to", "messages", "--out", out)
    assert result.exit_code == 0
    assert "2 instances written as messages" in result.stdout
    assert "1 rows left out" in result.stdout
    assert [i.response for i in load(out)] == ["A red apple.", "ok"]
    again = run("convert", source, "--to", "alpaca", "--out", out)
    assert isinstance(again.exception, UserError)
    assert load(out).format == "messages"
    assert run("convert", source, "--to", "alpaca", "--out", out, "--force").exit_code == 0
    assert load(out).format == "alpaca"


def test_convert_to_an_unknown_format_is_wrong_use(source: Path, tmp_path: Path) -> None:
    result = run("convert", source, "--to", "alpaka", "--out", tmp_path / "out.json")
    assert isinstance(result.exception, UserError)
    assert result.exception.code == 2


def test_diff_matches_by_id_and_shows_words(source: Path, tmp_path: Path) -> None:
    rows = [
        {"id": "new", "instruction": "More", "output": "yes"},
        {"id": "x", "instruction": "Name a fruit", "output": "A green apple.", "tag": 1},
    ]
    other = tmp_path / "other.json"
    other.write_bytes(orjson.dumps(rows))
    document = orjson.loads(run("diff", source, other, "--json").stdout)
    assert (document["by"], document["added"], document["removed"]) == ("id", ["new"], ["z"])
    (change,) = document["changed"]
    assert change["key"] == "x"
    assert change["fields"] == {
        "response": {"before": "A red apple.", "after": "A green apple."},
        "extra.tag": {"before": None, "after": 1},
    }
    shown = run("diff", source, other).stdout
    assert "1 added, 1 removed, 1 changed (matched by id)" in shown
    assert "response: A [-red -]{+green +}apple." in shown


def test_diff_matches_by_row_where_ids_are_missing(tmp_path: Path) -> None:
    for name, answers in (("a.json", ["x", "y"]), ("b.json", ["x", "z", "w"])):
        rows = [{"instruction": "i", "output": answer} for answer in answers]
        (tmp_path / name).write_bytes(orjson.dumps(rows))
    document = orjson.loads(run("diff", tmp_path / "a.json", tmp_path / "b.json", "--json").stdout)
    assert (document["by"], document["added"], document["removed"]) == ("index", ["2"], [])
    assert [change["key"] for change in document["changed"]] == ["1"]
