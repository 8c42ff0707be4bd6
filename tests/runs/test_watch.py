"""Watching a run: what is new is read on, and a worker that is gone is noticed."""

from dataclasses import replace
from pathlib import Path

import pytest

from itaudit.errors import UserError
from itaudit.runs import jobs
from itaudit.runs.run import Run
from itaudit.runs.state import RunState, believed
from itaudit.runs.status import Status, last_word, read_status
from itaudit.runs.watch import Watch
from tests.tui.harness import NOW, alive, dead, half_done, make_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path)


def test_only_changes_count_as_changes(run: Run) -> None:
    watch = Watch(run)
    assert not watch.poll() and watch.state == RunState()
    log = half_done(run)
    alive(run)
    assert watch.poll() and watch.state == run.state()
    assert not watch.poll()
    log.append("note", time=NOW + 70, text="new")
    assert watch.poll() and watch.state.notes[-1] == "new"


def test_a_dead_worker_is_noticed_without_any_event(run: Run) -> None:
    half_done(run)
    alive(run)
    watch = Watch(run)
    watch.poll()
    dead(run)
    assert watch.poll()
    assert (watch.state.job, watch.state.current, watch.state.pid) == ("failed", None, None)
    assert "died without a word" in watch.state.error
    assert watch.state.stages["tune:sft"].done == 30


def test_a_log_that_was_made_anew_is_read_from_its_beginning(run: Run) -> None:
    half_done(run)
    alive(run)
    watch = Watch(run)
    watch.poll()
    run.events_path.unlink()
    run.event_log().append("job_queued", time=NOW, pid=1, lock="cpu")
    assert watch.poll()
    assert (watch.state.job, dict(watch.state.stages)) == ("queued", {})
    run.events_path.unlink()
    watch.poll()
    assert watch.state.notes == ()


@pytest.mark.parametrize("look", ["job", "watch"])
def test_a_worker_that_ends_while_somebody_looks_did_not_die(
    run: Run, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    log = half_done(run)
    alive(run)

    def ends(_: Status, __: float) -> bool:
        if run.state().job == "running":
            log.append("job_done", time=NOW + 70)
        return False

    monkeypatch.setattr(Status, "alive", ends)
    if look == "job":
        assert run.job() == "done"
    else:
        watch = Watch(run)
        watch.poll()
        assert (watch.state.job, watch.state.error) == ("done", "")


def test_the_last_word_of_a_worker_that_ends_while_somebody_looks_counts(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive(run)

    def ends(told: Status, _: float) -> bool:
        replace(told, state="done").write(run.status_path)
        return False

    monkeypatch.setattr(Status, "alive", ends)
    told, gone = last_word(run.status_path)
    assert told is not None and (told.state, gone) == ("done", False)
    monkeypatch.undo()
    dead(run)
    told, gone = last_word(run.status_path)
    assert told is not None and (told.state, gone) == ("running", True)
    assert last_word(run.path / "none.json") == (None, False)


def test_a_state_that_agrees_with_the_worker_is_left_alone() -> None:
    state = RunState(job="done", error="")
    assert believed(state, "done") is state


def test_a_started_worker_is_seen_before_its_first_word_and_missed_if_it_dies_before(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [jobs.sys.executable, "-c", "input()"]
    monkeypatch.setattr(jobs.sys, "executable", "/bin/cat")
    popen = jobs.subprocess.Popen
    started = []

    def start(_: list[str], **kwargs: object) -> object:
        process = popen(command, **(kwargs | {"stdin": jobs.subprocess.PIPE}))
        started.append(process)
        return process

    monkeypatch.setattr(jobs.subprocess, "Popen", start)
    pid = jobs.start(run)
    status = read_status(run.status_path)
    assert status is not None and status.pid == pid
    assert run.job() == "queued"
    with pytest.raises(UserError, match="is at work on it"):
        jobs.start(run)
    started[0].stdin.close()
    started[0].wait()
    assert run.job() == "failed"


def test_a_resumed_job_reads_as_queued_until_its_worker_speaks(run: Run) -> None:
    log = half_done(run)
    log.append("job_failed", time=NOW + 61, error="out of memory")
    dead(run)
    assert run.job() == "failed"
    alive(run, "queued")
    assert run.job() == "failed", "a status older than the failure is not a new worker"
    status = read_status(run.status_path)
    assert status is not None
    started_later = type(status)(
        **{name: getattr(status, name) for name in status.__dataclass_fields__} | {"started": NOW + 99}
    )
    started_later.write(run.status_path)
    assert run.job() == "queued"
