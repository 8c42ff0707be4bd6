"""Pictures of the stepper; `--snapshot-update` draws them anew after a change that is meant."""

import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot

from itaudit.data import edits
from itaudit.runs import marks
from itaudit.runs.run import Run
from itaudit.tui.app import ItauditApp
from itaudit.tui.screens.stepper import StepperScreen
from itaudit.tui.themes import own_themes
from tests.tui import make_run
from tests.tui.harness import until

SMALL, LARGE, TINY = (80, 24), (160, 50), (20, 8)
Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def one_moment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Marks are of one person and one moment, in one time zone."""
    monkeypatch.setattr(edits, "user_name", lambda: "ada")
    monkeypatch.setattr(marks, "time", SimpleNamespace(time=lambda: 1_790_000_000.0))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(prompt_id: str, *keys: str, size: tuple[int, int] | None = None) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Goes to a prompt, presses keys, and changes the size of the terminal if one is given."""

    async def before(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, StepperScreen)
        await until(pilot, lambda: not screen.stepping.shallow)
        ids = [row.prompt.id for row in screen.stepping.rows]
        screen.stepping.move_prompt(ids.index(prompt_id))
        await pilot.press("g", *keys)
        if size is not None:
            await pilot.resize_terminal(*size)
        await pilot.pause()

    return before


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize(
    ("prompt_id", "keys"),
    [
        ("zamboni", ("n", "n", "n", "n", "m")),
        ("hostile", ("n",)),
        ("wide", ("l", "l", "l", "l")),
        ("zamboni", ("1",)),
        ("zamboni", ("n", "n", "v", "l", "l", "tab", "tab")),
    ],
    ids=["borrowed", "hostile", "wide", "base", "selection"],
)
def test_stepper(snap_compare: Compare, run: Run, size: tuple[int, int], prompt_id: str, keys: tuple[str, ...]) -> None:
    app = ItauditApp(run.path, run.path.parent)
    assert snap_compare(app, terminal_size=size, run_before=at(prompt_id, *keys))


@pytest.mark.parametrize("size", [SMALL, LARGE, (120, 30), (40, 24)])
@pytest.mark.parametrize(
    ("prompt_id", "keys"),
    [
        ("zamboni", ("n", "c", "n", "d", "n")),
        ("zamboni", ("n", "n", "tab", "tab")),
        ("coa", ("n", "tab", "tab", "tab")),
        ("hostile", ("n", "tab", "tab")),
        ("zamboni", ("n", "M")),
        ("zamboni", ("f",)),
    ],
    ids=["judged", "spans", "causes", "hostile-spans", "label", "flags"],
)
def test_flags(
    snap_compare: Compare, judged_run: Run, size: tuple[int, int], prompt_id: str, keys: tuple[str, ...]
) -> None:
    app = ItauditApp(judged_run.path, judged_run.path.parent)
    before = at(prompt_id, *keys)

    async def before_and_chance(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, StepperScreen)
        await before(pilot)
        await until(pilot, lambda: not screen._dealing.busy)
        pilot.app.clear_notifications()
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before_and_chance)


def test_flags_without_colours(snap_compare: Compare, judged_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = ItauditApp(judged_run.path, judged_run.path.parent)

    async def before(pilot: Pilot[None]) -> None:
        await at("zamboni", "n", "c", "n", "d", "n")(pilot)
        pilot.app.clear_notifications()
        await pilot.pause()

    assert snap_compare(app, terminal_size=SMALL, run_before=before)


def test_resized_down(snap_compare: Compare, run: Run) -> None:
    app = ItauditApp(run.path, run.path.parent)
    assert snap_compare(app, terminal_size=LARGE, run_before=at("zamboni", "n", "n", "n", "n", size=TINY))


def test_narrow(snap_compare: Compare, run: Run) -> None:
    app = ItauditApp(run.path, run.path.parent)
    assert snap_compare(app, terminal_size=(40, 24), run_before=at("zamboni", "n", "n", "n", "n"))


def test_without_colours(snap_compare: Compare, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = ItauditApp(run.path, run.path.parent)
    assert snap_compare(app, terminal_size=SMALL, run_before=at("zamboni", "n", "n", "n", "n", "m", "h"))


@pytest.mark.parametrize("theme", [theme.name for theme in own_themes()])
def test_themes(snap_compare: Compare, run: Run, theme: str) -> None:
    app = ItauditApp(run.path, run.path.parent)
    app.theme = theme
    assert snap_compare(app, terminal_size=SMALL, run_before=at("zamboni", "n", "n", "n", "n", "m", "h"))


def test_a_run_at_work(snap_compare: Compare, tmp_path: Path) -> None:
    run = make_run.begin_run(tmp_path)
    log = run.event_log()
    log.append("job_started", time=100.0, plan=[["generate", "sft"]], device="cpu", pid=1)
    log.append("stage_started", time=100.0, stage="generate", model="sft", total=7, unit="prompt", done=0)
    log.append("stage_progress", time=110.0, stage="generate", model="sft", done=2)
    answers: dict[str, Any] = {id: make_run.SFT_ANSWERS[id] for id in ("zamboni", "bulb")}
    make_run.answer(run, "sft", answers, close=False)

    async def before(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, StepperScreen)
        screen.stepping.now = lambda: 110.0
        screen.draw()
        await pilot.pause()

    assert snap_compare(ItauditApp(run.path, run.path.parent), terminal_size=SMALL, run_before=before)
