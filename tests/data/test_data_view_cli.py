"""`itaudit data stats|filter|dedup`: one JSON document or lines, files that load again, and errors of one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from itaudit.cli import cli
from itaudit.data.edited import EditedDataset
from itaudit.data.load import load
from itaudit.data.overlay import Overlay
from itaudit.errors import UserError

Run = Callable[..., Any]

ROWS = [
    {"instruction": f"Ask {n % 4}?", "input": "", "output": "word " * n, "category": ["x", "y"][n % 2]}
    for n in range(12)
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in ROWS))
    dataset = load(path)
    edited = EditedDataset(dataset, Overlay.of(dataset.path))
    edited.edit(3, {"response": "Mended."}, by="hand")
    edited.edit(4, {"deleted": True}, by="hand")
    return path


@pytest.fixture
def run() -> Run:
    def call(*arguments: object) -> Any:
        result = CliRunner().invoke(cli, ["data", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)
        return orjson.loads(result.stdout) if "--json" in arguments else result.stdout

    return call


def test_a_filter_prints_what_it_selects_with_its_edits(run: Run, source: Path) -> None:
    found = run("filter", source, "--filter", "category:y words<8", "--sort", "-words", "--json")
    assert [instance["index"] for instance in found["instances"]] == [7, 5, 1, 3]
    assert found["instances"][3]["response"] == "Mended."
    assert found["selected"] == 4
    lines = run("filter", source, "--filter", "mended").splitlines()
    assert lines == ["#3\tAsk 3?\tMended."]
    assert run("filter", f"{source}@source", "--filter", "mended") == ""
    assert [i["index"] for i in run("filter", source, "--filter", "edited", "--json")["instances"]] == [3]


def test_deleted_instances_come_only_where_they_are_asked_for(run: Run, source: Path) -> None:
    assert run("filter", source, "--filter", "row:4", "--json")["selected"] == 0
    assert run("filter", source, "--filter", "deleted", "--json")["selected"] == 1
    assert run("filter", source, "--json")["selected"] == 11


def test_a_selection_is_written_with_its_edits_in_its_order(run: Run, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    report = run("filter", source, "--filter", "category:y", "--sort", "-words", "--limit", "6", "--out", out, "--json")
    assert report == {"out": str(out), "instances": 6}
    assert [i.response for i in load(out)][-1] == "Mended."
    assert [len((i.response or "").split()) for i in load(out)] == [11, 9, 7, 5, 1, 1]
    with pytest.raises(UserError, match="exists already"):
        run("filter", source, "--out", out)
    assert "11 instances written" in run("filter", source, "--out", out, "--force")
    run("filter", source, "--out", tmp_path / "m.jsonl", "--format", "messages", "--filter", "-empty")
    assert load(tmp_path / "m.jsonl").format == "messages"
    with pytest.raises(UserError, match="no instance is selected"):
        run("filter", source, "--filter", "words>1000", "--out", tmp_path / "none.json")


def test_duplicates_are_told_and_left_out(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(
        b"".join(orjson.dumps(row) + b"\n" for row in [*ROWS, *ROWS[:3], {**ROWS[5], "output": "WORD " * 5}])
    )
    told = run("dedup", path, "--threshold", "1", "--json")
    assert (told["instances"], told["copies"]) == (16, 4)
    assert told["groups"][0] == {"index": 0, "id": "0", "copies": [{"index": 12, "id": "12", "similarity": 1.0}]}
    lines = run("dedup", path, "--threshold", "1").splitlines()
    assert lines[-1].startswith("  1.00  #15\tAsk 1?\tWORD WORD")
    out = tmp_path / "out.jsonl"
    assert run("dedup", path, "--threshold", "1", "--out", out, "--json")["written"] == 12
    assert [i.response for i in load(out)] == [row["output"] for row in ROWS]
    assert run("filter", path, "--filter", "duplicate", "--json")["selected"] >= 4


def test_statistics_count_what_a_filter_selects(run: Run, source: Path) -> None:
    found = run("stats", source, "--filter", "category:y", "--json")
    assert (found["instances"], found["edited"], found["path"]) == (6, 1, str(source))
    assert found["columns"]["category"]["values"] == [["y", 6]]
    text = run("stats", source)
    assert "instances      11" in text and "deleted        1" in text
    assert "words: mean" in text and "languages of 11 instances" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["filter", "--filter", "colour:red"], "no column 'colour'"),
        (["filter", "--filter", "words>"], "lacks a value"),
        (["filter", "--sort", "colour"], "no column 'colour'"),
        (["filter", "--format", "alpaca"], "give --out too"),
        (["filter", "--out", "x.json", "--format", "nonsense"], "unknown dataset format"),
        (["filter", "--filter", "matched"], "search first"),
        (["stats", "--filter", '"open'], "can't be read"),
    ],
)
def test_wrong_use_is_one_line(run: Run, source: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says) as raised:
        run(arguments[0], source, *arguments[1:])
    assert raised.value.code == 2


def test_what_cannot_be_read_is_one_line(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        run("stats", tmp_path / "none.json")
    with pytest.raises(UserError, match="unknown dataset format"):
        run("stats", tmp_path, "--read-format", "nonsense")
