"""Batches: what is done stays done, through refusals, broken servers, kills and restarts."""

import json
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from itaudit.data.edited import EditedDataset
from itaudit.data.load import load
from itaudit.data.overlay import Overlay
from itaudit.engine.batch_worker import main
from itaudit.errors import UserError
from itaudit.runs.status import read_status
from itaudit.simplify.batch import Batch, BatchStatus, batches, estimate
from itaudit.simplify.settings import EndpointSettings, Settings
from tests.simplify.server import Gate, Server, half_a_body, hangs, says, sends, serving, shorter
from tests.waiting import until

RESPONSE = "Water is wet number {0}. It is important to note that water flows. I hope this helps!"


def dataset(folder: Path, count: int, response: str = RESPONSE) -> EditedDataset:
    rows = [{"instruction": f"What is water {n}?", "input": "", "output": response.format(n)} for n in range(count)]
    path = folder / "water.json"
    path.write_text(json.dumps(rows))
    return opened(path)


def opened(path: Path) -> EditedDataset:
    source = load(str(path))
    return EditedDataset(source, Overlay.of(source.path))


def by_server(server: Server, **settings: object) -> Settings:
    chosen = {"model": "tiny", "timeout": 60.0, "retries": 0, "concurrency": 2} | settings
    return Settings(engine="endpoint", endpoint=EndpointSettings(base_url=server.base_url, **chosen))


def finish(batch: Batch) -> BatchStatus:
    until(lambda: not batch.status().at_work, batch.status)
    return batch.status()


def rows_on_disk(batch: Batch) -> Counter[int]:
    """How often each row has a proposal without a problem in the file."""
    found: Counter[int] = Counter()
    for line in batch.proposals_path.read_bytes().split(b"\n"):
        try:
            proposal = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[proposal["index"]] += not proposal["problem"]
    return found


def test_a_batch_simplifies_accepts_rejects_and_undoes(tmp_path: Path) -> None:
    edited = dataset(tmp_path, 5)
    edited.edit(4, {"deleted": True}, by="hand")
    batch = Batch.create(edited, range(5), Settings())
    assert batch.status().state == "new" and batch.status().total == 4
    batch.start()
    status = finish(batch)
    assert (status.state, status.done, status.passed, status.problems, status.error) == ("done", 4, 4, 0, "")
    assert batch.proposal(2).after == "Water is wet number 2. Water flows."
    assert [b.name for b in batches(edited)] == [batch.name] == ["extractive-1"]

    waiting = batch.undecided(edited)
    assert [one.position for one in waiting] == [0, 1, 2, 3]
    assert batch.accept(edited, 0) and batch.accept(edited, 1, "Water is wet number 1.")
    batch.reject(2)
    edited.edit(3, {"response": "Changed by hand."}, by="hand")
    assert [(one.position, one.stale) for one in batch.undecided(edited)] == [(3, True)]
    with pytest.raises(UserError, match="changed since"):
        batch.accept(edited, 3)
    edits = {position: row.edits[-1] for position, row in edited.edited_positions().items() if row.edits}
    assert edits[0].by == "extractive" and edits[0].proposal == "extractive-1/0" and edits[0].checks["passes"]
    assert edits[1].by == "hand" and edits[1].proposal == "extractive-1/1"
    with pytest.raises(UserError, match=r"changed since|accepted already"):
        batch.accept(edited, 0)
    batch.restore(2)
    edited.undo(0)
    assert [one.position for one in batch.undecided(edited)] == [0, 2, 3]


def test_a_batch_that_ends_while_somebody_looks_is_done_with_all_its_proposals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch.create(dataset(tmp_path, 3), range(3), Settings())
    batch.start()
    finish(batch)
    lines = batch.proposals_path.read_bytes()
    ended = read_status(batch.status_path)
    assert ended is not None
    mine = psutil.Process()
    at_work = replace(ended, state="running", pid=mine.pid, pid_started=mine.create_time())
    batch = Batch(batch.folder)
    batch.proposals_path.write_bytes(b"".join(lines.splitlines(keepends=True)[:1]))
    at_work.write(batch.status_path)
    refresh = batch.refresh

    def refreshed() -> int:
        found = refresh()
        batch.proposals_path.write_bytes(lines)
        ended.write(batch.status_path)
        return found

    monkeypatch.setattr(batch, "refresh", refreshed)
    first, second = batch.status(), batch.status()
    assert first.at_work or first.done == 3, first
    assert (second.state, second.done) == ("done", 3)


