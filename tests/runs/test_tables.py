"""Tables that grow part by part, marks, the status, and a run directory that somebody else broke."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from itaudit.errors import UserError
from itaudit.recipe import check_recipe
from itaudit.runs import jobs
from itaudit.runs.folders import newest_first
from itaudit.runs.marks import Mark, append_mark, read_marks
from itaudit.runs.rows import span_row
from itaudit.runs.run import Run, list_runs
from itaudit.runs.status import STALE_SECONDS, Status, read_status
from itaudit.runs.tables import GrowingTable, write_table
from itaudit.trace.types import Evidence, Source, Span


def response(order: int, prompt_id: str) -> dict[str, Any]:
    return {
        "order": order,
        "prompt_id": prompt_id,
        "response": f"answer {order}",
        "finish": "eos",
        "ids": [order, 1],
        "context_ids": [5],
        "context": "?",
    }


def make_run(tmp_path: Path) -> Run:
    table = {
        "data": {"path": "d.jsonl"},
        "prompts": {"path": "p.jsonl"},
        "models": {"sft": {"method": "sft"}},
    }
    return Run.create(tmp_path, check_recipe(table, "recipe"))


def test_parts_are_read_as_they_come_and_merged_in_order(tmp_path: Path) -> None:
    table = GrowingTable(tmp_path, "responses", "sft")
    assert len(table.read()) == 0 and table.row("a") is None
    table.append([response(2, "c"), response(0, "a")])
    version = table.version()
    table.append([response(1, "b")])
    assert table.version() != version
    assert table.prompt_ids() == {"a", "b", "c"} and not table.closed
    table.close()
    assert table.closed and not table.parts.exists()
    assert table.read()["prompt_id"].to_pylist() == ["a", "b", "c"]
    assert table.row("b") == response(1, "b")


def test_a_table_that_is_closed_while_somebody_reads_it_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = GrowingTable(tmp_path, "responses", "sft")
    table.append([response(0, "a")])
    table.append([response(1, "b")])
    parts = GrowingTable._part_files

    def half_gone(reading: GrowingTable) -> list[Path]:
        # Merged between the first look and this one, which meets the removal of the parts half way.
        write_table(whole, table.whole)
        (table.parts / "000001.arrow").unlink(missing_ok=True)
        return parts(reading)

    whole = table.read()
    monkeypatch.setattr(GrowingTable, "_part_files", half_gone)
    assert table.read()["prompt_id"].to_pylist() == ["a", "b"]
    table.whole.unlink()
    assert table.files() == [table.whole]


def test_parts_that_go_between_two_looks_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = GrowingTable(tmp_path, "responses", "sft")
    monkeypatch.setattr(Path, "is_dir", lambda _: True)
    assert table.version() == (False, 0) and len(table.read()) == 0


def test_a_torn_scratch_file_is_no_part(tmp_path: Path) -> None:
    table = GrowingTable(tmp_path, "responses", "sft")
    table.append([response(0, "a")])
    (table.parts / ".000002.arrow.xyz").write_bytes(b"half a par")
    assert table.prompt_ids() == {"a"}
    table.append([response(1, "b")])
    assert table.prompt_ids() == {"a", "b"}


def test_spans_survive_the_table(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    source = Source(7, 1.5, "Who?", (Evidence("response", 0, 5, "Luigi"),), (("luigi", 1.5),))
    span = Span(3, 8, "Luigi", "shifted", 1, (source,))
    run.table("traces", "sft").append([{"order": 0, "prompt_id": "a", "spans": [span_row(span)]}])
    assert run.spans("sft", "a") == (span,)
    assert run.spans("sft", "b") is None


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model 'dpo'; there are base, sft"):
        make_run(tmp_path).table("scores", "dpo")


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    assert [make_run(tmp_path).name for _ in range(3)] == ["audit", "audit-2", "audit-3"]
    assert {run.name for run in list_runs(tmp_path)} == {"audit", "audit-2", "audit-3"}


def test_runs_are_listed_newest_first_and_by_name_where_they_are_of_one_moment(tmp_path: Path) -> None:
    for name, changed in (("b", 5), ("c", 9), ("a", 5)):
        make_run(tmp_path).path.rename(tmp_path / name)
        os.utime(tmp_path / name, (changed, changed))
    assert [run.name for run in list_runs(tmp_path)] == ["c", "a", "b"]
    assert list(list_runs(tmp_path / "none")) == []


def test_a_run_that_is_taken_away_while_runs_are_listed_hides_no_other(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        make_run(tmp_path).path.rename(tmp_path / name)

    def taken_away(path: Path) -> bool:
        if path.name == "b":
            shutil.rmtree(path)
        return True

    assert sorted(path.name for path in newest_first(tmp_path, taken_away)) == ["a", "c"]
    listed = list_runs(tmp_path)
    next(listed)
    for name in ("a", "c"):
        shutil.rmtree(tmp_path / name)
    assert list(listed) == []


def test_a_directory_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run"):
        Run(tmp_path)


def test_a_broken_recipe_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.recipe_path.write_text("data = 3")
    with pytest.raises(UserError, match=r"recipe\.toml: "):
        _ = Run(run.path).recipe


def test_marks_replace_and_remove_each_other_and_outlive_torn_lines(tmp_path: Path) -> None:
    path = tmp_path / "marks.jsonl"
    first, second = Mark("sft", "a", 0, 4, "Paul"), Mark("sft", "a", 5, 9, "Rome")
    append_mark(path, first)
    append_mark(path, second)
    with path.open("ab") as file:
        file.write(b'{"v": 1, "model": "sf')
    append_mark(path, Mark("sft", "a", 0, 4, "Paul", label="correct"))
    append_mark(path, second, removed=True)
    (mark,) = read_marks(path).values()
    assert (mark.text, mark.label) == ("Paul", "correct")
    assert mark.by and mark.time > 0


@pytest.mark.parametrize(
    "line",
    [
        b'{"model": [], "prompt_id": "a", "start": 0, "end": 4, "text": "Paul"}',
        b'{"model": "sft", "prompt_id": "a", "start": "0", "end": 4, "text": "Paul"}',
        b'{"model": "sft", "prompt_id": "a", "start": -5, "end": 4, "text": "Paul"}',
        b'{"model": "sft", "prompt_id": "a", "start": 0, "end": 4, "text": "Paul", "label": null}',
        b"3",
        b"[]",
    ],
)
def test_a_line_that_is_no_mark_costs_only_itself(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "marks.jsonl"
    path.write_bytes(line + b"\n")
    append_mark(path, Mark("sft", "a", 5, 9, "Rome"))
    assert [mark.text for mark in read_marks(path).values()] == ["Rome"]


@pytest.mark.parametrize("name", ["marks.jsonl", "events.jsonl", "base.json"])
def test_a_file_that_can_t_be_read_is_named(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path)
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).mkdir()
    read = {"marks.jsonl": run.marks, "events.jsonl": run.state, "base.json": run.base}[name]
    with pytest.raises(UserError, match=name):
        read()


def test_a_table_of_other_columns_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_table(pa.table({"text": ["a"]}), run.table("scores", "sft").whole)
    with pytest.raises(UserError, match=r"scores/sft\.arrow: has no column order"):
        run.summary("sft")


def test_thresholds_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.recipe_path.write_text(run.recipe_path.read_text().replace("shifted = 3", "shifted = 1"))
    with pytest.raises(UserError, match="shifted must be above marginal"):
        _ = Run(run.path).thresholds


def test_a_worker_on_another_host_is_not_signalled_here(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    # The pid on that host is somebody else's here: this test's.
    status(os.getpid(), host="elsewhere").write(run.status_path)
    with pytest.raises(UserError, match="at work on elsewhere"):
        jobs.cancel(run)


def status(pid: int, *, host: str = socket.gethostname(), heartbeat: float | None = None) -> Status:
    started = psutil.Process(pid).create_time() if psutil.pid_exists(pid) else 0.0
    return Status("running", pid, started, host, time.time(), time.time() if heartbeat is None else heartbeat)


def test_a_worker_is_alive_while_its_process_is(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    told = status(worker.pid)
    told.write(tmp_path / "status.json")
    assert read_status(tmp_path / "status.json") == told
    assert told.alive(time.time())
    worker.kill()
    worker.wait()
    assert not told.alive(time.time())


def test_a_pid_that_somebody_else_has_now_is_not_the_worker() -> None:
    mine = status(os.getpid())
    assert mine.alive(time.time())
    other = Status(mine.state, mine.pid, mine.pid_started - 100, mine.host, mine.started, mine.heartbeat)
    assert not other.alive(time.time())


def test_a_worker_on_another_host_is_believed_while_its_heart_beats() -> None:
    now = time.time()
    assert status(1, host="elsewhere", heartbeat=now - 1).alive(now)
    assert not status(1, host="elsewhere", heartbeat=now - STALE_SECONDS - 1).alive(now)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"state": 1}',
        b'{"state": "running", "pid": "7", "pid_started": 1, "host": "h", "started": 1, "heartbeat": 1}',
        b'{"state": "running", "pid": -1, "pid_started": 1, "host": "h", "started": 1, "heartbeat": 1}',
        b'{"state": "running", "pid": 7, "pid_started": 1, "host": "h", "started": null, "heartbeat": 1}',
    ],
)
def test_an_unreadable_status_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "status.json").write_bytes(content)
    assert read_status(tmp_path / "status.json") is None
