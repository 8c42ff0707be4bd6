"""The live screen: what a job does, as it does it, and every key."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

from itaudit.errors import UserError
from itaudit.runs import jobs
from itaudit.runs.run import Run
from itaudit.tui.screens.help import HelpScreen
from itaudit.tui.screens.live import LiveScreen, poll_seconds
from itaudit.tui.themes import own_themes
from itaudit.tui.widgets.loss_plot import LossPlot
from tests.tui.harness import (
    HOSTILE,
    NOW,
    PLAN,
    Clock,
    Harness,
    alive,
    dead,
    finish,
    half_done,
    make_run,
    screen_text,
    until,
)

SIZES = [(80, 24), (160, 50)]


def working(directory: Path) -> Run:
    run = make_run(directory)
    half_done(run)
    alive(run)
    return run


def app_on(run: Run, now: float = NOW + 60, **kwargs: Any) -> Harness:
    return Harness(lambda: LiveScreen(run, clock=Clock(now)), **kwargs)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_working_run(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app_on(working(tmp_path)), terminal_size=size)


@pytest.mark.parametrize("theme", [theme.name for theme in own_themes()[1:]])
def test_a_working_run_in_every_theme(tmp_path: Path, snap_compare: Any, theme: str) -> None:
    assert snap_compare(app_on(working(tmp_path), theme=theme), terminal_size=(100, 30))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_worker_that_died_without_a_word(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    run = working(tmp_path)
    dead(run)
    with run.log_path.open("a") as log:
        log.write("Killed\n")
    # The pid of the worker is this process's, which changes from run to run.
    lines = run.events_path.read_text().replace(f'"pid":{os.getpid()}', '"pid":4711')
    run.events_path.write_text(lines)
    assert snap_compare(app_on(run), terminal_size=size, press=["right_square_bracket"])


async def test_stages_rate_time_left_device_and_notes_are_shown(tmp_path: Path) -> None:
    app = app_on(working(tmp_path))
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        shown = screen_text(app)
        assert "stages 2/11" in shown
        assert "30/60 steps" in shown and "1.0/s" in shown and "30 s left" in shown
        assert "cpu (2 cores) · memory 2.2 GiB of 8.0 GiB" in shown
        assert "sft 1.388 · epoch 1.5 · 1,234 tokens/s" in shown
        assert "2 of 160 instances" in shown
        assert "tuning sft: 60 steps" in shown


async def test_what_the_worker_adds_appears(tmp_path: Path) -> None:
    run = working(tmp_path)
    app = app_on(run)
    async with app.run_test(size=(160, 50)) as pilot:
        log = run.event_log()
        log.append("stage_progress", time=NOW + 60, stage="tune", model="sft", done=45)
        log.append("note", time=NOW + 60, text="a late note")
        with run.log_path.open("a") as file:
            file.write("a late line of the log\n")
        for text in ("45/60 steps", "a late note", "a late line of the log"):
            await until(pilot, lambda text=text: text in screen_text(app))
        finish(log)
        for text in ("✓ done", "stages 11/11"):
            await until(pilot, lambda text=text: text in screen_text(app))


async def test_what_happened_behind_the_help_is_there_when_it_closes(tmp_path: Path) -> None:
    run = working(tmp_path)
    app = app_on(run)
    async with app.run_test() as pilot:
        await pilot.press("question_mark")
        finish(run.event_log())
        await pilot.pause(2 * poll_seconds())
        await pilot.press("escape")
        await until(pilot, lambda: "✓ done" in screen_text(app))


async def test_enter_and_b_open_the_responses(tmp_path: Path) -> None:
    run = working(tmp_path)
    app = app_on(run)
    async with app.run_test() as pilot:
        await pilot.press("enter", "b")
        assert app.went == [("run", run.path), ("run", run.path)]


async def test_escape_goes_back_and_the_job_goes_on(tmp_path: Path) -> None:
    app = app_on(working(tmp_path))
    async with app.run_test() as pilot:
        assert isinstance(app.screen, LiveScreen)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, LiveScreen)


async def test_cancel_asks_once_and_signals_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(jobs.os, "kill", lambda pid, number: sent.append((pid, number)))
    run = working(tmp_path)
    app = app_on(run)
    async with app.run_test() as pilot:
        await pilot.press("c")
        assert sent == [] and "c again cancels" in screen_text(app)
        await pilot.press("c")
        await pilot.pause()
        assert sent == [(os.getpid(), signal.SIGTERM)]
        assert "cancelling" in screen_text(app)
        run.event_log().append("job_cancelled", time=NOW + 61)
        await until(pilot, lambda: "■ cancelled" in screen_text(app) and "Cancelling" not in screen_text(app))


async def test_escape_takes_the_question_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.os, "kill", lambda *_: pytest.fail("cancelled without an answer"))
    app = app_on(working(tmp_path))
    async with app.run_test() as pilot:
        await pilot.press("c", "escape", "c")
        assert isinstance(app.screen, LiveScreen)
        assert "c again cancels" in screen_text(app)


async def test_a_job_that_is_done_is_neither_cancelled_nor_resumed(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    finish(half_done(run))
    app = app_on(run)
    async with app.run_test() as pilot:
        await pilot.press("c")
        assert "Nothing to cancel: the job is done" in screen_text(app)
        await pilot.press("R")
        assert "Nothing to resume: the job is done" in screen_text(app)


async def test_a_failed_job_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Path] = []
    monkeypatch.setattr(jobs, "start", lambda run: started.append(run.path) or 99)
    run = working(tmp_path)
    dead(run)
    app = app_on(run)
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "died without a word" in screen_text(app)
        await pilot.press("R")
        assert started == [run.path] and "Worker started (pid 99)" in screen_text(app)


async def test_a_worker_that_can_t_be_started_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Run) -> int:
        raise UserError("a worker is at work on it\x1b[2J")

    monkeypatch.setattr(jobs, "start", refuse)
    app = app_on(make_run(tmp_path))
    async with app.run_test() as pilot:
        await pilot.press("R")
        assert "a worker is at work on it␛[2J" in screen_text(app)


async def test_panels_take_turns_on_a_narrow_screen_and_stand_side_by_side_on_a_wide_one(tmp_path: Path) -> None:
    app = app_on(working(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        seen = []
        for _ in range(3):
            await pilot.pause()
            seen.append([panel.id for panel in app.screen.query(".panel") if panel.display])
            await pilot.press("tab")
        assert seen == [["loss"], ["log"], ["notes"]]
        await pilot.press("left_square_bracket")
        await pilot.pause()
        assert [panel.id for panel in app.screen.query(".panel") if panel.display] == ["notes"]
        await pilot.resize_terminal(160, 50)
        await pilot.pause()
        assert [panel.id for panel in app.screen.query(".panel") if panel.display] == ["loss", "notes", "log"]


async def test_a_long_log_scrolls_with_j_and_k(tmp_path: Path) -> None:
    run = working(tmp_path)
    run.log_path.write_text("".join(f"line {number}\n" for number in range(150)))
    app = app_on(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("tab")
        await pilot.pause()
        log = app.screen.query_one("#log")
        end = log.scroll_offset.y
        assert end == log.max_scroll_y > 0
        await pilot.press("k", "k", "j")
        # Past a look at the run, which follows the log's end only for who stands there.
        await pilot.pause(2 * poll_seconds())
        assert log.scroll_offset.y == end - 1


async def test_a_loss_that_is_no_number_leaves_the_curve_standing(tmp_path: Path) -> None:
    run = working(tmp_path)
    run.event_log().append(
        "loss",
        time=NOW + 60,
        model="sft",
        step=31,
        steps=60,
        epoch=1.6,
        loss=float("nan"),
        learning_rate=1.0,
        tokens_per_second=1.0,
    )
    app = app_on(run)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        assert "sft nan" in screen_text(app)
        assert app.screen.query_one(LossPlot).display


async def test_a_run_that_was_not_started_says_what_starts_it(tmp_path: Path) -> None:
    app = app_on(make_run(tmp_path))
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "R starts it" in screen_text(app)


async def test_hostile_text_is_shown_and_does_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    log = run.event_log()
    alive(run)
    log.append("job_started", time=NOW, pid=1, device=HOSTILE, plan=[["tune", HOSTILE], *PLAN])
    log.append("stage_started", time=NOW, stage="tune", model=HOSTILE, total=9, unit=HOSTILE, done=3)
    log.append("note", time=NOW, text=HOSTILE)
    run.log_path.write_text(HOSTILE + "\n")
    app = app_on(run)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        shown = screen_text(app)
        assert "␛[2J␛]0;owned␇[/bold][INST]" in shown
        assert not {"\x1b", "\x07", "\x00", "\u202e", "\u200b"} & set(shown)
        log.append("job_failed", time=NOW, error=HOSTILE)
        await until(pilot, lambda: "failed: ␛[2J" in screen_text(app))
        shown = screen_text(app)
        assert not {"\x1b", "\x07", "\x00", "\u202e", "\u200b"} & set(shown)


async def test_it_survives_any_size(tmp_path: Path) -> None:
    app = app_on(working(tmp_path))
    async with app.run_test(size=(160, 50)) as pilot:
        for width, height in ((20, 8), (100, 8), (1, 1), (80, 24)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            await pilot.press("tab", "j", "question_mark")
            await pilot.pause()
            assert isinstance(app.screen, HelpScreen)
            await pilot.press("escape")
        assert "tune sft" in screen_text(app)


def test_over_ssh_it_looks_at_most_twice_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    assert poll_seconds() >= 0.5


async def test_the_theme_s_colours_are_those_of_the_curves(tmp_path: Path) -> None:
    app = app_on(working(tmp_path))
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        plot = app.screen.query_one(LossPlot)
        before = plot.render()
        app.theme = "itaudit-light"
        await pilot.pause()
        assert plot.render() != before
        assert app.screen.query_one("#title", Static).display
