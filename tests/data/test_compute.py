"""Duplicates and statistics from a process of their own: the same as here, kept until something changes."""

import argparse
from pathlib import Path
from typing import Any

import orjson
import pytest

from itaudit.data import compute
from itaudit.data.compute import Computing, Result, compute_duplicates, compute_statistics
from itaudit.data.duplicates import find_duplicates
from itaudit.data.opened import open_whole
from itaudit.data.selection import parse_filter, select
from itaudit.data.statistics import statistics_of
from tests.waiting import until


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [{"instruction": f"Ask {n}?", "input": "", "output": f"answer {n % 5}"} for n in range(9)]
    rows[7] = rows[2]
    (tmp_path / "rows.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return tmp_path / "rows.jsonl"


def finished(computing: Computing[Result]) -> Computing[Result]:
    shares = [computing.share]

    def ended() -> bool:
        # A long line comes in several pieces, the first of which brings nothing yet.
        computing.wait(1)
        shares.append(computing.share)
        return computing.result is not None or bool(computing.problem)

    until(ended)
    assert shares == sorted(shares)
    return computing


def test_duplicates_are_those_found_here_and_are_kept(source: Path, own_cache: Path) -> None:
    opened = open_whole(str(source))
    expected = find_duplicates(opened.edited, threshold=0.9)
    assert expected.copies.tolist() == [7]
    assert finished(compute_duplicates(str(source), threshold=0.9)).result == expected
    (kept,) = own_cache.glob("*/duplicates-*.json")
    kept.write_bytes(orjson.dumps(expected.to_json() | {"instances": 42}))
    again = finished(compute_duplicates(str(source), threshold=0.9)).result
    assert again is not None and again.instances == 42, "read, not found again"
    opened.edited.edit(7, {"response": "other words here now"}, by="hand")
    edited = finished(compute_duplicates(str(source), threshold=0.9)).result
    assert edited is not None and (edited.instances, edited.groups) == (9, ())


def test_an_edit_that_is_made_meanwhile_is_not_missing_from_what_is_kept(
    source: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = argparse.Namespace(
        what="duplicates", source=str(source), format="auto", split=None, threshold=0.9, field="instance", filter=""
    )

    def edited_after(source: str, **options: Any) -> Any:
        opened = open_whole(source, **options)
        open_whole(source).edited.edit(7, {"response": "other words here now"}, by="hand")
        return opened

    with monkeypatch.context() as patch:
        patch.setattr("itaudit.data.opened.open_whole", edited_after)
        assert compute._result(asked)["groups"]
    assert not compute._result(asked)["groups"]
    assert len(list(own_cache.glob("*/duplicates-*.json"))) == 2


def test_statistics_are_those_found_here(source: Path) -> None:
    opened = open_whole(str(source))
    positions = select(opened.edited, opened.measures, parse_filter("row:-4"))
    both = [compute_statistics(str(source)), compute_statistics(str(source), filter="row:-4")]
    assert finished(both[0]).result == statistics_of(opened.edited, opened.measures)
    assert finished(both[1]).result == statistics_of(opened.edited, opened.measures, positions)


def test_what_goes_wrong_is_one_problem(source: Path, tmp_path: Path) -> None:
    assert "no such file" in finished(compute_statistics(str(tmp_path / "none.json"))).problem
    assert "no column 'colour'" in finished(compute_statistics(str(source), filter="colour:red")).problem
    computing = compute_duplicates(str(source), threshold=0.9)
    computing.close()
    assert not computing.poll() and computing.result is None