def test_a_proposal_for_an_edit_that_was_taken_back_is_stale(tmp_path: Path) -> None:
    edited = dataset(tmp_path, 2)
    edited.edit(0, {"response": "Sure! Rain is wet. I hope this helps!"}, by="hand")
    batch = Batch.create(edited, range(2), Settings())
    batch.start()
    finish(batch)
    assert [(one.position, one.stale) for one in batch.undecided(edited)] == [(0, False), (1, False)]
    edited.undo(0)
    assert [(one.position, one.stale) for one in batch.undecided(edited)] == [(0, True), (1, False)]
    with pytest.raises(UserError, match="changed since"):
        batch.accept(edited, 0)


def test_the_queue_brings_the_gravest_first_and_leaves_out_what_changes_nothing(tmp_path: Path) -> None:
    edited = dataset(tmp_path, 4)

    def reply(handler: object, request: dict) -> None:
        row = int(request["messages"][0]["content"].split("What is water ")[1].split("?")[0])
        text = ["Water, said Luigi Rossi in 1850.", "I'm sorry, but I can't.", RESPONSE.format(2), "Water flows."][row]
        says(text)(handler, request)

    with serving(reply) as server:
        batch = Batch.create(edited, range(4), by_server(server))
        batch.start()
        assert finish(batch).passed == 1
    assert [one.position for one in batch.undecided(edited)] == [1, 0, 3]
    assert batch.entries[0].reasons[0] == "new number: 1850"


def test_a_name_can_be_taken_or_wrong_and_there_must_be_something_to_do(tmp_path: Path) -> None:
    edited = dataset(tmp_path, 2)
    Batch.create(edited, [0], Settings(), "mine")
    with pytest.raises(UserError, match="there is such a batch"):
        Batch.create(edited, [0], Settings(), "mine")
    with pytest.raises(UserError, match="can't name a batch"):
        Batch.create(edited, [0], Settings(), "../mine")
    with pytest.raises(UserError, match="nothing to simplify"):
        Batch.create(edited, [], Settings())
    with pytest.raises(UserError, match="base_url: required"):
        Batch.create(edited, [0], Settings(engine="endpoint"))
    with pytest.raises(UserError, match="is no batch"):
        Batch(tmp_path)


@pytest.mark.slow
def test_a_server_that_misbehaves_costs_nothing_that_is_done(tmp_path: Path) -> None:
    edited = dataset(tmp_path, 9)
    with serving(shorter) as server:
        server.replies = [
            shorter,
            half_a_body,
            sends("<html>", type="text/html"),
            shorter,
            sends('{"choices": [{"mess'),
            sends("busy", 503, "text/plain"),
            shorter,
            hangs,
            sends("later", 429, "text/plain", Retry_After="1"),
        ]
        batch = Batch.create(edited, range(9), by_server(server, timeout=3.0))
        batch.start()
        first = finish(batch)
        assert first.state == "failed" and "a resume asks for them again" in first.error
        assert (first.done, first.problems) == (3, 2)
        asked = len(server.requests)
        assert asked == 9
        batch.start()
        second = finish(batch)
        assert (second.state, second.done, second.problems, second.error) == ("done", 9, 0, "")
        # Only what had no proposal was asked for again.
        assert len(server.requests) - asked == 6
    assert rows_on_disk(batch) == Counter(range(9))


@pytest.mark.slow
def test_a_server_that_is_gone_stops_the_batch_and_a_resume_goes_on(tmp_path: Path) -> None:
    edited = dataset(tmp_path, 40)
    with serving(shorter) as server:
        server.replies = [shorter] * 4
        server.usual = half_a_body
        batch = Batch.create(edited, range(40), by_server(server))
        batch.start()
        status = finish(batch)
        assert status.state == "failed" and status.done == 4 and "can't be reached" in status.error
        assert len(server.requests) < 20
        server.usual = shorter
        batch.start()
        assert finish(batch).state == "done"
    assert rows_on_disk(batch) == Counter(range(40))


def test_a_batch_is_the_work_of_one_model_where_nobody_named_one(tmp_path: Path) -> None:
    with serving(shorter) as server, serving(shorter) as other:
        server.models, other.models = ["small"], ["large"]
        server.replies = [shorter, sends("busy", 503, "text/plain")]
        batch = Batch.create(dataset(tmp_path, 4), range(4), by_server(server, model="", concurrency=1), "one")
        assert main([str(batch.folder)]) == 1 and "1 have no answer" in batch.status().error
        batch.resettle(by_server(other, model=""), batch.task.prompt)
        assert main([str(batch.folder)]) == 1
        assert "endpoint:small has begun it, and the server has large" in batch.status().error
        assert other.requests == [] and batch.engine == "endpoint:small"
        other.models = ["small"]
        assert main([str(batch.folder)]) == 0 and batch.status().state == "done"
        assert len(other.requests) == 1


