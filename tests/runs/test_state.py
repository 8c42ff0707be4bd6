"""The reducer: a recorded log replays to what the worker did, whatever happened to the worker or the file."""

import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from itaudit.runs.events import Event, EventLog, read_events
from itaudit.runs.state import LOSSES_KEPT, RunState, reduce, replay

PLAN = [["prepare", ""], ["tune", "lft"], ["generate", "base"], ["generate", "lft"]]


def event(type: str, time: float, **facts: Any) -> Event:
    return {"v": 1, "time": time, "type": type, **facts}


def loss(step: int, value: float | None = 1.0, time: float = 20.0) -> Event:
    return event(
        "loss",
        time,
        model="lft",
        step=step,
        steps=100,
        epoch=step / 100,
        loss=value,
        learning_rate=5e-5,
        tokens_per_second=1000.0,
    )


FIRST = [
    event("job_queued", 9, pid=7, lock="cpu"),
    event("job_started", 10, pid=7, device="cpu (2 cores)", plan=PLAN),
    event("stage_started", 10, stage="prepare", model="", total=1, unit="file", done=0),
    event("stage_done", 12, stage="prepare", model="", instances=160),
    event("stage_started", 12, stage="tune", model="lft", total=100, unit="step", done=0),
    loss(1, 3.0),
    loss(2, 2.5),
    event("memory", 15, used=1, total=4),
    event("stage_progress", 22, stage="tune", model="lft", done=40),
]
RESUMED = [
    event("job_queued", 100, pid=8, lock="cpu"),
    event("job_started", 101, pid=8, device="cuda:0", plan=PLAN),
    event("stage_started", 102, stage="tune", model="lft", total=100, unit="step", done=30),
    loss(2, 2.4, 103),
    event("stage_progress", 112, stage="tune", model="lft", done=50),
]


def test_a_log_replays_to_the_worker_s_progress() -> None:
    state = replay(FIRST)
    tune = state.stages["tune:lft"]
    assert (state.job, state.pid, state.device, state.waiting_for) == ("running", 7, "cpu (2 cores)", "")
    assert list(state.stages) == ["prepare", "tune:lft", "generate:base", "generate:lft"]
    assert [stage.state for stage in state.stages.values()] == ["done", "running", "waiting", "waiting"]
    assert state.stages["prepare"].facts == {"instances": 160}
    assert state.current is tune
    assert state.stages_done == 1
    assert tune.rate(now=22) == pytest.approx(4.0)
    assert tune.seconds_left(now=22) == pytest.approx(15.0)
    assert [(point.step, point.loss) for point in state.losses["lft"]] == [(1, 3.0), (2, 2.5)]
    assert state.memory is not None and (state.memory.used, state.memory.total) == (1, 4)
    assert state.updated == 22


def test_a_waiting_job_names_what_it_waits_for() -> None:
    state = replay(FIRST[:1])
    assert (state.job, state.waiting_for) == ("queued", "cpu")


def test_replaying_page_by_page_equals_replaying_at_once() -> None:
    events = FIRST + RESUMED
    for cut in range(len(events)):
        assert replay(events[cut:], replay(events[:cut])) == replay(events)


def test_a_resumed_stage_counts_its_rate_from_where_it_went_on() -> None:
    tune = replay(FIRST + RESUMED).stages["tune:lft"]
    assert (tune.done, tune.total, tune.done_at_start) == (50, 100, 30)
    assert tune.rate(now=112) == pytest.approx(2.0)


def test_a_resumed_stage_replaces_the_losses_after_its_checkpoint() -> None:
    state = replay([*FIRST, loss(3), *RESUMED])
    assert [(point.step, point.loss) for point in state.losses["lft"]] == [(1, 3.0), (2, 2.4)]


def test_stages_that_were_done_stay_done_when_the_job_is_resumed() -> None:
    state = replay(FIRST + RESUMED[:2])
    assert state.stages["prepare"].state == "done"
    assert (state.stages["tune:lft"].state, state.stages["tune:lft"].done) == ("waiting", 40)


def test_a_worker_killed_without_a_word_leaves_no_stage_running_once_another_is_queued() -> None:
    state = replay(FIRST + RESUMED[:1])
    assert state.job == "queued"
    assert state.current is None


