"""The log: every edit with its difference, undone from there; conflicts settled; versions named."""

from pathlib import Path

import pytest

from itaudit.data.versions import load_version
from itaudit.tui.screens.dataset import DatasetScreen
from itaudit.tui.screens.log import LogScreen
from tests.tui.harness import screen_text, until
from tests.tui.workshop import ROWS, app_on, entries, mended, pressed, ready, written


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two edits of row 0 and one of row 3."""
    path = written(tmp_path / "a.jsonl")
    mended(path).edit(0, {"response": "First."}, by="hand")
    mended(path).edit(0, {"response": "Second."}, by="extractive")
    mended(path).edit(3, {"tags": ["odd"]}, by="hand")
    return path


async def test_the_newest_stands_first_with_its_difference(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        text = await pressed(pilot, "v")
        assert isinstance(app.screen, LogScreen) and "log a.jsonl 3 entries" in text
        assert text.index("#3 tags hand") < text.index("#0 response extractive") < text.index("#0 response hand")
        text = await pressed(pilot, "j")
        assert "row 0, id 0, by extractive" in text and "FirstSecond." in text


async def test_an_edit_is_undone_and_redone_from_there_and_later_ones_with_it_when_that_is_confirmed(
    path: Path,
) -> None:
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "Undone." in await pressed(pilot, "v", "u")
        assert mended(path).row(3).tags == ()
        # The undo stands above now, and undoing it is to do it again.
        assert "Did it again." in await pressed(pilot, "home", "u")
        assert mended(path).row(3).tags == ("odd",)
        # The oldest edit: another one stands on it.
        text = await pressed(pilot, "end", "u")
        assert "1 later edit of this instance stand on it" in text or "would be undone with it" in text
        await pressed(pilot, "escape")
        assert mended(path)[0].response == "Second."
        await pressed(pilot, "u", "y")
        assert mended(path)[0].response == "Engineer 0 did."
        text = await pressed(pilot, "escape")
        assert isinstance(app.screen, DatasetScreen) and "Engineer 0 did." in text


async def test_a_version_is_named_and_read_again(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "a.jsonl@checked reads this state" in await pressed(pilot, "v", "v", *"checked", "enter")
        assert "version checked" in screen_text(app)
        assert "can't name a version" in await pressed(pilot, "v", *"a b", "enter")
    mended(path).edit(0, {"response": "Third."}, by="hand")
    assert load_version(f"{path}@checked")[0].response == "Second."


async def test_conflicts_stand_first_and_are_applied_again_or_dropped(path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    rows[0]["output"] = "The source says otherwise now."
    rows[3]["output"] = "Here too."
    written(path, rows)
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        text = await pressed(pilot, "v")
        assert "! 3 conflicts" in text and "these edits are not applied" in text
        assert "✗ Not applied: the source changed since. a applies it again, d drops it." in text
        await pressed(pilot, "d")
        assert "2 conflicts" in " ".join(screen_text(app).split())
        await pressed(pilot, "home", "a")
        assert "1 conflict" in " ".join(screen_text(app).split())
        assert mended(path)[0].response == "Second."
        # Where it is no conflict, that is said.
        assert "This is no conflict" in await pressed(pilot, "end", "d")
    assert len(mended(path).conflicts()) == 1


async def test_enter_goes_to_the_instance(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        await pressed(pilot, "v", "enter")
        assert isinstance(app.screen, DatasetScreen) and screen.position() == 3


async def test_what_others_do_meanwhile_arrives(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "v")
        mended(path).edit(5, {"note": "elsewhere"}, by="hand")
        await until(pilot, lambda: "#5 note" in screen_text(app))


@pytest.mark.parametrize("size", [(40, 12), (160, 50)], ids=str)
async def test_it_fits(path: Path, size: tuple[int, int]) -> None:
    app = app_on(path)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        text = await pressed(pilot, "v")
        assert "u undo or redo" in text and "#3 tags" in text


async def test_an_empty_log_says_what_would_stand_there(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        text = await pressed(pilot, "v", "u", "d", "enter")
        assert "nothing was changed yet" in text
    assert entries(path) == []
