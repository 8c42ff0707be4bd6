"""Help: the keys as they are bound now, and the token classes."""

from pathlib import Path
from typing import Any

import pytest

from itaudit.tui.screens.help import LEGEND, HelpScreen
from itaudit.tui.screens.home import HomeScreen
from itaudit.tui.screens.live import LiveScreen
from itaudit.tui.themes import TOKEN_CLASSES
from itaudit.tui.token_shapes import TOKEN_SHAPES
from tests.tui.harness import NOW, Clock, Harness, alive, half_done, make_run, screen_text


def app_on(directory: Path) -> Harness:
    run = make_run(directory)
    half_done(run)
    alive(run)
    return Harness(lambda: LiveScreen(run, clock=Clock(NOW + 60)))


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=str)
def test_the_keys_of_the_live_screen(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app_on(tmp_path), terminal_size=size, press=["question_mark"])


def row(app: Harness, id: str) -> list[str]:
    """The words of the line that ends with a binding's id."""
    words = [line.replace("│", " ").split() for line in screen_text(app).splitlines()]
    return next((each for each in words if id in each), [])


async def test_every_binding_stands_there_with_its_keys_and_id(tmp_path: Path) -> None:
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 60)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert row(app, "live.cancel")[-3:] == ["c", "cancel", "live.cancel"]
        assert row(app, "live.open")[-4:] == ["⏎", "b", "responses", "live.open"]
        assert row(app, "app.quit")[-3:] == ["q", "quit", "app.quit"]
        shown = screen_text(app)
        assert [name for name in TOKEN_CLASSES if name in shown] == list(TOKEN_CLASSES)


async def test_keys_of_a_focused_list_stand_there_too(tmp_path: Path) -> None:
    app = Harness(lambda: HomeScreen(tmp_path))
    async with app.run_test(size=(120, 60)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert row(app, "list.down")[:2] == ["j", "↓"] or "j" in row(app, "list.down")
        assert "home.recipe" in screen_text(app)


async def test_remapped_keys_show_as_they_are_now(tmp_path: Path) -> None:
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 60)) as pilot:
        app.set_keymap({"live.cancel": "X", "app.quit": "Z"})
        await pilot.press("question_mark")
        await pilot.pause()
        assert row(app, "live.cancel")[-3:] == ["X", "cancel", "live.cancel"]
        assert row(app, "app.quit")[-3:] == ["Z", "quit", "app.quit"]


@pytest.mark.parametrize("key", ["escape", "question_mark", "q", "enter"])
async def test_it_closes_and_nothing_else_happens(tmp_path: Path, key: str) -> None:
    app = app_on(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("question_mark", key)
        await pilot.pause()
        assert isinstance(app.screen, LiveScreen) and app.is_running and app.went == []


async def test_what_does_not_fit_scrolls(tmp_path: Path) -> None:
    app = app_on(tmp_path)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert "evidence" not in screen_text(app)
        await pilot.press(*["pagedown"] * 8)
        await pilot.pause()
        assert "evidence" in screen_text(app)
        await pilot.press(*["pageup"] * 8, "j", "k")
        await pilot.pause()
        assert "live" in screen_text(app)


async def test_it_survives_any_size(tmp_path: Path) -> None:
    app = app_on(tmp_path)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.press("question_mark")
        for width, height in ((20, 8), (8, 3), (1, 1), (80, 24)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
        assert isinstance(app.screen, HelpScreen) and "live.open" in screen_text(app)


def test_every_class_is_told_by_a_shape_of_its_own_except_those_that_stand_in_other_places() -> None:
    shapes = {name: TOKEN_SHAPES[name] for name, _ in LEGEND}
    in_response = [shapes[name] for name in ("unshifted", "marginal", "shifted", "hallucinated", "cursor")]
    assert len(set(in_response)) == len(in_response)
