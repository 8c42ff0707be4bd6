"""A worker's word: its heart goes on beating, and its pid stays its own."""

import signal
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from itaudit.engine import reporter as reporters
from itaudit.engine.reporter import Reporter
from itaudit.runs import jobs
from itaudit.runs.run import Run
from itaudit.runs.status import Status


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_the_heart_outlives_a_full_disk(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporters, "HEARTBEAT_SECONDS", 0.01)
    run = make_run()
    with Reporter(run) as reporter:
        write = Status.write
        failed: list[str] = []

        def full(self: Status, _path: object) -> None:
            failed.append(self.state)
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Status, "write", full)
        deadline = time.monotonic() + 60
        while not failed and time.monotonic() < deadline:
            time.sleep(0.01)
        monkeypatch.setattr(Status, "write", write)
        assert failed
        status = run.status()
        assert status is not None
        while (now := run.status()) is None or now.heartbeat == status.heartbeat:
            assert time.monotonic() < deadline, "no heartbeat after the disk had space again"
            time.sleep(0.01)
        reporter.ended("job_done")
    assert run.job() == "done"


def test_a_clock_that_is_set_does_not_kill_a_worker(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not psutil.LINUX:
        pytest.skip("Linux counts the start of processes from boot")
    run = make_run()
    with Reporter(run) as reporter:
        boot = psutil._pslinux.boot_time()
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot + 3600)
        reporter.note("the clock was an hour late")
        status = run.status()
        assert status is not None and status.alive(time.time())
        reporter.ended("job_done")


def test_a_worker_that_goes_on_is_not_taken_for_the_one_before(make_run: Callable[..., Run]) -> None:
    run = make_run()
    with Reporter(run) as reporter:
        reporter.ended("job_cancelled")
    assert run.job() == "cancelled"
    with Reporter(run) as reporter:
        # It has not said a word yet; whoever follows it goes on following.
        assert run.job() == "queued"
        reporter.ended("job_failed", "no such model")
    assert run.job() == "failed"


def test_a_worker_that_is_stopped_while_it_loads_says_cancelled(make_run: Callable[..., Run]) -> None:
    run = make_run()
    pid = jobs.start(run)
    jobs.cancel(run)
    deadline = time.monotonic() + 120
    while run.job() in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert run.job() == "cancelled", (pid, run.log_tail())
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, set())