def test_access_that_is_refused_stops_the_batch_at_once(tmp_path: Path) -> None:
    edited = dataset(tmp_path, 40)
    with serving(sends("no", 401, "text/plain")) as server:
        batch = Batch.create(edited, range(40), by_server(server))
        batch.start()
        status = finish(batch)
        assert status.state == "failed" and "refuses access" in status.error and status.done == 0
        assert len(server.requests) <= 4


@pytest.mark.slow
def test_cancelling_keeps_what_is_done_and_a_resume_does_the_rest(tmp_path: Path) -> None:
    edited = dataset(tmp_path, 30)
    gate = Gate(shorter, free=4)
    with serving(gate) as server:
        batch = Batch.create(edited, range(30), by_server(server))
        batch.start()
        until(lambda: batch.status().done == 4, batch.status)
        with pytest.raises(UserError, match="at work"):
            batch.start()
        batch.cancel()
        status = finish(batch)
        assert status.state == "cancelled" and status.done == 4
        with pytest.raises(UserError, match="no worker"):
            batch.cancel()
        gate.open()
        batch.start()
        assert finish(batch).state == "done"
        # What was under way when it stopped may have been asked twice, nothing else.
        assert len(server.requests) <= 30 + 2
    assert rows_on_disk(batch) == Counter(range(30))


@pytest.mark.slow
def test_a_killed_worker_reads_as_failed_and_no_proposal_is_lost_or_made_twice(tmp_path: Path) -> None:
    edited = dataset(tmp_path, 40)
    gate = Gate(shorter)
    with serving(gate) as server:
        batch = Batch.create(edited, range(40), by_server(server, concurrency=4))
        seen: set[int] = set()
        for kills in range(3):
            gate.let_in(8)
            pid = batch.start()
            until(lambda kills=kills: batch.status().done == 8 * (kills + 1), batch.status)
            os.kill(pid, signal.SIGKILL)
            status = finish(batch)
            assert status.state == "failed" and status.error
            seen |= set(batch.entries)
            gate.turn_away()
        gate.open()
        batch.start()
        assert finish(batch).state == "done"
    found = rows_on_disk(batch)
    assert seen <= set(found) and found == Counter(range(40))


@pytest.mark.slow
def test_a_torn_last_line_is_passed_over_and_closed(tmp_path: Path) -> None:
    edited = dataset(tmp_path, 3)
    batch = Batch.create(edited, range(3), Settings())
    batch.start()
    finish(batch)
    whole = batch.proposals_path.read_bytes()
    lines = whole.splitlines(keepends=True)
    batch.proposals_path.write_bytes(lines[0] + lines[1] + lines[2][:40])
    batch = Batch(batch.folder)
    assert batch.refresh() == 2
    batch.start()
    status = finish(batch)
    assert (status.state, status.done) == ("done", 3)
    assert rows_on_disk(batch) == Counter(range(3))
    assert [batch.proposal(n).after for n in range(3)] == [f"Water is wet number {n}. Water flows." for n in range(3)]


def test_no_key_stands_in_any_file_of_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret-123")
    edited = dataset(tmp_path, 2)
    with serving(sends('{"error": {"message": "bad key sk-very-secret-123"}}', 401)) as server:
        batch = Batch.create(edited, range(2), by_server(server, api_key_env="MY_KEY"))
        batch.start()
        assert "MY_KEY" in finish(batch).error
        assert server.headers[-1]["authorization"] == "Bearer sk-very-secret-123"
    texts = [path.read_text(errors="replace") for path in batch.folder.iterdir() if path.is_file()]
    assert len(texts) >= 4 and not any("sk-very-secret" in text for text in texts)


def test_a_worker_that_dies_before_its_first_word_leaves_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = dataset(tmp_path, 2)
    batch = Batch.create(edited, range(2), Settings())
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho starting\necho 'no module named itaudit' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(broken))
    batch.start()
    status = finish(batch)
    assert (status.state, status.error, status.done) == ("failed", "no module named itaudit", 0)


def test_an_estimate_reckons_requests_tokens_and_price(tmp_path: Path) -> None:
    edited = dataset(tmp_path, 100, "word " * 79 + "word")
    settings = Settings(
        engine="endpoint",
        endpoint=EndpointSettings(base_url="http://x/v1", max_tokens=50, price_input=2.0, price_output=10.0),
    )
    found = estimate(edited, range(100), settings)
    assert found.requests == 100 and found.completion_tokens == 5000
    assert 100 * 100 < found.prompt_tokens < 100 * 400
    assert found.price == pytest.approx((2 * found.prompt_tokens + 10 * 5000) / 1e6)
    free = Settings(engine="endpoint", endpoint=EndpointSettings(base_url="http://x/v1"))
    assert estimate(edited, range(100), free).price is None
    assert estimate(edited, range(50), Settings()) == type(found)(50, 0, 0, 0.0)
