"""Following a job in a plain terminal, and the summary table."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from itaudit.follow import LINE_SECONDS, follow, format_summary
from itaudit.runs.events import EventLog
from itaudit.runs.run import Run
from tests.tui.harness import HOSTILE, NOW, Clock, alive, dead, finish, half_done, make_run
from tests.tui.make_run import make_run as make_finished_run

Step = Callable[[], object]


def console(*, terminal: bool, width: int = 100) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None, legacy_windows=False)


def output(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def followed(run: Run, to: Console, steps: list[Step], seconds: float = 1.0) -> list[str]:
    """Follows a run in which one step happens each time the follower sleeps; the lines that it wrote."""
    clock = Clock(NOW + 60)
    todo = iter(steps)

    def sleep(_: float) -> None:
        clock.now += seconds
        next(todo)()

    follow(run, to, clock=clock, sleep=sleep)
    return output(to).splitlines()


def progress(log: EventLog, done: int) -> Step:
    return lambda: log.append("stage_progress", time=NOW + 61, stage="tune", model="sft", done=done)


@pytest.fixture
def working(tmp_path: Path) -> Run:
    run = make_run(tmp_path)
    alive(run)
    return run


def test_without_a_terminal_every_change_of_a_stage_is_one_line(working: Run) -> None:
    log = half_done(working)
    lines = followed(working, console(terminal=False), [lambda: finish(log)])
    assert lines[0] == "running"
    assert "note: 2 of 160 instances are longer than 1024 tokens and lost their end" in lines
    assert any(line.startswith("prepare  done  160/160 instances") for line in lines)
    assert any(line.startswith("tune sft  running  30/60 steps  1.0/s  30 s left  loss 1.388") for line in lines)
    assert [line for line in lines if line.startswith("tune sft  done")] != []
    assert lines[-1] == f"done in 2 min 00 s: {working.path}"
    assert len(lines) == len(set(lines))


def test_without_a_terminal_progress_is_at_most_one_line_in_ten_seconds(working: Run) -> None:
    log = half_done(working)
    steps = [progress(log, 30 + number) for number in range(25)]
    lines = followed(working, console(terminal=False), [*steps, lambda: finish(log)], seconds=1.0)
    shown = [line for line in lines if line.startswith("tune sft  running")]
    assert len(shown) == 1 + 25 // LINE_SECONDS


def test_on_a_terminal_every_stage_keeps_one_line(working: Run) -> None:
    log = half_done(working)
    to = console(terminal=True)
    followed(working, to, [progress(log, 45), lambda: finish(log)])
    last = output(to).rsplit("prepare", 1)[-1]
    assert "score lft" in last and "16/16 prompts" in last and "loss 1.388" in last
    assert "45/60 steps" in output(to)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_on_any_width_no_line_is_wider(working: Run, width: int) -> None:
    log = half_done(working)
    to = console(terminal=True, width=width)
    followed(working, to, [lambda: finish(log)])
    board = [line for line in output(to).splitlines() if "steps" in line]
    assert board and all(len(line.rsplit("\r", 1)[-1].rsplit("\x1b[2K", 1)[-1]) <= width for line in board)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_job_that_ended_before_is_told_at_once(working: Run, terminal: bool) -> None:
    finish(half_done(working))
    to = console(terminal=terminal)
    state = follow(working, to, sleep=lambda _: pytest.fail("there was nothing to wait for"))
    assert state.job == "done"
    assert f"done in 2 min 00 s: {working.path}" in output(to).replace("\n", "")


def test_a_worker_that_died_ends_it_with_the_log_s_tail(working: Run) -> None:
    half_done(working)
    to = console(terminal=False)
    lines = followed(working, to, [lambda: dead(working)])
    assert "  tuning sft: 60 steps" in lines
    assert "died without a word" in lines[-1]


def test_a_failure_says_why(working: Run) -> None:
    log = half_done(working)
    lines = followed(
        working, console(terminal=False), [lambda: log.append("job_failed", time=NOW + 61, error="out of memory")]
    )
    assert lines[-1] == "failed in 1 min 01 s: out of memory"


def test_a_job_that_waits_says_for_what(working: Run) -> None:
    log = working.event_log()
    log.append("job_queued", time=NOW, pid=1, lock="cuda:0")
    lines = followed(working, console(terminal=False), [lambda: log.append("job_cancelled", time=NOW + 1)])
    assert lines == ["waiting for cuda:0", f"cancelled: {working.path}"]


@pytest.mark.parametrize("terminal", [True, False])
def test_an_interrupt_reaches_the_caller_and_the_worker_goes_on(working: Run, terminal: bool) -> None:
    half_done(working)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(working, console(terminal=terminal), clock=Clock(NOW + 60), sleep=interrupt)
    assert working.job() == "running"


@pytest.mark.parametrize("terminal", [True, False])
def test_hostile_text_is_shown_and_does_nothing(working: Run, terminal: bool) -> None:
    log = working.event_log()
    log.append("job_queued", time=NOW, pid=1, lock=HOSTILE)
    working.log_path.write_text(HOSTILE + "\n")

    def start() -> None:
        log.append("job_started", time=NOW, pid=1, device=HOSTILE, plan=[["tune", HOSTILE]])
        log.append("stage_started", time=NOW, stage="tune", model=HOSTILE, total=9, unit=HOSTILE, done=3)
        log.append("note", time=NOW, text=HOSTILE)

    to = console(terminal=terminal, width=300)
    followed(working, to, [start, lambda: log.append("job_failed", time=NOW + 1, error=HOSTILE)])
    shown = output(to)
    assert "␛[2J␛]0;owned␇[/bold][INST]" in shown
    assert "\x1b]0;" not in shown and "\x1b[2J" not in shown and not {"\x07", "\x00", "\u202e"} & set(shown)


def test_the_summary_has_the_figures_of_each_model(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path)
    to = console(terminal=False, width=120)
    to.print(format_summary(run))
    lines = output(to).splitlines()
    assert " ".join(lines[0].split()) == "model method responses tokens unshifted % marginal % shifted % mean KL (nats)"
    for label in ("lft", "sft"):
        summary = run.summary(label)
        shares = [f"{100 * share:.1f}" for share in (summary.unshifted, summary.marginal, summary.shifted)]
        row = next(line for line in lines if line.startswith(label)).split()
        assert row[1:] == [
            run.recipe.models[label].method,
            str(summary.responses),
            f"{summary.tokens:,}",
            *shares,
            f"{summary.kl_mean:.3f}",
        ]


def test_the_summary_says_what_is_not_scored_yet(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path)
    shutil.rmtree(run.path / "scores")
    to = console(terminal=False)
    to.print(format_summary(run))
    assert output(to).count("not scored yet") == len(run.labels)