@pytest.mark.parametrize(
    ("type", "job"), [("job_done", "done"), ("job_failed", "failed"), ("job_cancelled", "cancelled")]
)
def test_a_closing_event_ends_the_job_and_keeps_what_was_done(type: str, job: str) -> None:
    state = replay([*FIRST, event(type, 30, error="out of memory")])
    assert (state.job, state.pid, state.error, state.current) == (job, None, "out of memory", None)
    assert state.stages["tune:lft"].done == 40


def test_a_resumed_job_forgets_the_error() -> None:
    state = replay([*FIRST, event("job_failed", 30, error="out of memory"), *RESUMED])
    assert (state.job, state.error) == ("running", "")


def test_a_done_stage_keeps_its_rate_whatever_the_time_is() -> None:
    state = replay([*FIRST, event("stage_done", 37, stage="tune", model="lft")])
    tune = state.stages["tune:lft"]
    assert (tune.state, tune.done, tune.rate(now=1e9), tune.seconds_left(now=1e9)) == ("done", 100, 4.0, 0.0)


def test_a_loss_that_is_no_number_is_kept_as_one() -> None:
    state = replay([*FIRST, loss(3, None)])
    assert math.isnan(state.losses["lft"][-1].loss)


def test_a_long_loss_curve_is_thinned_and_keeps_both_ends() -> None:
    steps = 5 * LOSSES_KEPT
    points = replay(loss(step) for step in range(1, steps + 1)).losses["lft"]
    assert LOSSES_KEPT / 2 <= len(points) <= LOSSES_KEPT
    assert (points[0].step, points[-1].step) == (1, steps)
    assert all(one.step < other.step for one, other in pairwise(points))


def test_notes_add_up_in_order() -> None:
    state = replay([event("note", 1, text="3 rows rejected"), event("note", 2, text="2 cut")])
    assert state.notes == ("3 rows rejected", "2 cut")


@pytest.mark.parametrize(
    "odd",
    [
        event("stage_progress", 50, stage="tune", model="lft"),
        event("loss", 50, model="lft", step="two"),
        event("memory", 50, used=None, total=3),
        event("job_started", 50, plan=[["tune"]]),
        {"v": 1, "type": "note", "text": "no time"},
        {"v": 1, "type": [], "time": 50},
        event("memory", 50, used=math.inf, total=3),
    ],
)
def test_an_event_that_lacks_something_changes_nothing(odd: Event) -> None:
    state = replay(FIRST)
    assert reduce(state, odd) == state


def test_an_unknown_type_changes_only_the_time() -> None:
    state = reduce(RunState(), event("from_the_future", 77, what="ever"))
    assert state == RunState(updated=77)


def write_log(path: Path, events: list[Event]) -> None:
    log = EventLog(path)
    for fields in events:
        log.append(fields["type"], **{key: value for key, value in fields.items() if key not in ("v", "type")})


def test_a_log_on_disk_replays_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_log(path, FIRST)
    assert replay(read_events(path).events) == replay(FIRST)


def test_a_torn_last_line_is_left_for_the_next_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_log(path, FIRST)
    whole = path.read_bytes()
    for cut in range(len(whole) - 60, len(whole)):
        path.write_bytes(whole[:cut])
        page = read_events(path)
        path.write_bytes(whole)
        rest = read_events(path, page.offset)
        assert replay(rest.events, replay(page.events)) == replay(FIRST)


def test_a_line_torn_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_log(path, FIRST)
    os.truncate(path, path.stat().st_size - 5)
    write_log(path, RESUMED)
    assert replay(read_events(path).events) == replay(FIRST[:-1] + RESUMED)


def test_lines_of_another_version_and_lines_that_are_no_events_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"v": 2, "time": 1, "type": "note", "text": "later"}\n[1]\n\xff\xfe\nnull\n{"v": 1}\n')
    write_log(path, FIRST)
    assert replay(read_events(path).events) == replay(FIRST)


def test_a_run_without_a_log_is_new(tmp_path: Path) -> None:
    assert replay(read_events(tmp_path / "events.jsonl").events) == RunState()
